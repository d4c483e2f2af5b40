package resource

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
)

// Power reports whether the machine is stopped, restarted or put to sleep.
func (u Use) Power() bool {
	w, help := u.words(), u.has("--help", "--version", "-V")
	switch u.Program {
	case "shutdown", "openrc-shutdown":
		return !u.has("-c", "--show", "--cancel") && !help && len(u.Args) > 0 || u.Program == "shutdown" && len(u.Args) == 0
	case "reboot", "poweroff", "halt", "runit-init", "zzz", "ZZZ", "s6-linux-init-hpr", "grub-reboot", "soft-reboot":
		return !help && !u.has("-w", "--wtmp-only")
	case "init", "telinit":
		return landmark.Starts(w, "0|1|6|s|S|q")
	case "openrc", "rc":
		return landmark.Starts(w, "shutdown|reboot|single|off")
	case "dinitctl", "initctl":
		return slices.ContainsFunc(w, func(a string) bool {
			return slices.Contains([]string{"shutdown", "reboot", "poweroff", "halt"}, a)
		})
	case "systemctl", "loginctl":
		if len(w) > 1 && slices.Contains([]string{"start", "restart", "try-restart", "reload-or-restart", "set-default", "enable", "reenable"}, w[0]) && slices.ContainsFunc(w[1:], landmark.PowerUnit) {
			return true
		}
		return landmark.Starts(w, "reboot|poweroff|halt|kexec|suspend|hibernate|hybrid-sleep|suspend-then-hibernate|sleep|rescue|emergency|default|isolate|exit|soft-reboot|terminate-user|kill-user|switch-root")
	case "dbus-send", "busctl", "gdbus", "qdbus", "qdbus6":
		return slices.ContainsFunc(u.Args, func(a string) bool {
			return slices.ContainsFunc([]string{"Reboot", "PowerOff", "Suspend", "Halt", "Hibernate", "Shutdown", "logoutAndReboot", "logoutAndShutdown"}, func(s string) bool { return strings.Contains(a, s) })
		})
	case "gnome-session-quit", "xfce4-session-logout":
		return u.has("--power-off", "--reboot", "-h", "--halt", "-r", "--suspend", "--hibernate", "-s")
	case "ipmitool":
		return u.has("power") && u.has("off", "cycle", "reset", "soft")
	case "virsh", "qm", "pct":
		return landmark.Starts(w, "destroy|undefine|shutdown|reboot|stop|vol-delete|pool-delete|snapshot-delete")
	case "xe":
		return landmark.Starts(w, "host-reboot|host-shutdown|vm-destroy|vm-uninstall|sr-destroy")
	case "kexec":
		return u.opts("").Has("e", "exec", "l", "load")
	}
	return len(u.Args) > 0
}

// Firewall reports whether a firewall is opened, emptied or switched off.
func (u Use) Firewall() bool {
	w := u.words()
	switch u.Program {
	case "nft":
		// One word may hold a whole program.
		for line := range strings.FieldsFuncSeq(strings.Join(w, " ")+"\n"+u.piped(), func(r rune) bool { return r == ';' || r == '\n' || r == '{' }) {
			if landmark.Starts(strings.Fields(line), "flush|delete|destroy|reset") {
				return true
			}
		}
		return u.opts("").Has("f", "file")
	case "ufw":
		return landmark.Starts(w, "disable|reset") || landmark.Starts(w, "default", "allow") || len(w) > 1 && u.has("disable", "reset") || landmark.Starts(w, "allow", "from", "any") || landmark.Starts(w, "delete")
	case "firewall-cmd":
		return slices.ContainsFunc(u.Args, func(a string) bool {
			return strings.HasPrefix(a, "--panic") || strings.HasPrefix(a, "--remove") || strings.HasPrefix(a, "--set-default-zone") || strings.HasPrefix(a, "--delete") || a == "--complete-reload" || a == "--set-target=ACCEPT" || a == "--load-zone-defaults"
		})
	case "ipset":
		return landmark.Starts(w, "flush|destroy|x|f") || u.has("-F", "-X", "--flush", "--destroy") || landmark.Starts(w, "restore")
	case "pfctl":
		return slices.ContainsFunc(u.Args, func(a string) bool { return a == "-d" || strings.HasPrefix(a, "-F") || a == "-Fa" })
	case "iptables-restore", "ip6tables-restore":
		return !u.has("-t", "--test")
	case "netfilter-persistent", "iptables-persistent":
		return landmark.Starts(w, "flush|stop")
	case "shorewall", "shorewall6", "csf":
		return landmark.Starts(w, "clear|stop|reset|disable") || u.has("-x", "--disable", "-f", "--stop")
	}
	o := u.opts("tAIDpsdjiomP", "table", "policy", "append")
	pol, _ := o.Value("P", "policy")
	return o.Has("F", "flush", "X", "delete-chain", "Z") || pol != "" && u.has("ACCEPT", "DROP") || o.Has("D", "delete")
}

func (u Use) piped() string {
	if u.Piped {
		return u.Stdin
	}
	return u.Given
}

// Essential reports whether a package manager takes away what the machine
// cannot do without.
func (u Use) Essential() bool {
	short, long := "", []string{"option", "config-file", "target-release", "setopt", "enablerepo", "disablerepo", "repo", "installroot", "releasever", "root", "exclude", "dbpath", "admindir", "instdir"}
	switch u.Program {
	case "apt", "apt-get", "aptitude", "nala", "apt-fast":
		short = "octa"
	case "dnf", "yum", "microdnf", "tdnf", "dnf5":
		short = "cxde"
	case "zypper":
		short = "RcD"
	case "apk", "xbps-remove":
		short = "pXrCc"
	case "opkg":
		short = "fod"
	}
	o := u.opts(short, long...)
	w := o.Operands
	removal := landmark.Starts(w, "remove|purge|erase|del|autopurge|autoremove|rm|uninstall|full-upgrade-remove|swap")
	switch u.Program {
	case "rpm":
		removal = o.Has("e", "erase") && !o.Has("q")
	case "pacman":
		removal = o.Has("R", "remove")
	case "dpkg":
		removal = o.Has("r", "P", "remove", "purge")
	case "emerge":
		removal = o.Has("C", "unmerge", "c", "depclean", "rage-clean")
	case "xbps-remove":
		removal = true
	default:
		installs := landmark.Starts(w, "install|upgrade|dist-upgrade|full-upgrade")
		w = w[min(1, len(w)):]
		if installs && strings.HasPrefix(u.Program, "apt") && slices.ContainsFunc(w, func(p string) bool {
			name, taken := strings.CutSuffix(p, "-")
			return taken && landmark.Essential(name)
		}) {
			return true
		}
	}
	forced := slices.ContainsFunc(u.Args, func(a string) bool {
		return strings.HasPrefix(a, "--allow-remove-essential") || a == "--force-remove-essential" || a == "--force-all" || strings.HasPrefix(a, "--force-remove") || strings.Contains(a, "Allow-Remove-Essential") || strings.Contains(a, "Force-LoopBreak") || strings.HasSuffix(a, "::=--force-all") || strings.Contains(a, "force-remove-essential")
	})
	return forced || removal && (unknown(w) || slices.ContainsFunc(w, func(p string) bool {
		return landmark.Essential(p[strings.LastIndex(p, "/")+1:]) || landmark.Essential(p)
	}))
}

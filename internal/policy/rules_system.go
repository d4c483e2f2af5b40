package policy

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/place"
	"phantom/internal/policy/shell"
)

func logRules() []rule {
	const family = "logs"
	const why, safer = "removes the record of what happened", "rotate logs with logrotate, or ask the owner"
	return []rule{
		{id: "history-clear", family: family, severity: destructive, programs: "history fc unset set", reason: why, suggestion: "leave the history alone", match: func(c *call) bool {
			switch c.name {
			case "history":
				return c.opts("d").Has("c", "d", "w", "r")
			case "fc":
				return c.has("-p")
			case "unset":
				return c.has("HISTFILE")
			case "set":
				return c.has("+o") && c.has("history")
			}
			return false
		}},
		{id: "log-wipe", family: family, severity: destructive, reason: why, suggestion: safer, match: func(c *call) bool {
			if c.name == "touch" || c.name == "logger" {
				return false
			}
			trees, files := c.removed()
			over := c.written()
			if c.name == "tee" && c.opts("").Has("a", "append") || c.name == "" && len(c.Argv) > 0 {
				over = nil
			}
			for _, p := range slices.Concat(trees, files, over) {
				if strings.HasSuffix(c.name, "vi") || strings.HasSuffix(c.name, "vim") {
					return false
				}
				if path := c.abs(p); landmark.LogFile(path) || landmark.LogFile(p) {
					return true
				}
			}
			return false
		}},
		{id: "journal-clear", family: family, severity: destructive, programs: "journalctl dmesg auditctl ausearch wevtutil logrotate", reason: why, suggestion: safer, match: func(c *call) bool {
			switch c.name {
			case "journalctl":
				return slices.ContainsFunc(c.args(), func(a string) bool { return strings.HasPrefix(a, "--vacuum") || a == "--rotate" || a == "--flush" })
			case "dmesg":
				return c.opts("lnsfF", "level", "facility").Has("C", "c", "clear", "read-clear")
			case "auditctl":
				return c.has("-D", "-e")
			case "wevtutil":
				return c.has("cl", "clear-log")
			case "logrotate":
				return c.opts("sml").Has("f", "force")
			}
			return false
		}},
	}
}

func processRules() []rule {
	const family = "process"
	return []rule{
		{id: "kill-init", family: family, severity: critical, programs: "kill pkill killall killall5 skill tkill xkill", reason: "kills init, Phantom, or every process", suggestion: "kill the one process that you started, by its id", match: killsVital},
		{id: "kill-many", family: family, severity: destructive, programs: "pkill killall skill kill fuser", reason: "kills processes by a pattern that takes in others' ones", suggestion: "kill the one process that you started, by its id", match: killsMany},
		{id: "stop-phantom", family: family, severity: critical, programs: "systemctl service initctl rc-service supervisorctl pm2 launchctl invoke-rc.d sv s6-svc s6-rc monit stop start restart start-stop-daemon dinitctl runsvctrl busctl gdbus dbus-send", reason: "stops, masks or restarts Phantom itself", suggestion: "ask the owner", match: func(c *call) bool {
			w := c.words()
			if strings.HasSuffix(c.name, "bus") || c.name == "busctl" || c.name == "dbus-send" {
				return slices.ContainsFunc(c.args(), func(a string) bool {
					return strings.Contains(a, "StopUnit") || strings.Contains(a, "KillUnit") || strings.Contains(a, "RestartUnit") || strings.Contains(a, "MaskUnit") || strings.Contains(a, "DisableUnit")
				}) && slices.ContainsFunc(c.args(), landmark.Ours)
			}
			if c.name == "start-stop-daemon" {
				return c.opts("").Has("K", "stop") && slices.ContainsFunc(c.args(), landmark.Ours)
			}
			if len(w) == 0 || landmark.Starts(w, "status|show|cat|is-active|is-enabled|list-units|list|logs|info") || len(w) > 1 && w[1] == "status" {
				return false
			}
			return slices.ContainsFunc(w, landmark.Ours)
		}},
		{id: "attach", family: family, severity: critical, programs: "gdb lldb strace ltrace gcore gdbserver perf rr pyrasite py-spy reptyr frida", reason: "looks into Phantom's own process, or that of init", suggestion: "debug a process that you started", match: func(c *call) bool {
			o := c.opts("poexdsn", "pid", "attach")
			return slices.ContainsFunc(slices.Concat(o.Values("p", "pid", "attach"), o.Operands), func(p string) bool {
				return p == "1" || strings.HasPrefix(p, shell.Unknown) && (strings.Contains(p, "phantom") || c.searched("phantom"))
			})
		}},
		{id: "own-command", family: family, severity: critical, programs: "phantom", reason: "uses Phantom's own commands as the owner would", suggestion: "ask the owner", match: func(c *call) bool {
			w := c.opts("", "home").Operands
			return len(w) > 0 && !c.asksHelp() && !landmark.Starts(w, "guard|status|doctor|version|help|redact|cost|completion")
		}},
		{id: "stop-service", family: family, severity: destructive, programs: "systemctl service initctl rc-service supervisorctl pm2 launchctl invoke-rc.d", reason: "stops a service that the machine needs", suggestion: "restart the one service that you changed", match: func(c *call) bool {
			w := c.words()
			if c.name == "service" || c.name == "invoke-rc.d" || c.name == "rc-service" {
				return len(w) > 1 && landmark.Vital(w[0]) && slices.Contains([]string{"stop", "force-stop"}, w[1])
			}
			if !landmark.Starts(w, "stop|disable|mask|kill|delete|bootout|unload|remove|shutdown") {
				return false
			}
			return len(w) == 1 || slices.ContainsFunc(w[1:], landmark.Vital) || unknown(w[1:])
		}},
		{id: "init-script", family: family, severity: destructive, reason: "stops a service that the machine needs", suggestion: "ask the owner", match: func(c *call) bool {
			return len(c.Argv) > 1 && strings.HasPrefix(c.Argv[0], "/etc/init.d/") && landmark.Vital(c.name) && c.has("stop", "restart")
		}},
		{id: "power", family: "power", severity: destructive, programs: "reboot poweroff halt shutdown init telinit systemctl rtcwake kexec loginctl pm-suspend pm-hibernate dbus-send busctl ipmitool virsh openrc-shutdown openrc rc runit-init s6-linux-init-hpr dinitctl initctl zzz ZZZ gdbus qdbus qdbus6 gnome-session-quit xfce4-session-logout qm pct xe grub-reboot", reason: "turns the machine off or restarts it", suggestion: "ask the owner to do this", match: func(c *call) bool { return c.use().Power() }},
		{id: "sysrq", family: "power", severity: critical, reason: "orders the kernel to crash, restart or unmount", suggestion: "ask the owner", match: func(c *call) bool {
			return slices.ContainsFunc(c.written(), func(w string) bool { return strings.HasPrefix(c.abs(w), "/proc/sysrq") })
		}},
		{id: "kernel", family: "process", severity: destructive, programs: "sysctl insmod modprobe rmmod setenforce aa-teardown aa-disable aa-complain", reason: "changes the running kernel or its protection", suggestion: "ask the owner", match: func(c *call) bool {
			switch c.name {
			case "sysctl":
				return c.has("-w", "--write", "-p", "--system", "--load") || slices.ContainsFunc(c.args(), func(a string) bool { return strings.Contains(a, "=") })
			case "aa-teardown", "aa-disable", "aa-complain":
				return true
			case "setenforce":
				return c.has("0", "Permissive")
			case "modprobe":
				return len(c.Argv) > 1 && !c.has("-n", "--dry-run", "-c", "--showconfig", "-D")
			}
			return len(c.Argv) > 1
		}},
	}
}

func killsVital(c *call) bool {
	switch c.name {
	case "kill", "tkill":
		return slices.ContainsFunc(landmark.Signalled(c.args()), func(p string) bool {
			return p == "1" || p == "-1" || strings.HasPrefix(p, shell.Unknown) && (strings.Contains(p, "phantom") || strings.Contains(p, "systemd") || strings.HasSuffix(p, "init"))
		}) || unknown(landmark.Signalled(c.args())) && c.searched("phantom")
	case "killall5":
		return !c.has("-h")
	case "xkill":
		return c.has("-a", "-all")
	}
	if parent, _ := c.opts("PsuUGgtFo", "parent").Value("P", "parent"); parent == "1" && c.name == "pkill" {
		return true
	}
	return slices.ContainsFunc(c.killNames(), func(n string) bool {
		if (strings.ContainsAny(n, "[]?.*|+(\\^$") || c.name == "pkill" && len(n) > 3) && c.matchesVital(n) {
			return true
		}
		n = strings.Trim(n, "^$.*()")
		return strings.Contains(n, "phantom") || slices.Contains([]string{"systemd", "init", "", "dbus-daemon", "sshd", "dockerd", "containerd", "kthreadd"}, n)
	})
}

// matchesVital reports whether a pattern of pkill, or one that the shell would
// expand, takes in a process that must live.
func (c *call) matchesVital(pattern string) bool {
	re, err := regexp.Compile(pattern)
	return slices.ContainsFunc([]string{"phantom", "systemd", "sshd", "dbus-daemon", "dockerd"}, func(name string) bool {
		if err == nil && re.MatchString(name) && (c.name != "killall" || c.opts("").Has("r", "regexp")) {
			return true
		}
		ok, err := filepath.Match(pattern, name)
		return ok && err == nil
	})
}

// killNames returns the names and patterns that pkill and killall are given.
func (c *call) killNames() []string {
	var args []string
	for _, a := range c.args() {
		// A signal looks like bundled options, but its digits and capitals take no value.
		if len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && len(a) > 2 || len(a) == 2 && a[0] == '-' && a[1] <= '9' {
			continue
		}
		args = append(args, a)
	}
	short := "suUGgPtrF"
	if c.name != "pkill" {
		short = "suoyn"
	}
	return shell.ParseOptions(args, short, []string{"signal", "user", "euid", "group", "parent", "terminal", "ns"}, false).Operands
}

// searched reports whether the line looks for processes of that name.
func (c *call) searched(name string) bool {
	return slices.ContainsFunc(c.line, func(o shell.Call) bool {
		return slices.Contains([]string{"grep", "pgrep", "pidof", "awk", "egrep", "fgrep"}, o.Name()) && strings.Contains(strings.ReplaceAll(strings.ReplaceAll(strings.Join(o.Argv[1:], " "), "[", ""), "]", ""), name)
	})
}

func killsMany(c *call) bool {
	switch c.name {
	case "kill":
		listed := slices.ContainsFunc(c.line, func(o shell.Call) bool { return landmark.ListsProcesses(o.Name(), o.Argv) })
		picked := slices.ContainsFunc(c.line, func(o shell.Call) bool { return landmark.Picks(o.Name(), o.Argv) })
		return unknown(landmark.Signalled(c.args())) && listed && !picked || slices.ContainsFunc(landmark.Signalled(c.args()), func(p string) bool {
			return strings.ContainsAny(p, "*?[") || strings.HasPrefix(p, shell.Unknown) && slices.ContainsFunc([]string{"-u", "sshd", "."}, func(s string) bool { return strings.HasSuffix(p, s) || strings.HasPrefix(p, shell.Unknown+s) })
		})
	case "fuser":
		return c.opts("n").Has("k", "kill") && slices.ContainsFunc(c.words(), func(w string) bool { return c.hits(w) >= place.System })
	}
	return c.has("-u", "-U", "--user", "--euid") || slices.ContainsFunc(c.killNames(), func(n string) bool {
		n = strings.Trim(n, "^$*()")
		return len(strings.Trim(n, ".")) <= 1 || slices.Contains([]string{"bash", "sh", "ssh", "docker", "cron", "crond", "rsyslogd", "auditd", "fail2ban-server", "caddy", "tmux", "screen", "Xorg", "gnome-shell", "NetworkManager"}, n) || strings.Contains(n, shell.Unknown)
	})
}

func networkRules() []rule {
	const family = "firewall"
	const why, safer = "opens the firewall or cuts the machine off", "ask the owner; add one rule instead of flushing all"
	return []rule{
		{id: "firewall-flush", family: family, severity: destructive, programs: "iptables ip6tables nft ufw firewall-cmd ipset pfctl ebtables arptables iptables-restore ip6tables-restore iptables-legacy iptables-nft shorewall shorewall6 csf netfilter-persistent iptables-persistent", reason: why, suggestion: safer, match: func(c *call) bool { return c.use().Firewall() }},
		{id: "network-down", family: family, severity: destructive, programs: "ip ifconfig ifdown nmcli route iw rfkill netplan", reason: why, suggestion: safer, match: func(c *call) bool {
			w := c.words()
			switch c.name {
			case "ip":
				return c.has("flush") || landmark.Starts(w, "link|l", "set") && c.has("down") || landmark.Starts(w, "link|l|address|addr|a|route|r|rule|netns", "del|delete")
			case "ifconfig":
				return c.has("down")
			case "nmcli":
				return landmark.Starts(w, "networking|radio|n|r", "off|wifi|all") && c.has("off") || landmark.Starts(w, "connection|con|c|device|dev|d", "down|delete|disconnect")
			case "route":
				return c.has("del", "delete", "flush")
			case "ifdown":
				return len(w) > 0 || c.has("-a")
			}
			return c.name == "rfkill" && landmark.Starts(w, "block")
		}},
	}
}

func accountRules() []rule {
	const family = "accounts"
	return []rule{
		{id: "account-change", family: family, severity: destructive, programs: "useradd userdel usermod adduser deluser groupadd groupdel groupmod addgroup delgroup passwd chpasswd newusers gpasswd chage chsh chfn vipw vigr visudo pam-auth-update dscl pwconv pwunconv grpconv faillock authselect update-passwd", reason: "changes who may log in or act as whom", suggestion: "ask the owner", match: func(c *call) bool {
			switch c.name {
			case "passwd":
				return !c.has("-S", "--status") && !c.asksHelp()
			case "chage":
				return !c.has("-l", "--list")
			case "visudo":
				return !c.has("-c", "--check")
			case "dscl":
				return c.has("-create", "-delete", "-passwd", "-append")
			case "faillock":
				return c.has("--reset")
			}
			return !c.asksHelp()
		}},
		{id: "cron-edit", family: family, severity: destructive, programs: "crontab at batch systemd-run systemctl ssh-copy-id", reason: "changes what the machine runs by itself", suggestion: "use Phantom's own schedule", match: func(c *call) bool {
			switch c.name {
			case "crontab":
				return !c.opts("u").Has("l") && !c.asksHelp() && (len(c.Argv) > 1 || c.Piped)
			case "systemd-run":
				return slices.ContainsFunc(c.args(), func(a string) bool { return strings.HasPrefix(a, "--on-") })
			case "at", "batch":
				if c.Piped && c.Stdin != "" && !strings.Contains(c.Stdin, shell.Unknown) {
					return false // what it will run was judged with the line
				}
				return (len(c.Argv) > 1 || c.Piped) && !c.has("-l", "-c", "-V")
			case "systemctl":
				w := c.words()
				return landmark.Starts(w, "edit|link|revert") || landmark.Starts(w, "enable|reenable|preset") && slices.ContainsFunc(w[1:], func(u string) bool { return strings.Contains(u, "/") })
			case "ssh-copy-id":
				return slices.ContainsFunc(c.words(), func(h string) bool {
					_, host, _ := strings.Cut("@"+h, "@")
					host = host[strings.LastIndex(host, "@")+1:]
					return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
				})
			}
			return true
		}},
		{id: "account-file", family: family, severity: destructive, reason: "edits a file that decides who may log in, or what starts by itself", suggestion: "ask the owner", match: func(c *call) bool {
			trees, files := c.removed()
			if c.name == "rsync" || c.name == "vi" && c.has("-R") {
				return false
			}
			return slices.ContainsFunc(slices.Concat(trees, files, c.written()), func(w string) bool {
				return landmark.AccountFile(c.abs(w)) || strings.HasPrefix(w, "/") && landmark.AccountFile(filepath.Clean(w))
			})
		}},
	}
}

func packageRules() []rule {
	return []rule{{id: "package-essential", family: "packages", severity: destructive, programs: "apt apt-get aptitude nala apt-fast dpkg dnf dnf5 yum microdnf tdnf rpm pacman apk zypper snap emerge xbps-remove opkg eopkg", reason: "removes packages that the machine cannot do without", suggestion: "remove the one package that you installed", match: func(c *call) bool { return c.use().Essential() }}}
}

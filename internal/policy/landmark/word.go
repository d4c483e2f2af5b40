package landmark

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func SecretName(name string) bool {
	up := strings.ToUpper(name)
	return slices.ContainsFunc([]string{"KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "PASSPHRASE", "AUTH", "DATABASE_URL", "DSN", "WEBHOOK"}, func(s string) bool { return strings.Contains(up, s) }) && up != "SSH_AUTH_SOCK" && !strings.Contains(up, "KEYBOARD") && !strings.Contains(up, "AUTHOR")
}

// Metadata reports whether a word names the metadata service of a cloud, in
// any of the ways to write its address.
func Metadata(arg string) bool {
	low := strings.ToLower(arg)
	for _, h := range []string{"metadata.google.internal", "metadata.azure", "metadata.goog", "instance-data.ec2", "metadata.tencentyun", "metadata.oraclecloud", "169.254.169.254.nip.io"} {
		if strings.Contains(low, h) {
			return true
		}
	}
	if _, rest, ok := strings.Cut(low, "://"); ok {
		low = rest
	}
	if _, rest, ok := strings.Cut(low, "@"); ok {
		low = rest
	}
	host, _, _ := strings.Cut(low, "/")
	// What only the run knows stands as a rune of private use, and may begin the path.
	host, _, _ = strings.Cut(host, "\uE000")
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
	} else if strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	if host == "metadata" && strings.Contains(arg, "://") {
		return true
	}
	addr, ok := address(host)
	if !ok {
		return false
	}
	return slices.Contains([]string{"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "169.254.169.123"}, addr.Unmap().String())
}

// address reads an IP address the way inet_aton does: one to four numbers,
// each decimal, octal or hexadecimal.
func address(host string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, s := range parts {
		n, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			v = v<<(8*(4-i)) | n
			break
		}
		v = v<<8 | n&0xff
	}
	if len(parts) == 1 && v < 1<<24 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// Vital are the services without which the machine, or Phantom, is lost.
func Vital(unit string) bool {
	unit = strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".socket")
	return Ours(unit) || slices.Contains([]string{
		"docker", "containerd", "ssh", "sshd", "dbus", "NetworkManager", "networking", "systemd-networkd", "systemd-resolved", "systemd-journald", "systemd-logind",
		"firewalld", "ufw", "nftables", "iptables", "fail2ban", "auditd", "rsyslog", "syslog", "cron", "crond", "apparmor", "cloud-init", "init", "caddy", "*", "all",
	}, unit) || strings.Contains(unit, "*")
}

// Ours reports whether a unit's or a service's name is Phantom's.
func Ours(name string) bool {
	return slices.Contains(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("/.-@_:", r) }), "phantom")
}

// Essential reports whether a machine cannot do without a package.
func Essential(pkg string) bool {
	pkg, _, _ = strings.Cut(pkg, ":")
	if strings.HasSuffix(pkg, "-dev") || strings.HasSuffix(pkg, "-doc") || strings.HasSuffix(pkg, "-dbg") {
		return false
	}
	for _, p := range []string{"linux-image", "linux-headers-generic", "linux-generic", "kernel", "libc6", "libc-bin", "libgcc-s", "libstdc++6", "libsystemd", "libudev", "libpam", "libapt-pkg", "libselinux", "glibc", "grub", "systemd", "openssh-server", "python3-minimal", "*", "?essential", "~E", "apt-transport", "debian-archive", "ubuntu-minimal", "ubuntu-standard", "shim", "dracut"} {
		if strings.HasPrefix(pkg, p) {
			return true
		}
	}
	return strings.HasSuffix(pkg, "*") && len(pkg) < 5 || slices.Contains([]string{
		"bash", "dash", "coreutils", "util-linux", "sudo", "apt", "dpkg", "rpm", "dnf", "yum", "pacman", "init", "sysvinit", "libssl3", "openssl", "passwd", "login", "mount", "tar", "gzip", "grep",
		"sed", "findutils", "base-files", "base-passwd", "perl-base", "python3", "python", "network-manager", "NetworkManager", "iproute2", "openssh", "docker-ce", "docker.io", "musl", "busybox", "alpine-base",
		"libpam0g", "libpam-modules", "e2fsprogs", "hostname", "procps", "udev", "filesystem", "ca-certificates", "ncurses-base", "zlib1g", "debianutils", "diffutils", "initramfs-tools", "netplan.io", "ufw", "fail2ban", "cloud-init",
		"init-system-helpers", "sysvinit-utils", "debconf", "gpgv", "gnupg", "adduser", "bsdutils", "ncurses-bin", "mawk", "gawk", "netbase", "kmod", "dbus", "ifupdown", "openssh-client", "isc-dhcp-client", "lsb-base", "apt-utils", "shadow", "shadow-utils", "setup", "bzip2", "xz-utils", "lvm2", "cryptsetup", "mdadm",
		"linux-firmware", "linux-base", "linux", "efibootmgr", "openrc", "runit", "apk-tools", "alpine-baselayout", "musl-utils", "libcrypto3", "nftables", "iptables", "firewalld", "snapd", "core", "libssl1.1", "libcrypt1", "libtinfo6", "liblzma5", "libzstd1", "libblkid1", "libmount1", "libuuid1", "usrmerge", "polkit", "polkitd", "cron", "rsyslog",
	}, pkg)
}

// Uncommented takes the comments out of SQL, but for those that MySQL runs.
func Uncommented(sql string) string {
	var out strings.Builder
	for i := 0; i < len(sql); {
		end := -1
		switch rest := sql[i:]; {
		case strings.HasPrefix(rest, "/*") && !strings.HasPrefix(rest, "/*!"):
			if end = strings.Index(rest, "*/"); end >= 0 {
				end += 2
			}
		case strings.HasPrefix(rest, "-- "):
			if end = strings.IndexByte(rest, '\n'); end < 0 {
				end = len(rest)
			}
		}
		if end < 0 {
			out.WriteByte(sql[i])
			i++
			continue
		}
		out.WriteByte(' ')
		i += end
	}
	return out.String()
}

// Unquoted takes the string literals out of SQL, unless they may be run.
func Unquoted(sql string) string {
	up := strings.ToUpper(sql)
	if strings.Contains(up, "EXEC") || strings.Contains(up, "PREPARE") || strings.Contains(up, "FORMAT(") {
		return sql
	}
	var out strings.Builder
	for i, part := range strings.Split(sql, "'") {
		if i%2 == 0 {
			out.WriteString(part)
		}
	}
	return out.String()
}

func DestroysData(words []string) bool {
	for i, w := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case w == "DROP" && slices.Contains([]string{"DATABASE", "SCHEMA", "TABLE", "USER", "ROLE", "OWNED", "TABLESPACE", "KEYSPACE", "COLLECTION", "INDEX", "VIEW"}, next) && next != "INDEX" && next != "VIEW":
			return true
		case w == "TRUNCATE" && next != "":
			return true
		case w == "DELETE" && next == "FROM" && !slices.Contains(words[i:], "WHERE"):
			return true
		case w == "UPDATE" && slices.Contains(words[i:], "SET") && !slices.Contains(words[i:], "WHERE"):
			return true
		case w == "DELETE" && (next == "FROM" || next == "WHERE") && slices.ContainsFunc([]string{"WHERE 1=1", "WHERE 1 = 1", "WHERE 1", "WHERE TRUE", "WHERE NOT FALSE"}, func(all string) bool { return strings.HasSuffix(strings.Join(words, " "), all) }):
			return true
		}
	}
	return false
}

// PowerUnit reports whether to start a unit is to stop the machine.
func PowerUnit(unit string) bool {
	name, kind, _ := strings.Cut(unit, ".")
	name = strings.TrimPrefix(name, "systemd-")
	return kind == "target" && slices.Contains([]string{"runlevel0", "runlevel1", "runlevel6", "ctrl-alt-del", "rescue", "emergency", "sigpwr"}, name) ||
		(kind == "target" || kind == "service" && name != unit) && slices.Contains([]string{"reboot", "poweroff", "halt", "kexec", "suspend", "hibernate", "hybrid-sleep", "shutdown", "exit", "soft-reboot", "umount", "final"}, name)
}

// Reader are the programs that show a file or send it away, each with the
// options that take a value.
func Reader(name string) (string, bool) {
	switch name {
	case "cat", "less", "more", "tac", "nl", "bat", "batcat", "strings", "xxd", "hexdump", "od", "base64", "base32", "rev", "view", "zcat", "vim", "vi", "nano", "emacs", "code", "sponge", "md5sum", "pr", "fold", "fmt", "column", "uuencode", "gpg", "diff", "sdiff", "comm", "join", "jq", "yq", "dd", "gdb":
		return "", true
	case "head", "tail":
		return "nc", true
	case "cut", "sort", "paste", "tr", "uniq":
		return "dfckt", true
	case "grep", "egrep", "fgrep", "rg", "ag", "ack", "zgrep":
		return "ABCmefgt", true
	case "awk", "gawk", "mawk", "sed":
		return "Fvfe", true
	case "perl", "ruby":
		return "eEIMmF", true
	case "cp", "mv", "install", "ln":
		return "tSmog", true
	case "scp", "sftp":
		return "iPoFcJl", true
	case "rsync":
		return "eTf", true
	case "curl":
		return "HXAuob", true
	case "tar", "bsdtar":
		return "CXTfI", true
	case "zip", "7z", "gzip", "bzip2", "xz", "zstd", "rar", "age":
		return "", true
	case "nc", "ncat", "wget", "http", "httpie", "mail", "mutt", "sendmail", "croc", "magic-wormhole", "wormhole", "transfer", "telnet", "openssl", "socat", "aws", "gsutil", "rclone", "gcloud":
		return "", true
	}
	return "", false
}

// Looker are the programs that may name Phantom's own readable files.
func Looker(name string) bool {
	return slices.Contains([]string{"cat", "less", "more", "head", "tail", "grep", "egrep", "fgrep", "rg", "ls", "wc", "diff", "stat", "file", "sha256sum", "md5sum", "cmp", "nl", "tac", "cut", "sort", "uniq", "tree", "du", "find", "test", "[", "cd", "readlink", "realpath", "basename", "dirname", "bat", "jq", "yq"}, name)
}

// Inspector are the programs that only look at the disk they are given, or
// whose own rules say when they do more.
func Inspector(name string) bool {
	return slices.Contains([]string{
		"lsblk", "blkid", "smartctl", "fdisk", "sfdisk", "sgdisk", "gdisk", "cfdisk", "cgdisk", "parted", "hdparm", "nvme", "dd", "hexdump", "xxd", "od", "strings", "b2sum", "sha1sum", "sha512sum", "udevadm", "df", "findmnt", "lsof", "fuser",
		"dumpe2fs", "xfs_info", "btrfs", "cryptsetup", "mdadm", "pvs", "vgs", "lvs", "pvdisplay", "vgdisplay", "lvdisplay", "badblocks", "iostat", "blockdev", "losetup", "swapon", "swapoff", "mount", "umount", "fsck", "e2fsck", "tune2fs",
		"debugfs", "e2label", "eject", "partprobe", "ioping", "sdparm", "lshw", "hwinfo", "udisksctl", "mdev", "isoinfo", "xfs_repair", "resize2fs", "wipefs", "git", "gh", "awk", "sed", "chmod", "chown", "ln", "rm", "find", "docker", "podman",
	}, name)
}

// Talker never open the words they are given.
func Talker(name string) bool {
	return slices.Contains([]string{"echo", "printf", "logger", "notify-send", "man", "which", "type", "true", "false", ":", "export", "declare", "local", "basename", "dirname"}, name)
}

// Signalled returns what kill is to signal.
func Signalled(args []string) []string {
	given := false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		a := args[0]
		if given && a[1] != '-' {
			return args // a group of processes, since the signal is known
		}
		args = args[1:]
		switch {
		case a == "--":
			return args
		case a == "-l" || a == "-L" || strings.HasPrefix(a, "--list") || a == "--table":
			return nil
		case a == "-s" || a == "-n" || a == "-q" || a == "--signal" || a == "--queue":
			args = args[min(1, len(args)):]
			given = true
		case a == "--timeout":
			args = args[min(2, len(args)):]
		case a != "-a" && a != "--all" && a != "-p" && a != "--pid" && a != "--verbose" && a != "--require-handler":
			given = true
		}
	}
	return args
}

// ListsProcesses reports whether a command names every process of the machine.
func ListsProcesses(name string, argv []string) bool {
	if name == "ps" {
		return true
	}
	return slices.Contains([]string{"ls", "find", "echo", "printf", "fd", "sh", "bash"}, name) && slices.ContainsFunc(argv[1:], func(a string) bool {
		return a == "/proc" || a == "/proc/" || strings.HasPrefix(a, "/proc/[") || strings.HasPrefix(a, "/proc/*") || strings.HasPrefix(a, "/proc/?")
	})
}

// Picks reports whether a command lets only some lines through, and not just
// whatever is a number.
func Picks(name string, argv []string) bool {
	return strings.HasSuffix(name, "grep") && slices.ContainsFunc(argv[1:], func(a string) bool {
		return !strings.HasPrefix(a, "-") && strings.Trim(strings.NewReplacer("digit", "", "proc", "").Replace(a), `^$[]0123456789-+*\d{}(),?:/.x`) != ""
	})
}

// Namer reports whether a program tells of files no more than their names and sizes.
func Namer(program string) bool {
	return slices.Contains([]string{"ls", "stat", "du", "tree", "test", "[", "basename", "dirname", "realpath", "readlink", "find", "cd", "file"}, program)
}

// HostPort returns the host and the port that an address or a URL names; the
// port is empty if it names none.
func HostPort(arg string) (host, port string) {
	if _, rest, ok := strings.Cut(arg, "://"); ok {
		arg = rest
	}
	if end := strings.IndexAny(arg, "/?#"); end >= 0 {
		arg = arg[:end]
	}
	if at := strings.LastIndex(arg, "@"); at >= 0 {
		arg = arg[at+1:]
	}
	host, port, err := net.SplitHostPort(arg)
	if err != nil {
		return arg, ""
	}
	return host, port
}

// Loopback reports whether a host is this machine, in any of the ways to write
// its address.
func Loopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "host.docker.internal" || host == "0" {
		return true
	}
	a, ok := address(host)
	return ok && (a.Unmap().IsLoopback() || a.Unmap().IsUnspecified())
}

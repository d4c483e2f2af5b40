// Package landmark knows which names mean something: paths, services,
// packages and addresses that a machine, its owner or Phantom depends on.
//
// It owns those lists and nothing else. It sees a name alone, judges nothing
// and touches nothing; only package policy asks it.
package landmark

import (
	"path/filepath"
	"slices"
	"strings"
)

// Under reports whether path is dir or lies below it.
func Under(dir, path string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// SystemTops are the directories of the root that hold the system and its users.
func SystemTops() []string {
	return []string{
		"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "usr", "var",
		"home", "opt", "srv", "mnt", "media", "snap", "Users", "System", "Library", "Applications",
	}
}

// Wild reports whether a path element matches everything or nearly so.
func Wild(elem string) bool {
	return strings.ContainsAny(elem, "*?") && strings.Trim(elem, ".*?[]!^-") == ""
}

// Device reports whether path is a disk, or the machine's memory.
func Device(path string) bool {
	name, ok := strings.CutPrefix(filepath.Clean(path), "/dev/")
	if !ok {
		return false
	}
	for _, p := range []string{"sd", "hd", "vd", "xvd", "nvme", "mmcblk", "dm-", "mapper/", "md", "disk", "rdisk", "loop", "zd", "bcache", "nbd", "sr", "mem", "kmem", "port", "block/", "mtd", "ram", "root"} {
		if rest, ok := strings.CutPrefix(name, p); ok && (rest != "" || !slices.Contains([]string{"md", "sd", "hd", "vd", "ram", "loop"}, p)) {
			return true
		}
	}
	return slices.ContainsFunc([]string{"/dev/sda", "/dev/nvme0n1", "/dev/vda", "/dev/mmcblk0"}, func(d string) bool {
		m, err := filepath.Match(path, d)
		return err == nil && m
	})
}

// LogFile reports whether a path holds a log or a shell's history.
func LogFile(path string) bool {
	base := filepath.Base(path)
	if strings.HasPrefix(base, ".") && strings.HasSuffix(base, "_history") || base == ".histfile" || base == "fish_history" {
		return true
	}
	if strings.ContainsAny(base, "*?[") && (strings.HasPrefix(base, ".") || strings.HasSuffix(base, "_history")) && !Wild(base) && slices.ContainsFunc([]string{".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history"}, func(h string) bool {
		ok, err := filepath.Match(base, h)
		return ok && err == nil
	}) {
		return true
	}
	path = filepath.Clean(path)
	return Under("/var/log", path) || Under("/var/audit", path) || Under("/run/log/journal", path) || path == "/var/run/utmp" || path == "/run/utmp"
}

// PhantomHome is the name of Phantom's home, unless its owner chose another.
const PhantomHome = ".phantom"

// PhantomFile reports whether a path is named like one in a home of Phantom's,
// other than in its workspace.
func PhantomFile(path string) bool {
	elems := strings.Split(filepath.Clean(path), "/")
	for i, e := range elems[:len(elems)-1] {
		// A pattern of the shell may stand for it.
		if ok, err := filepath.Match(e, PhantomHome); (ok || err != nil) && strings.HasPrefix(e, ".p") && elems[i+1] != "workspace" {
			return true
		}
	}
	return false
}

// AccountFile reports whether a path decides who may log in, run as whom, or
// what starts by itself.
func AccountFile(path string) bool {
	for _, p := range []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh", "/etc/pam.d", "/etc/pam.conf", "/etc/security", "/etc/crontab", "/etc/anacrontab", "/etc/ld.so.preload", "/etc/profile", "/etc/profile.d", "/etc/bash.bashrc", "/etc/environment", "/var/spool/cron", "/etc/systemd", "/lib/systemd", "/usr/lib/systemd", "/etc/init.d", "/etc/rc.local", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/root/.ssh", "/etc/subuid", "/etc/doas.conf", "/etc/polkit-1"} {
		if Under(p, path) {
			return true
		}
	}
	if strings.HasPrefix(path, "/etc/cron") {
		return true
	}
	for _, tail := range []string{"/.ssh/authorized_keys", "/.ssh/authorized_keys2", "/.ssh/config", "/.ssh/rc", "/.bashrc", "/.bash_profile", "/.profile", "/.bash_login", "/.bash_logout", "/.zshrc", "/.zprofile", "/.zshenv", "/.pam_environment", "/.xprofile", "/.xsession", "/.xinitrc", "/.bash_aliases", "/.zlogin", "/.login", "/.cshrc", "/.kshrc", "/.inputrc", "/.config/fish/config.fish", "/.netrc"} {
		if strings.HasSuffix(path, tail) || standsFor(filepath.Base(path), filepath.Base(tail)) {
			return true
		}
	}
	path += "/"
	return strings.Contains(path, "/.config/systemd/user/") || strings.Contains(path, "/.config/autostart/") || strings.Contains(path, "/LaunchAgents/") || strings.Contains(path, "/LaunchDaemons/")
}

// standsFor reports whether a pattern of the shell that says something of a name
// stands for it.
func standsFor(pattern, name string) bool {
	if len(strings.Trim(pattern, "*?[]")) < 4 || !strings.ContainsAny(pattern, "*?[") || pattern[0] != name[0] {
		return false
	}
	ok, err := filepath.Match(pattern, name)
	return ok && err == nil
}

// SecretFile reports whether a file of that name usually holds secrets.
func SecretFile(path string) bool {
	path = filepath.Clean(path)
	base := filepath.Base(path)
	if strings.HasSuffix(base, ".pub") || base == "known_hosts" {
		return false
	}
	if base == ".env" || strings.HasPrefix(base, ".env.") || strings.HasPrefix(base, ".env*") {
		return !slices.ContainsFunc([]string{"example", "sample", "template", "dist", "schema", "defaults"}, func(s string) bool { return strings.Contains(base, s) })
	}
	if slices.Contains([]string{
		"id_rsa", "id_ed25519", "id_ecdsa", "id_dsa", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".pypirc", ".git-credentials", "shadow", "gshadow", "shadow-", ".vault-token", "master.key",
		".htpasswd", "credentials.json", "service-account.json", "application_default_credentials.json", "hosts.yml", ".s3cfg", ".boto", "secrets.yml", "secrets.yaml", "secrets.json", ".dockercfg", "privkey.pem", "terraform.tfstate", "login.keychain",
		"kubeconfig", "Login Data", "logins.json", "cookies.sqlite", "Cookies", "key3.db", "signons.sqlite", "key4.db", "wallet.dat", ".npmrc", "passwd.bak", "opasswd", "krb5.keytab",
	}, base) && (base != "hosts.yml" || strings.Contains(path, "/gh/")) {
		return true
	}
	if strings.HasPrefix(base, "id_") && strings.Contains(path, ".ssh/") || strings.HasPrefix(base, "ssh_host_") && strings.Contains(base, "_key") {
		return true
	}
	for _, tail := range []string{".aws/credentials", ".aws/config", ".kube/config", ".docker/config.json", ".config/gcloud", ".gnupg", ".azure", ".password-store", ".ssh/*", ".ssh/id*", ".config/gh", "/etc/ssl/private", "/run/secrets", "/var/run/secrets", ".config/rclone/rclone.conf", "/etc/sudoers"} {
		if strings.HasSuffix(path, "/"+strings.TrimPrefix(tail, "/")) || strings.Contains(path, "/"+strings.TrimPrefix(tail, "/")+"/") || path == tail {
			return true
		}
	}
	if base == ".ssh" || strings.HasPrefix(base, ".") && strings.HasSuffix(base, "_history") {
		return true
	}
	if strings.HasPrefix(path, "/proc/") && (base == "environ" || base == "mem") || path == "/dev/mem" || path == "/proc/kcore" {
		return true
	}
	ext := filepath.Ext(base)
	return ext == ".key" || ext == ".pfx" || ext == ".p12" || ext == ".jks" || ext == ".kdbx" || ext == ".keystore" || ext == ".pem" && (strings.Contains(base, "priv") || strings.Contains(base, "key"))
}

// SecretPattern reports whether a pattern of the shell, though not nearly every
// one, takes in a file that usually holds secrets.
func SecretPattern(pattern string) bool {
	base := filepath.Base(pattern)
	if base == "*.pem" || base == "*.key" || base == "*.env" {
		return true
	}
	if !strings.ContainsAny(pattern, "*?[") || Wild(base) || len(strings.Trim(base, "*?[]")) < 2 && base[0] != '.' {
		return false
	}
	have := strings.Split(pattern, "/")
	return slices.ContainsFunc([]string{
		".env", ".env.local", ".env.production", "/proc/self/environ", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", ".ssh/id_rsa", ".ssh/id_ed25519", "id_rsa", "id_ed25519",
		".aws/credentials", ".kube/config", ".docker/config.json", ".netrc", ".git-credentials", ".pgpass", ".bash_history", ".gnupg/secring.gpg",
	}, func(name string) bool {
		want := strings.Split(name, "/")
		if len(want) > len(have) {
			return false
		}
		for i, elem := range want {
			at := have[len(have)-len(want)+i]
			if ok, err := filepath.Match(at, elem); err != nil || !ok || strings.HasPrefix(elem, ".") && !strings.HasPrefix(at, ".") && !strings.HasPrefix(at, "[.") {
				return false
			}
		}
		return true
	})
}

// Private tells whether a path below a home is one that its owner would miss.
func Private(rel string) bool {
	first, _, _ := strings.Cut(rel, "/")
	switch first {
	case ".ssh", ".gnupg", ".aws", ".kube", ".password-store", ".mozilla", ".thunderbird", ".docker":
		return true
	case "Documents", "Desktop", "Pictures", "Music", "Videos", "Downloads", ".config", ".local":
		return rel == first
	}
	return false
}

// PathsIn returns the parts of an argument that may be a path.
func PathsIn(arg string) []string {
	out := []string{arg}
	for _, sep := range []string{"=", "@", ":"} {
		if _, v, ok := strings.Cut(arg, sep); ok && v != "" {
			out = append(out, v)
		}
		if v, _, ok := strings.Cut(arg, sep); ok && sep == ":" && v != "" {
			out = append(out, v)
		}
	}
	if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' {
		out = append(out, arg[2:])
	}
	return out
}

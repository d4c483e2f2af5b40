package resource

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// Published reports whether a package goes to, or is taken from, a registry
// that everybody reads. What is published there cannot be called back.
func (u Use) Published() bool {
	w := u.words()
	// Some programs take the last word on it, and "false" behind the option.
	if u.has("--help", "-h") || u.has("--dry-run") && !u.has("--no-dry-run", "false") || u.has("-n") && slices.Contains([]string{"cargo", "dart", "flutter"}, u.Program) {
		return false
	}
	name := u.Program
	// A runner's first operand is the program.
	switch {
	case (name == "npx" || name == "bunx" || name == "pnpx" || name == "uvx" || name == "pipx") && len(w) > 0:
		name, w = w[0], w[1:]
		if u.Program == "pipx" && name == "run" && len(w) > 0 {
			name, w = w[0], w[1:]
		}
	case strings.HasPrefix(name, "python") && u.has("-m"):
		if i := slices.Index(u.Args, "-m"); i+1 < len(u.Args) {
			name, w = u.Args[i+1], u.Args[i+2:]
		}
	}
	switch name {
	case "npm", "pnpm", "yarn", "bun":
		return landmark.Starts(w, "publish|unpublish|deprecate") || landmark.Starts(w, "owner|access", "add|rm|remove|grant|revoke|set|public") || landmark.Starts(w, "npm", "publish")
	case "lerna", "changeset", "vsce", "ovsx", "flit", "hatch", "poetry", "uv", "pdm", "maturin":
		return landmark.Starts(w, "publish|unpublish|upload")
	case "twine", "cabal":
		return landmark.Starts(w, "upload")
	case "cargo":
		return landmark.Starts(w, "publish|yank") || landmark.Starts(w, "owner") && u.has("--add", "-a", "--remove", "-r")
	case "gem":
		return landmark.Starts(w, "push|yank") || landmark.Starts(w, "owner") && u.has("--add", "-a", "--remove", "-r")
	case "mvn", "mvnw":
		return slices.ContainsFunc(w, func(a string) bool { return a == "deploy" || a == "release:perform" || strings.HasSuffix(a, ":deploy") })
	case "gradle", "gradlew":
		return slices.ContainsFunc(w, func(a string) bool {
			task := a[strings.LastIndex(a, ":")+1:]
			return strings.HasPrefix(task, "publish") && !strings.HasSuffix(task, "ToMavenLocal")
		})
	case "dotnet":
		return landmark.Starts(w, "nuget", "push|delete")
	case "nuget", "choco":
		return landmark.Starts(w, "push|delete")
	case "mix":
		return landmark.Starts(w, "hex.publish|hex.retire|hex.owner")
	case "pod":
		return landmark.Starts(w, "trunk", "push|delete|deprecate")
	case "dart", "flutter":
		return landmark.Starts(w, "pub", "publish")
	}
	return false
}

// Opened reports whether a way into this machine is made for others.
func (u Use) Opened() bool {
	switch u.Program {
	case "ssh", "autossh":
		return u.opts("BbcDEeFIiJLlmOopQRSWw").Has("R") || slices.ContainsFunc(u.Args, func(a string) bool { return strings.Contains(strings.ToLower(a), "remoteforward") })
	case "ttyd", "gotty", "shellinaboxd", "wetty", "tmate", "upterm", "sshx", "teleconsole":
		return !u.has("--version", "-v", "--help", "-h")
	case "awk", "gawk", "mawk":
		return slices.ContainsFunc(u.Args, func(a string) bool { return strings.Contains(a, "/inet/tcp/") || strings.Contains(a, "/inet/udp/") })
	case "perl":
		text := strings.Join(u.Args, " ")
		return strings.Contains(text, "IO::Socket") && slices.ContainsFunc([]string{"system", "exec", "fdopen", "open(STDIN", "`"}, func(s string) bool { return strings.Contains(text, s) })
	}
	return false
}

// Handed reports whether what a call reads goes to another machine as it is.
// A text of which a part is known was written by the line, and judged with it.
func (u Use) Handed() bool {
	if !u.Piped || strings.TrimSpace(strings.ReplaceAll(u.Stdin, shell.Unknown, "")) != "" {
		return false
	}
	o := u.opts("iopqswXxIOTVmM")
	return len(o.Operands) > 1 && !o.Has("l", "z", "listen") && !landmark.Loopback(o.Operands[0])
}

// Administered reports whether a call goes to a port of this machine from
// which all of it, or of a cluster, is ruled, without anybody being asked who
// he is.
func (u Use) Administered() bool {
	if slices.ContainsFunc(u.Args, func(a string) bool {
		return strings.HasSuffix(a, "/docker.sock") || strings.HasSuffix(a, "/containerd.sock")
	}) {
		o := u.opts("XdFTHoA", "request", "data", "unix-socket", "data-binary", "json")
		method, _ := o.Value("X", "request")
		return method != "" && method != "GET" && method != "HEAD" || o.Has("d", "data", "data-binary", "json", "T", "F")
	}
	ruled := func(host, port string) bool {
		// Docker, etcd, Caddy and the kubelet.
		return slices.Contains([]string{"2375", "2376", "4243", "2379", "2019", "10250", "10255"}, port) && landmark.Loopback(host)
	}
	if o := u.opts("iopqswXxIOTVmM").Operands; len(o) > 1 && ruled(o[0], o[1]) {
		return true // nc
	}
	return slices.ContainsFunc(u.Args, func(a string) bool { return ruled(landmark.HostPort(a)) })
}

// Filled reports whether a disk or the memory is filled until there is none left.
func (u Use) Filled(writes []string) bool {
	endless := slices.ContainsFunc(u.words(), func(w string) bool {
		return slices.Contains([]string{"/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"}, w)
	})
	switch u.Program {
	case "tail", "sort", "tac":
		return endless
	case "cp":
		return endless && !u.has("--help")
	case "cat", "pv":
		return endless && len(writes) > 0 && writes[0] != "/dev/null"
	case "yes":
		return len(writes) > 0 && writes[0] != "/dev/null"
	}
	return false
}

// Sourced reports whether programs and packages are to come from somewhere
// else, from now on.
func (u Use) Sourced() bool {
	w := u.words()
	official := func(words []string) bool {
		return slices.ContainsFunc(words, func(a string) bool {
			return slices.ContainsFunc([]string{"https://registry.npmjs.org", "https://registry.yarnpkg.com", "https://pypi.org/", "https://rubygems.org", "https://proxy.golang.org"}, func(s string) bool { return strings.HasPrefix(a, s) })
		})
	}
	switch u.Program {
	case "pip", "pip3":
		return landmark.Starts(w, "config", "set") && len(w) > 2 && (strings.HasSuffix(w[2], "index-url") || strings.HasSuffix(w[2], "trusted-host") || strings.HasSuffix(w[2], "find-links")) && !official(w)
	case "npm", "pnpm", "yarn":
		return landmark.Starts(w, "config|c", "set") && len(w) > 2 && strings.Contains(w[2], "registry") && !official(append(w, strings.TrimPrefix(w[2], "registry=")))
	case "git":
		g := shell.GitWords(append([]string{"git"}, u.Args...))
		if len(g) < 3 || g[0] != "config" || !u.has("--global", "--system") {
			return false
		}
		return slices.ContainsFunc(g[1:len(g)-1], func(a string) bool {
			return slices.Contains([]string{"core.hookspath", "core.sshcommand", "core.fsmonitor", "core.gitproxy", "init.templatedir"}, strings.ToLower(a))
		})
	}
	return false
}

// Granted reports whether somebody gets more rights in a cloud.
func (u Use) Granted() bool {
	w := u.words()
	switch u.Program {
	case "aws":
		return landmark.Starts(w, "iam", "attach-user-policy|attach-role-policy|attach-group-policy|put-user-policy|put-role-policy|put-group-policy|create-access-key|create-login-profile|update-login-profile|add-user-to-group|update-assume-role-policy|create-policy-version")
	case "gcloud":
		return slices.Contains(w, "add-iam-policy-binding") || slices.Contains(w, "set-iam-policy") || landmark.Starts(w, "iam", "service-accounts", "keys", "create")
	case "az":
		return landmark.Starts(w, "role", "assignment", "create") || landmark.Starts(w, "ad", "sp", "create-for-rbac")
	case "kubectl", "oc":
		return landmark.Starts(w, "create", "clusterrolebinding") || landmark.Starts(w, "adm", "policy")
	case "gh":
		return landmark.Starts(w, "repo", "edit") && (u.has("public") || u.has("--visibility=public"))
	}
	return false
}

// Disclosed reports whether a call shows what a password store of this machine,
// or the memory of a program that holds keys, keeps.
func (u Use) Disclosed(searched func(name string) bool) bool {
	switch u.Program {
	case "nmcli":
		return u.has("-s", "--show-secrets") || landmark.Starts(u.words(), "device|dev|d", "wifi", "show-password")
	case "sqlite3", "sqlite":
		return slices.ContainsFunc(u.words(), landmark.SecretFile)
	case "gdb", "gcore", "lldb":
		return slices.ContainsFunc([]string{"ssh-agent", "gpg-agent", "keyring", "keepass", "1password", "bitwarden"}, searched)
	}
	return false
}

// Purged reports whether a program of its own kind deletes many files, what a
// server keeps, or the machine's firmware.
func (u Use) Purged() bool {
	w := u.words()
	switch u.Program {
	case "fdupes", "jdupes":
		return u.opts("GLoX").Has("d", "delete") && u.opts("GLoX").Has("N", "noprompt", "no-prompt")
	case "rdfind":
		return u.has("-deleteduplicates") && u.has("true")
	case "systemd-tmpfiles":
		return u.has("--purge", "--remove")
	case "flashrom":
		return u.opts("plciwvrENo").Has("w", "E", "write", "erase")
	case "svn":
		return landmark.Starts(w, "delete|del|remove|rm") && slices.ContainsFunc(w, func(a string) bool { return strings.Contains(a, "://") })
	case "nomad":
		return u.has("-purge") || landmark.Starts(w, "namespace", "delete") || landmark.Starts(w, "system", "gc")
	}
	return false
}

// Orphaned reports whether a program is to kill the one that started it: the
// shell of the line, or Phantom.
func (u Use) Orphaned() bool {
	text := strings.Join(u.Args, " ") + " " + u.Stdin
	return strings.Contains(text, "kill") && slices.ContainsFunc([]string{"getppid", "Process.ppid", "process.ppid", "posix_getppid"}, func(s string) bool { return strings.Contains(text, s) })
}

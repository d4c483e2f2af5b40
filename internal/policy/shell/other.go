package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// inert reports whether a program's words are data to it: naming a command
// among them runs nothing.
func inert(name string) bool {
	return slices.Contains([]string{
		"ls", "man", "apropos", "whatis", "info", "help", "whereis", "hash", "file", "stat", "wc", "cut", "paste", "diff", "cmp", "comm", "rg", "ag", "ack", "jq", "yq",
		"test", "[", "expr", "let", "export", "declare", "local", "readonly", "typeset", "logger", "notify-send", "say", "wall", "figlet", "cowsay", "toilet", "bc", "seq",
		"apt", "apt-get", "apt-cache", "aptitude", "dpkg", "dnf", "yum", "rpm", "pacman", "apk", "brew", "snap", "flatpak", "pip", "pip3", "uv", "gem", "cargo", "npm", "yarn", "pnpm",
		"go", "cmake", "ninja", "mvn", "gradle", "gcc", "cc", "clang", "rustc", "systemctl", "service", "journalctl", "kill", "pkill", "killall", "pgrep", "ps",
		"rm", "rmdir", "unlink", "dd", "shred", "chmod", "chown", "chgrp", "chattr", "mkdir", "touch", "less", "more", "gh", "glab", "hg", "svn", "date", "sleep", "id", "whoami",
		"groups", "useradd", "userdel", "usermod", "groupadd", "passwd", "visudo", "crontab", "reboot", "shutdown", "halt", "poweroff", "jobs", "wait", "umask", "ulimit", "complete",
		"compgen", "bind", "history", "zip", "unzip", "gzip", "gunzip", "pytest", "jest", "eslint", "tldr", "vagrant", "aws", "gcloud", "az", "helm", "terraform", "code", "open", "xdg-open",
		"scp", "rsync", "sftp", "dig", "nslookup", "ping", "host", "traceroute", "printenv", "truncate", "docker-compose", "redis-cli", "mongosh", "mongo",
	}, name) || strings.HasPrefix(name, "mkfs")
}

// guarded are the programs that are looked for behind a program we do not know.
func guarded(name string) bool {
	return slices.Contains([]string{
		"rm", "dd", "shred", "wipefs", "sh", "bash", "dash", "zsh", "reboot", "shutdown", "poweroff", "halt", "chmod", "chown", "kill", "pkill", "killall",
		"iptables", "nft", "find", "sudo", "env", "docker", "git", "systemctl", "mv", "cp", "tee", "truncate", "xargs", "python", "python3", "perl", "ruby", "node", "cat", "curl", "wget",
	}, name) || strings.HasPrefix(name, "mkfs")
}

// runOther looks into a program we do not know: a guarded program among its
// words may be what it runs, and so may an option that names a command.
func runOther(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	if _, ok := s.files[s.abs(argv[0])]; ok && strings.Contains(argv[0], "/") {
		return s.runFile(name, argv, in)
	}
	for i, a := range argv[1:] {
		if guarded(filepath.Base(a)) && i+2 < len(argv) {
			s.invoke(argv[i+1:], redirs{}, in)
			break
		}
	}
	for i, a := range argv[1:] {
		for _, mark := range []string{"exec=", "--to-command=", "EXEC:", "SYSTEM:", "SHELL=", ".shell ", ".system ", `\!`, "--use-compress-program="} {
			if _, cmd, ok := strings.Cut(a, mark); ok {
				cmd = strings.TrimSuffix(strings.Trim(cmd, `'"`), ",pty")
				s.script(cmd, &stream{})
			}
		}
		takes := []string{"-c", "--call", "--exec", "-e", "--execute", "--command", "-x", "--run", "-E", "-ex"}
		if i+2 < len(argv) && slices.Contains(takes, a) && strings.ContainsAny(argv[i+2], " /") && shellish(name) {
			text := strings.TrimPrefix(strings.TrimPrefix(argv[i+2], "shell "), "!")
			s.script(text, &stream{})
		}
	}
	return Unknown
}

// shellish are the programs whose -c, -e or --exec is a command for a shell.
func shellish(name string) bool {
	return slices.Contains([]string{"npx", "nc", "ncat", "netcat", "socat", "gdb", "xterm", "gnome-terminal", "konsole", "alacritty", "kitty", "foot", "rsync", "conda", "nix", "entr", "fzf", "zellij", "script", "chpst", "lftp", "hyperfine", "wsl", "adb", "vagrant", "machinectl", "rbash", "dash", "pwsh", "ion", "yash", "elvish", "xonsh", "nu"}, name)
}

// runLoader is the dynamic loader, which runs the program it is given.
func runLoader(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "", []string{"library-path", "preload", "argv0", "audit"}, true)
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0]))
	return s.invoke(o.Operands, redirs{}, in)
}

// GitWords returns the subcommand of a git command line and its arguments,
// without the options that stand before it.
func GitWords(argv []string) []string {
	return ParseOptions(argv[1:], "Cc", []string{"git-dir", "work-tree", "namespace", "exec-path", "super-prefix", "config-env"}, true).Operands
}

// runGit walks the commands that git is told to run for it.
func runGit(m *machine, argv []string, _ *stream) string {
	s := m.sub()
	s.via = append(slices.Clone(m.via), "git")
	lead := ParseOptions(argv[1:], "Cc", []string{"git-dir", "work-tree", "namespace", "exec-path", "config-env"}, true)
	for _, c := range lead.Values("c") {
		key, value, _ := strings.Cut(c, "=")
		s.setting(key, value)
	}
	words := lead.Operands
	if len(words) < 2 {
		return Unknown
	}
	switch words[0] {
	case "submodule":
		if i := slices.Index(words, "foreach"); i >= 0 {
			s.cwd = Unknown
			rest := ParseOptions(words[i+1:], "", nil, true).Operands
			s.script(strings.Join(rest, " "), &stream{})
		}
	case "bisect":
		if words[1] == "run" {
			s.invoke(words[2:], redirs{}, &stream{})
		}
	case "rebase":
		if x, ok := ParseOptions(words[1:], "xs", []string{"exec", "onto", "strategy"}, false).Value("x", "exec"); ok {
			s.script(x, &stream{})
		}
	case "config":
		rest := ParseOptions(words[1:], "f", []string{"file", "type"}, false).Operands
		if len(rest) > 0 && rest[0] == "set" {
			rest = rest[1:]
		}
		if len(rest) > 1 {
			s.setting(rest[0], rest[1])
		}
	case "rev-parse":
		return Unknown
	}
	return Unknown
}

// setting walks a git setting whose value is a command.
func (m *machine) setting(key, value string) {
	key = strings.ToLower(key)
	if cmd, ok := strings.CutPrefix(value, "!"); ok {
		m.script(cmd, &stream{})
		return
	}
	for _, suffix := range []string{"pager", "editor", "sshcommand", "fsmonitor", "hookspath", "askpass", "external", "textconv", ".cmd", "program", "helper"} {
		if strings.HasSuffix(key, suffix) && strings.Contains(value, " ") {
			m.script(value, &stream{})
			return
		}
	}
	if strings.HasPrefix(key, "alias.") {
		m.invoke(append([]string{"git"}, strings.Fields(value)...), redirs{}, &stream{})
	}
}

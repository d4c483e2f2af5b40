// Package program knows how programs read their words: which options, places,
// inputs and variables hold a command that they will run.
//
// It owns those tables and nothing else. It runs and judges nothing; only
// package policy and its shell reader ask it. A program that it does not know
// is looked through for the names of Guarded.
package program

import (
	"path"
	"slices"
	"strings"
)

// Inert reports whether a program's words are data to it: naming a command
// among them runs nothing.
func Inert(name string) bool {
	return slices.Contains([]string{
		"apropos", "whatis", "look", "dict", "wn", "spell", "aspell", "hunspell", "sdcv", "trans", "cheat", "ri", "perldoc", "pydoc", "pydoc3", "godoc", "info", "help", "whereis", "hash", "file", "stat", "wc", "cut", "paste", "diff", "cmp", "comm", "ag", "ack", "jq", "yq",
		"test", "[", "expr", "let", "export", "declare", "local", "readonly", "typeset", "logger", "notify-send", "say", "wall", "figlet", "cowsay", "toilet", "bc", "seq",
		"apt", "apt-get", "apt-cache", "aptitude", "dpkg", "dnf", "yum", "rpm", "pacman", "apk", "brew", "snap", "pip", "pip3", "gem", "cargo",
		"go", "ninja", "mvn", "gradle", "gcc", "cc", "clang", "rustc", "systemctl", "service", "journalctl", "kill", "pkill", "killall", "pgrep", "ps",
		"rm", "rmdir", "unlink", "dd", "shred", "chmod", "chown", "chgrp", "chattr", "mkdir", "touch", "less", "more", "gh", "glab", "hg", "svn", "date", "sleep", "id", "whoami",
		"groups", "useradd", "userdel", "usermod", "groupadd", "passwd", "visudo", "crontab", "reboot", "shutdown", "halt", "poweroff", "jobs", "wait", "umask", "ulimit", "complete",
		"compgen", "bind", "history", "unzip", "gzip", "gunzip", "pytest", "jest", "eslint", "tldr", "aws", "az", "helm", "terraform", "code", "open", "xdg-open",
		"getent", "man", "rg", "zip", "rsync", "scp", "sftp", "docker-compose", "podman-compose", "cmake", "dig", "nslookup", "ping", "host", "traceroute", "printenv", "truncate", "redis-cli", "mongosh", "mongo",
	}, name) || strings.HasPrefix(name, "mkfs")
}

// Guarded reports whether a program is looked for among the words of a program
// that may run others.
func Guarded(name string) bool {
	return slices.Contains(guarded(), name) || strings.HasPrefix(name, "mkfs")
}

// Matching returns the guarded programs of the usual directories that a
// pattern of the shell may stand for.
func Matching(pattern string) []string {
	var out []string
	for _, name := range append(guarded(), "mkfs.ext4") {
		for _, dir := range []string{"/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin"} {
			if ok, err := path.Match(pattern, dir+"/"+name); ok || err != nil {
				out = append(out, name)
				break
			}
		}
	}
	return out
}

func guarded() []string {
	return []string{
		"rm", "dd", "shred", "srm", "wipe", "wipefs", "fdisk", "sfdisk", "parted", "sgdisk", "mkswap", "blkdiscard", "rimraf", "sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox", "toybox",
		"reboot", "shutdown", "poweroff", "halt", "init", "telinit", "chmod", "chown", "chgrp", "chattr", "setfacl", "kill", "pkill", "killall", "iptables", "ip6tables", "nft", "ufw",
		"find", "sudo", "doas", "su", "env", "printenv", "docker", "podman", "kubectl", "helm", "terraform", "git", "systemctl", "service", "mv", "cp", "ln", "tee", "truncate", "unlink", "xargs", "rsync", "crontab", "at",
		"python", "python2", "python3", "perl", "ruby", "node", "php", "lua", "awk", "gawk", "sed", "cat", "curl", "wget", "nc", "ncat", "socat", "ssh", "scp", "tar", "umount", "mount", "swapoff", "insmod", "rmmod",
		"useradd", "userdel", "usermod", "passwd", "chpasswd", "visudo", "dropdb", "psql", "mysql", "redis-cli", "mongosh", "journalctl", "history", "vim", "eval", "chroot", "nsenter", "base64", "strings", "xxd", "head", "tail",
	}
}

// Reaches reports whether a program acts on what lies elsewhere, so that it
// makes no difference to be in a container.
func Reaches(name string) bool {
	return slices.Contains([]string{"aws", "az", "gcloud", "gsutil", "kubectl", "helm", "terraform", "tofu", "pulumi", "doctl", "hcloud", "s3cmd", "mc", "rclone", "flyctl", "heroku", "psql", "mysql", "mariadb", "mongosh", "mongo", "redis-cli", "cqlsh", "etcdctl"}, name)
}

// OfImage returns the command line of a program that reaches out of its
// container: the image's own, or the one that follows it.
func OfImage(entry string, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	image, _, _ := strings.Cut(path.Base(words[0]), ":")
	image, _, _ = strings.Cut(image, "@")
	image = strings.NewReplacer("aws-cli", "aws", "azure-cli", "az", "cloud-sdk", "gcloud", "google-cloud-cli", "gcloud", "minio-mc", "mc").Replace(image)
	switch {
	case len(words) > 1 && Reaches(path.Base(words[1])):
		return words[1:]
	case Reaches(image) && entry == "" && len(words) > 1:
		return append([]string{image}, words[1:]...)
	}
	return nil
}

// Commands returns the options of a program whose value is a command line.
func Commands(name string) []string {
	options := ""
	switch name {
	case "zip", "zipcloak":
		options = "-TT --unzip-command"
	case "man", "apropos":
		options = "-P --pager -H --html"
	case "tar", "bsdtar", "gtar":
		options = "-I --use-compress-program --to-command -F --info-script --new-volume-script --rsh-command --rmt-command --checkpoint-action"
	case "rsync":
		options = "-e --rsh --rsync-path"
	case "scp", "sftp", "ssh", "autossh", "mosh":
		options = "-S -o --ssh --server"
		if name == "ssh" || name == "autossh" {
			options = "-o"
		}
	case "sort", "gsort":
		options = "--compress-program"
	case "split", "gsplit":
		options = "--filter"
	case "rg":
		options = "--pre --hostname-bin"
	case "fzf", "sk":
		options = "--preview --bind --execute"
	case "git":
		options = "--upload-pack --receive-pack --exec --extcmd --sendmail-cmd --open-files-in-pager -O --tool -x"
	case "hg":
		options = "--ssh -e --remotecmd"
	case "wget":
		options = "--use-askpass"
	case "npm", "npx", "pnpm", "yarn":
		options = "--call --script-shell --shell -c"
	case "flyctl", "fly", "vagrant", "gcloud", "conda", "nix", "xonsh", "nu", "elvish", "ion", "yash", "adb", "wsl", "machinectl", "lxc", "capsh", "gnome-terminal", "xterm", "konsole", "alacritty", "kitty", "foot", "uxterm", "urxvt", "wezterm", "multipass", "entr", "chpst", "zellij", "pwsh", "powershell", "cmd.exe", "sem", "tsp", "byobu":
		options = "-c -C -e -x --command --exec --run -Command -commandwithargs"
	case "nc", "ncat", "netcat", "nc.openbsd", "nc.traditional":
		options = "-c -e --exec --sh-exec --lua-exec"
	case "mutt", "mail", "mailx", "swaks":
		options = "--exec"
	case "fio":
		options = "--exec_prerun --exec_postrun"
	case "ctest":
		options = "--build-and-test --test-command"
	case "valgrind", "strace", "ltrace":
		options = "--db-command"
	case "crash", "logrotate", "certbot":
		options = "--pre-hook --post-hook --deploy-hook --renew-hook --manual-auth-hook --manual-cleanup-hook --mail"
	case "openvpn":
		options = "--up --down --route-up --ipchange --learn-address --auth-user-pass-verify --tls-verify --client-connect"
	case "pppd", "dhclient", "udhcpc":
		options = "-s -sf --script connect"
	case "tcpdump", "inotifywait", "watchexec", "watchman", "nodemon", "chokidar", "concurrently", "onchange":
		options = "-z -c --command --exec -x --on-start"
	case "apt", "apt-get", "dpkg", "dpkg-buildpackage":
		options = "-o --option --pre-invoke --post-invoke --hook-done"
	case "hyperfine":
		options = "--prepare --setup --cleanup --conclude -p -s -c -C"
	case "parallel":
		options = "--ssh --pipepart --tmpl --filter --wc-command"
	case "mpv", "ffmpeg", "youtube-dl", "yt-dlp":
		options = "--exec --exec-before-download"
	case "gpg", "gpg2":
		options = "--agent-program --pinentry-program --photo-viewer --dirmngr-program"
	case "unison":
		options = "-sshcmd -merge -diff"
	case "duplicity", "restic", "borg", "rclone":
		options = "--rsh --ssh-askpass --password-command --rclone.program --option -o --metadata-mapper"
	default:
		return nil
	}
	return strings.Fields(options)
}

// Command takes from an option's value what surrounds the command in it;
// false means that the value holds none.
func Command(name, option, value string) (string, bool) {
	switch {
	case option == "-o" && (name == "ssh" || name == "autossh" || name == "scp" || name == "sftp"):
		key, cmd, ok := strings.Cut(strings.Replace(strings.TrimSpace(value), "=", " ", 1), " ")
		switch strings.ToLower(key) {
		case "proxycommand", "localcommand", "knownhostscommand", "remotecommand":
			return strings.TrimSpace(cmd), ok
		case "pkcs11provider", "securitykeyprovider":
			return "LD_PRELOAD=" + cmd + " ssh", ok
		}
		return "", false
	case (option == "-o" || option == "--option") && strings.HasPrefix(name, "apt"):
		key, cmd, ok := strings.Cut(value, "=")
		return strings.Trim(cmd, `"'`), ok && (strings.Contains(strings.ToLower(key), "invoke") || strings.Contains(strings.ToLower(key), "pager") || strings.Contains(key, "Solver"))
	case option == "--checkpoint-action":
		return strings.CutPrefix(value, "exec=")
	case option == "--bind":
		_, cmd, ok := strings.Cut(value, "(")
		return strings.TrimSuffix(cmd, ")"), ok
	case (option == "-o" || option == "--option") && (name == "restic" || name == "borg" || name == "rclone"):
		key, cmd, ok := strings.Cut(value, "=")
		return cmd, ok && strings.HasSuffix(key, "command")
	}
	return value, true
}

// Runs returns the words after which a program runs the words that follow,
// each with how many operands stand between.
func Runs(name string) map[string]int {
	switch name {
	case "uv", "poetry", "pipenv", "hatch", "rye", "pdm", "pixi", "conda", "mamba", "doppler", "op", "toolbox", "flatpak", "dotenv", "rbenv", "heroku", "nix", "snap", "pyenv", "deno", "infisical", "fly", "flyctl":
		return map[string]int{"run": 0, "exec": 0, "tool": 0, "develop": 0, "shell": 0, "x": 0}
	case "npm", "pnpm", "yarn", "bun", "bundle", "bundler", "mise", "asdf", "rtx", "fnm", "volta", "rustup", "nvm":
		return map[string]int{"exec": 0, "x": 0, "dlx": 0, "run": 0}
	case "direnv", "aws-vault", "chamber", "lxc", "incus", "multipass", "crictl", "ctr", "vault", "envchain", "teller", "sops":
		return map[string]int{"exec": 1, "exec-env": 1, "exec-file": 1, "run": 1}
	case "distrobox":
		return map[string]int{"enter": 1, "ephemeral": 0}
	case "tsh", "docker-machine", "multipass-ssh", "vagrant", "gcloud":
		return map[string]int{"ssh": 1}
	}
	return nil
}

// Escapes returns the marks after which a line of a program's own language, in
// its arguments or its input, is a command for a shell.
func Escapes(name string) []string {
	switch name {
	case "ed", "red", "ftp", "lftp", "sftp", "telnet", "dc", "gnuplot", "pdb", "less", "more", "most", "cupsctl", "tin", "pico", "mail", "mailx", "Mail", "mutt", "nmap":
		return []string{"!", "~!", "~|", "system ", ":!", "+!"}
	case "vim", "vi", "nvim", "ex", "view", "rvim", "vimdiff", "gvim":
		return []string{"!", ":!", "%!", "silent !", "sil !", ":silent !", "1!", "r !", "r!", ":r !", "read !", "w !", ":w !", "terminal ", "term "}
	case "gdb", "lldb", "rust-gdb":
		return []string{"shell ", "!", "make ", "platform shell ", "pipe "}
	case "sqlite3", "sqlite", "litecli", "duckdb":
		return []string{".shell ", ".system ", ".once |", ".output |", ".read |", ".import |", ".sh ", ".sys "}
	case "psql", "pgcli":
		return []string{`\!`, `\o |`, `\g |`, `\copy x from program `}
	case "mysql", "mariadb", "mycli":
		return []string{`\!`, "system ", `\P `, "pager "}
	}
	return nil
}

// Hook reports whether programs run the value of a variable as a command.
func Hook(variable string) bool {
	up := strings.ToUpper(variable)
	if slices.Contains([]string{"CC", "CXX", "LD", "AR", "AS", "CPP", "BROWSER", "VISUAL", "FCEDIT", "LESSOPEN", "LESSCLOSE", "GIT_EXTERNAL_DIFF", "TERMINAL", "RSYNC_RSH", "CVS_RSH", "GIT_SSH", "SVN_SSH", "SHELL", "MAKE"}, up) {
		return true
	}
	return slices.ContainsFunc([]string{"PAGER", "EDITOR", "_COMMAND", "_CMD", "ASKPASS", "_SHELL", "_HOOK", "_RSH", "_EXEC"}, func(s string) bool { return strings.HasSuffix(up, s) })
}

// Prompt reports whether a shell expands the value of a variable when it starts or goes on.
func Prompt(variable string) bool {
	return slices.Contains([]string{"PS0", "PS1", "PS2", "PS4", "BASH_ENV", "ENV", "PROMPT_COMMAND"}, variable)
}

// RunsWords reports whether a program runs each of its words as a command line.
func RunsWords(name string) bool {
	return slices.Contains([]string{"hyperfine", "heroku", "concurrently", "onchange", "pssh", "parallel-ssh", "dsh", "clush", "salt", "ansible", "npx", "tsp", "sem", "watchexec", "nodemon", "xterm", "fly", "flyctl", "sops", "multipass"}, name)
}

// Prose reports whether an option's value is a text for people.
func Prose(option string) bool {
	return slices.Contains([]string{"-m", "--message", "--description", "--desc", "--title", "--body", "--comment", "--note", "--notes", "--subject", "--reason", "--text", "--label", "--name", "--summary", "--prompt", "--msg", "-t", "-b"}, option)
}

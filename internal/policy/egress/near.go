package egress

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/shell"
)

// Code returns the files and directories, absolute, from which a command takes
// what it runs or is set up by: a program's project and home settings, the
// hooks of git. What it does not know takes code from all around it.
func (l List) Code(c shell.Call, read Files) []string {
	if len(c.Argv) == 0 {
		return nil
	}
	name, named := c.Name(), c.Argv[0]
	switch {
	case name != named && filepath.Dir(named) != "/usr/bin" && filepath.Dir(named) != "/bin":
		return l.project(c, read)
	case c.Remote: // its code is there; what leads there is a call of its own
		return nil
	case fed(c, read):
		return append(l.project(c, read), l.settings(name)...)
	case plain(name), wraps(name), inert(name), c.Wrapper && (over(name) || slices.Contains(c.Argv, "-c")):
		return nil
	case name == "git":
		return l.hooks(c, read)
	case (name == "gh" || name == "glab") && moves(c):
		return append(l.settings(name), l.hooks(shell.Call{Argv: []string{"git"}, Cwd: c.Cwd}, read)...)
	case carries(name), (name == "docker" || name == "podman") && handles(c):
		return append(l.settings(name), told(c)...)
	case l.Class(c, read) == Listed:
		return l.settings(name) // it was looked at: its project has nothing to run
	}
	return append(l.project(c, read), l.settings(name)...)
}

// moves reports whether a client of a forge may have git do something: all but
// its plain questions.
func moves(c shell.Call) bool {
	w := operands(c)
	return len(w) < 2 || !slices.Contains([]string{"list", "ls", "view", "status", "diff", "checks", "comment", "edit", "close", "reopen", "download", "watch", "delete", "review"}, w[1]) && w[0] != "api" && w[0] != "auth" && w[0] != "search"
}

// project is the repository around the command's directory, or the directory
// itself, the same for every place that its words name, and what its programs
// find elsewhere by themselves.
func (l List) project(c shell.Call, read Files) []string {
	dirs := []string{root(c.Cwd, read)}
	for _, word := range c.Argv {
		for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return r == '=' || r == ':' || r == ',' }) {
			if !strings.Contains(part, "/") && part != ".." || strings.HasPrefix(part, "//") {
				continue // it lies in the directory, or is no path
			}
			if at := place(c.Cwd, part); !slices.Contains(dirs, at) {
				dirs = append(dirs, at, root(filepath.Dir(at), read))
			}
		}
	}
	slices.Sort(dirs)
	dirs = slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "/" || dir == "/usr" || dir == "/bin" || dir == "/dev" })
	return append(dirs, l.ambient(dirs, read)...)
}

// root is the repository that holds a directory, or the directory itself.
func root(dir string, read Files) string {
	for _, at := range upwards(dir) {
		if head, ok := read(filepath.Join(at, ".git", "HEAD")); ok && head != "" {
			return at
		}
	}
	return dir
}

// settings are the files of the home that set a program up.
func (l List) settings(name string) []string {
	var all []string
	for _, file := range append([]string{"." + name, "." + name + "rc", ".config/" + name, ".config/" + name + "rc", ".netrc", ".ssh", ".gnupg"}, shared(name)...) {
		all = append(all, filepath.Join(l.Home, file))
	}
	return all
}

// hooks is what git runs of a repository: its settings and hooks, and all of the
// repository if there is a hook, or a setting that can lead to one.
func (l List) hooks(c shell.Call, read Files) []string {
	lead := shell.ParseOptions(c.Argv[1:], "Cc", []string{"git-dir", "work-tree", "exec-path", "config-env"}, true)
	dir := c.Cwd
	for _, d := range lead.Values("C") {
		dir = place(dir, d)
	}
	at := root(dir, read)
	if len(lead.Values("c", "git-dir", "work-tree", "exec-path", "config-env")) > 0 || len(lead.Operands) > 0 && slices.Contains([]string{"bisect", "submodule", "send-email", "lfs", "filter-branch", "difftool", "mergetool", "maintenance"}, lead.Operands[0]) {
		return append(l.settings("git"), at)
	}
	git := filepath.Join(at, ".git")
	for _, hook := range []string{
		"applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge",
		"pre-push", "reference-transaction", "pre-auto-gc", "post-rewrite", "post-index-change", "fsmonitor-watchman", "push-to-checkout", "sendemail-validate", "pre-receive", "update", "post-receive", "post-update", "proc-receive",
	} {
		if text, ok := read(filepath.Join(git, "hooks", hook)); !ok || text != "" {
			return append(l.settings("git"), at)
		}
	}
	places := append(l.settings("git"), filepath.Join(l.Home, ".gitconfig"), filepath.Join(git, "hooks"), filepath.Join(at, ".gitmodules"))
	for _, file := range []string{filepath.Join(git, "config"), filepath.Join(git, "config.worktree"), filepath.Join(l.Home, ".gitconfig"), filepath.Join(l.Home, ".config/git/config")} {
		if text, ok := read(file); !ok || leads(text) {
			return append(places, at)
		}
		places = append(places, file)
	}
	return places
}

// leads reports whether settings of git can make it run something, or read
// more settings.
func leads(config string) bool {
	config = strings.ToLower(config)
	return slices.ContainsFunc([]string{
		"hookspath", "fsmonitor", "sshcommand", "[alias", "[filter", "[include", "textconv", "[merge", "[diff", "helper", "pager", "editor", "program", "askpass", "gitproxy", "vcs", "receivepack", "uploadpack", "template", "worktree", "extensions", "cmd",
	}, func(s string) bool { return strings.Contains(config, s) })
}

// inert are the programs that run nothing but what stands in the line.
func inert(name string) bool {
	return slices.Contains([]string{
		"cat", "tee", "cp", "mv", "rm", "ln", "touch", "chmod", "jq", "awk", "gawk", "mawk", "sed", "tr", "seq", "nl", "tac", "rev", "paste", "join", "comm", "column", "fold", "fmt", "expr", "sleep", "kill", "read", "xxd", "od", "base64", "hexdump", "strings", "file", "diff", "cmp",
		"gzip", "gunzip", "zcat", "xz", "bzip2", "zstd", "tar", "zip", "unzip", "md5sum", "sha1sum", "sha256sum", "sha512sum", "find", "fd", "rg", "realpath", "readlink", "mktemp", "id", "whoami", "hostname", "uname", "uptime", "free", "ps", "printenv", "openssl", "install", "truncate", "rmdir",
	}, name)
}

// over are the programs that only run what follows them, and name it in words
// that the reader of lines takes apart.
func over(name string) bool {
	return slices.Contains([]string{"xargs", "find", "parallel", "watch"}, name)
}

// carries are the programs that speak to the network, and run nothing of the
// directory that they are started in.
func carries(name string) bool {
	return slices.Contains([]string{
		"curl", "wget", "aria2c", "http", "https", "xh", "ssh", "scp", "sftp", "rsync", "ssh-copy-id", "ssh-keyscan", "nc", "ncat", "netcat", "socat", "telnet", "ftp", "lftp", "tftp", "dig", "nslookup", "host", "drill", "whois", "ping", "ping6", "traceroute", "tracepath", "mtr",
		"gh", "glab", "aws", "gcloud", "gsutil", "az", "kubectl", "psql", "mysql", "mariadb", "redis-cli", "mongosh", "rclone", "restic", "s3cmd", "yt-dlp", "apt", "apt-get", "apk", "dnf", "yum", "pacman", "grpcurl", "websocat", "mail", "mailx",
	}, name)
}

// handles reports whether a call of docker only moves images and containers
// about that are there, or runs one that is shown nothing of the directory.
func handles(c shell.Call) bool {
	w := operands(c)
	if len(w) > 1 && w[0] == "compose" {
		return slices.Contains([]string{"ps", "logs", "stop", "start", "restart", "kill", "rm", "top", "images", "ls", "version"}, w[1])
	}
	if len(w) > 0 && (w[0] == "run" || w[0] == "create") {
		return !slices.ContainsFunc(c.Argv, func(a string) bool {
			return strings.HasPrefix(a, "-v") || strings.HasPrefix(a, "--volume") || strings.HasPrefix(a, "--mount") || strings.HasPrefix(a, "--env-file") || strings.Contains(a, shell.Unknown)
		})
	}
	return len(w) > 0 && slices.Contains([]string{
		"exec", "stop", "start", "restart", "rm", "rmi", "pull", "push", "tag", "cp", "volume", "network", "system", "login", "logout", "image", "container", "info", "version", "search", "stats", "top", "port", "kill", "pause", "unpause", "wait", "rename", "history", "diff", "events", "save", "load", "ps", "images", "logs", "inspect",
	}, w[0])
}

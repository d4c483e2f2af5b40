// Package egress knows which programs speak to the network, and which of their
// calls fetch from listed hosts and send nothing else.
//
// It owns the list's meaning: programs with their subcommands, hosts, and the
// options and variables that are known not to send a call elsewhere. What it
// does not know, it calls Other. It reads no file but through the function it
// is given, and judges nothing; only package policy asks it.
package egress

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/shell"
)

// Kind says what one command has to do with the network.
type Kind uint8

// The kinds of command.
const (
	Other   Kind = iota // speaks to a host that is not listed, or that cannot be known
	Program             // not known to need the network; what it does once it runs is unknown
	Plain               // known to touch neither the network nor how others reach it
	Listed              // a listed program that fetches from listed hosts
	Here                // asks a service of this machine for a page
)

// List is what may be fetched without asking. The zero list lists nothing.
type List struct {
	Programs []string // a program with the words that must follow it: "npm ci"
	Hosts    []string // host names; a name covers its subdomains
	Home     string
	Own      []int // Phantom's own ports, which no command may ask unasked
}

// Files reads a small file by its absolute path. What is no file reads as
// empty; false means that it cannot be known.
type Files func(path string) (text string, ok bool)

// Default returns the list for an owner who wrote none; home is where programs
// look for the settings of their user.
func Default(home string) List {
	return List{
		Home: home,
		Programs: []string{
			"npm ci", "npm install", "npm i", "npm add", "npm view", "npm info", "npm outdated", "npm audit", "pnpm install", "pnpm i", "pnpm add", "pnpm fetch", "yarn install", "yarn add", "bun install", "bun add",
			"pip install", "pip download", "pip3 install", "pip3 download", "uv pip install", "uv add", "uv sync", "poetry install", "poetry add", "cargo fetch", "cargo add", "cargo update", "cargo install",
			"go get", "go mod download", "go mod tidy", "go install", "gem install", "bundle install", "composer install", "composer require",
			"apt-get update", "apt-get install", "apt update", "apt install", "apk update", "apk add", "dnf install", "git clone", "git fetch", "git pull", "git ls-remote",
		},
		Hosts: []string{"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "golang.org", "google.golang.org", "gopkg.in", "go.uber.org", "k8s.io", "sigs.k8s.io"},
	}
}

// Needs are the programs of a line by what they have to do with the network.
type Needs struct {
	Listed, Here, Program, Other []string
	Code                         []string // where they take what they run or are set up by
}

// Needs tells what the commands of a line need.
func (l List) Needs(calls []shell.Call, read Files) (n Needs) {
	for i, c := range calls {
		n.Code = append(n.Code, l.Code(c, read)...)
		switch l.Class(c, read, calls[:i]...) {
		case Listed:
			n.Listed = append(n.Listed, c.Name())
		case Here:
			n.Here = append(n.Here, c.Name())
		case Program:
			n.Program = append(n.Program, c.Name())
		case Plain:
		default:
			n.Other = append(n.Other, c.Name())
		}
	}
	return n
}

// Class tells what one command of a line has to do with the network; before are
// the commands that the line runs before it.
func (l List) Class(c shell.Call, read Files, before ...shell.Call) Kind {
	if len(c.Argv) == 0 {
		return written(c, Plain)
	}
	name := c.Name()
	if named := c.Argv[0]; name != named && filepath.Dir(named) != "/usr/bin" && filepath.Dir(named) != "/bin" {
		return Program
	}
	if c.Remote {
		return Other
	}
	switch {
	case plain(name) && !c.Wrapper, wraps(name) && c.Wrapper:
		return written(c, Plain)
	case !speaks(c), l.inside(c, before, read):
		return Program
	case l.loopback(c, read) && written(c, Here) == Here:
		return Here
	case !l.lists(c) || strings.Contains(strings.Join(c.Argv, " "), shell.Unknown) || !safeEnv(c.Env) || c.Piped && name != "git":
		return Other
	}
	fetches := l.packages
	if name == "git" {
		fetches = l.git
	}
	if !fetches(c, read) {
		return Other
	}
	return written(c, Listed)
}

// written keeps a class unless the command writes a file, which could be one
// that decides where the next command connects to.
func written(c shell.Call, k Kind) Kind {
	for _, w := range slices.Concat(c.Reads, c.Writes) {
		if strings.HasPrefix(w, "/dev/tcp/") || strings.HasPrefix(w, "/dev/udp/") {
			return Other
		}
	}
	if slices.ContainsFunc(c.Writes, func(w string) bool { return w != "/dev/null" && w != "/dev/stderr" && w != "/dev/stdout" }) || len(c.Reads) > 0 {
		return Program
	}
	return k
}

// lists reports whether the list names the call's program and first words.
func (l List) lists(c shell.Call) bool {
	words := operands(c)
	return slices.ContainsFunc(l.Programs, func(p string) bool {
		want := strings.Fields(p)
		return len(want) > 0 && want[0] == c.Name() && len(words) >= len(want)-1 && slices.Equal(want[1:], words[:len(want)-1])
	})
}

// operands are the words that say what a program is to do.
func operands(c shell.Call) []string {
	if c.Name() == "git" {
		return shell.GitWords(c.Argv)
	}
	return shell.ParseOptions(c.Argv[1:], "", nil, false).Operands
}

// listed reports whether a host, or a domain that it belongs to, is listed.
func (l List) listed(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host != "" && slices.ContainsFunc(l.Hosts, func(h string) bool { return host == h || strings.HasSuffix(host, "."+h) })
}

// plain are the programs that neither connect nor change what others connect to.
func plain(name string) bool {
	return slices.Contains([]string{
		"cd", "pushd", "popd", "mkdir", "echo", "printf", "test", "[", "true", "false", ":", "pwd", "ls", "set", "exit", "date", "sleep", "wait", "which", "type", "export",
		"cat", "tr", "jq", "seq", "nl", "head", "tail", "grep", "wc", "sort", "uniq", "cut", "du", "df", "stat", "basename", "dirname", "local", "return", "break", "continue", "shift", "unset",
	}, name)
}

// wraps are the programs that only run what follows them.
func wraps(name string) bool {
	return slices.Contains([]string{"sudo", "doas", "env", "timeout", "time", "nice", "nohup", "ionice", "stdbuf", "command", "exec"}, name)
}

// safeEnv reports whether no variable that the line sets can send a fetch
// elsewhere or run something beside it.
func safeEnv(env []string) bool {
	return !slices.ContainsFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return !slices.Contains([]string{
			"CI", "LANG", "LC_ALL", "TERM", "TZ", "NO_COLOR", "FORCE_COLOR", "DEBIAN_FRONTEND", "NODE_ENV", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT", "PIP_BREAK_SYSTEM_PACKAGES",
			"GIT_TERMINAL_PROMPT", "GIT_LFS_SKIP_SMUDGE", "CGO_ENABLED", "GOOS", "GOARCH", "RUST_BACKTRACE", "CARGO_TERM_COLOR", "MAKEFLAGS", "PYTHONUNBUFFERED", "NEEDRESTART_MODE", "PWD", "OLDPWD",
		}, name)
	})
}

// speaks reports whether a call is known to need the network.
func speaks(c shell.Call) bool {
	w := operands(c)
	first := ""
	if len(w) > 0 {
		first = w[0]
	}
	switch name := c.Name(); name {
	case "git":
		return slices.Contains([]string{"clone", "fetch", "pull", "push", "ls-remote", "remote-http", "remote-https", "send-email", "lfs", "svn", "imap-send", "http-fetch", "http-push", "fetch-pack", "send-pack", "daemon"}, first) ||
			len(w) > 1 && (first == "remote" && (w[1] == "update" || w[1] == "show" || w[1] == "prune") || first == "submodule" && (w[1] == "update" || w[1] == "add")) || first == "archive" && slices.ContainsFunc(c.Argv, func(a string) bool { return strings.HasPrefix(a, "--remote") })
	case "npm", "pnpm", "yarn", "bun":
		return !slices.Contains([]string{"run", "run-script", "test", "t", "start", "stop", "restart", "ls", "list", "ll", "root", "prefix", "bin", "version", "help", "config", "get", "set", "pkg", "pack", "build", "lint", "exec", "why", "explain", "cache", "prune", "dedupe", "workspaces", "store", "node", "dev"}, first) && (first != "" || name == "yarn")
	case "pip", "pip3", "pipx", "uv", "poetry", "conda", "mamba":
		return slices.ContainsFunc(w, func(s string) bool {
			return slices.Contains([]string{"install", "download", "wheel", "search", "index", "add", "sync", "lock", "update", "publish", "upload", "create", "self", "tool", "upgrade", "inject"}, s)
		})
	case "cargo":
		return slices.Contains([]string{"fetch", "add", "update", "install", "search", "publish", "login", "yank", "owner", "binstall", "audit"}, first)
	case "go":
		return first == "get" || first == "install" && slices.ContainsFunc(w, func(s string) bool { return strings.Contains(s, "@") }) || first == "mod" && len(w) > 1 && (w[1] == "download" || w[1] == "tidy") || first == "run" && len(w) > 1 && strings.Contains(w[1], "@")
	case "gem":
		return slices.Contains([]string{"install", "i", "update", "push", "fetch", "search", "outdated", "yank", "owner", "signin"}, first)
	case "bundle", "bundler":
		return slices.Contains([]string{"", "install", "update", "add", "outdated", "lock"}, first)
	case "composer":
		return slices.Contains([]string{"install", "require", "update", "create-project", "global", "search", "outdated", "self-update"}, first)
	case "apt", "apt-get", "aptitude", "apk", "dnf", "yum", "zypper", "pacman", "brew", "snap", "flatpak", "nix", "nix-env":
		return !slices.Contains([]string{"list", "show", "remove", "purge", "autoremove", "clean", "autoclean", "del", "info", "erase"}, first)
	case "docker", "podman", "nerdctl":
		return !slices.Contains([]string{"ps", "images", "logs", "inspect", "version", "info", "stats", "top", "port", "diff", "history"}, first)
	case "rsync":
		return slices.ContainsFunc(w, func(s string) bool { return strings.Contains(s, ":") })
	case "openssl":
		return first == "s_client" || first == "ocsp" || first == "s_time"
	}
	return slices.Contains([]string{
		"curl", "wget", "aria2c", "http", "https", "xh", "httpie", "fetch", "ssh", "scp", "sftp", "autossh", "mosh", "sshfs", "ssh-copy-id", "ssh-keyscan", "nc", "ncat", "netcat", "socat", "telnet", "ftp", "lftp", "tftp",
		"dig", "nslookup", "host", "drill", "resolvectl", "whois", "ping", "ping6", "traceroute", "tracepath", "mtr", "nmap", "mail", "mailx", "mutt", "sendmail", "msmtp", "swaks", "gh", "glab", "hub", "tea", "npx", "bunx", "pnpx", "uvx", "twine",
		"kubectl", "helm", "terraform", "tofu", "pulumi", "aws", "gcloud", "gsutil", "az", "doctl", "hcloud", "flyctl", "fly", "heroku", "vercel", "netlify", "wrangler", "firebase", "rclone", "restic", "s3cmd", "mc",
		"psql", "mysql", "mariadb", "mongosh", "mongo", "redis-cli", "ollama", "yt-dlp", "youtube-dl", "lynx", "w3m", "links", "elinks", "cloudflared", "ngrok", "tailscale", "croc", "wormhole", "smbclient", "ldapsearch",
		"hg", "svn", "rustup", "nvm", "fnm", "mise", "asdf", "sdk", "ansible", "ansible-playbook", "ntpdate", "chronyd", "huggingface-cli", "skopeo", "crane", "oras", "grpcurl", "websocat", "wscat", "vault", "op", "bw",
	}, c.Name())
}

package egress

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/shell"
)

// git reports whether a git call only fetches, over https or ssh, from listed
// hosts or from remotes that the repository's own settings name on them.
func (l List) git(c shell.Call, read Files) bool {
	lead := shell.ParseOptions(c.Argv[1:], "Cc", nil, true)
	dir := c.Cwd
	for _, d := range lead.Values("C") {
		dir = place(dir, d)
	}
	head := c.Argv[1 : len(c.Argv)-len(lead.Operands)]
	if slices.ContainsFunc(head, func(a string) bool { return strings.HasPrefix(a, "-") && a != "-C" && a != "--no-pager" }) {
		return false
	}
	for _, file := range []string{".gitconfig", ".config/git/config"} {
		if text, ok := read(filepath.Join(l.Home, file)); !ok || !l.remotes(text, nil) {
			return false
		}
	}
	words, ok := gitOperands(lead.Operands[1:])
	switch sub := lead.Operands[0]; {
	case !ok:
		return false
	case sub == "clone":
		return len(words) > 0 && l.address(words[0])
	case len(words) > 0 && strings.ContainsAny(words[0], ":/"):
		return l.address(words[0])
	}
	return l.repository(dir, words, slices.Contains(c.Argv, "--no-recurse-submodules"), read)
}

// gitOperands returns what follows a subcommand besides options that do not
// say where to connect to; false if there are other options.
func gitOperands(rest []string) ([]string, bool) {
	valued := []string{"-b", "--branch", "--depth", "--filter", "-j", "--jobs", "--deepen", "--shallow-since"}
	alone := []string{
		"--single-branch", "--no-single-branch", "--shallow-submodules", "--no-tags", "--tags", "-t", "-q", "--quiet", "-v", "--verbose", "--progress", "--prune", "-p", "--all", "--rebase", "--ff-only", "--no-rebase", "--ff", "--no-ff",
		"--bare", "--no-checkout", "-n", "--sparse", "--autostash", "--dry-run", "--unshallow", "--heads", "--refs", "--exit-code", "-r", "--no-edit", "--no-recurse-submodules",
	}
	var words []string
	for i := 0; i < len(rest); i++ {
		flag, _, set := strings.Cut(rest[i], "=")
		switch {
		case !strings.HasPrefix(rest[i], "-"):
			words = append(words, rest[i])
		case slices.Contains(valued, flag):
			if !set {
				i++
			}
		case !slices.Contains(alone, rest[i]):
			return nil, false
		}
	}
	return words, true
}

// repository judges the settings of the repository around dir, its hooks, and
// the remote that the words name in them. Submodules have settings of their
// own, so there are none, or they are to be left alone.
func (l List) repository(dir string, words []string, alone bool, read Files) bool {
	for at := dir; ; at = filepath.Dir(at) {
		link, ok := read(filepath.Join(at, ".git"))
		bare, plain := read(filepath.Join(at, "HEAD"))
		if !ok || !plain || link != "" || bare != "" {
			return false // a worktree, a submodule or a bare repository keeps its settings elsewhere
		}
		git := filepath.Join(at, ".git")
		if head, ok := read(filepath.Join(git, "HEAD")); !ok {
			return false
		} else if head == "" {
			if at == filepath.Dir(at) {
				return false
			}
			continue
		}
		for _, other := range []string{"commondir", "hooks/post-merge", "hooks/post-checkout", "hooks/pre-rebase", "hooks/post-rewrite", "hooks/reference-transaction", "hooks/pre-merge-commit", "hooks/prepare-commit-msg", "hooks/commit-msg", "hooks/post-index-change"} {
			if text, ok := read(filepath.Join(git, other)); !ok || text != "" {
				return false
			}
		}
		modules, known := read(filepath.Join(at, ".gitmodules"))
		text, ok := read(filepath.Join(git, "config"))
		names := map[string]bool{}
		if !ok || !known || modules != "" && !alone || !l.remotes(text, names) {
			return false
		}
		return len(words) == 0 && names["origin"] || len(words) > 0 && names[words[0]]
	}
}

// address reports whether a git address names a listed host.
func (l List) address(a string) bool {
	if strings.Contains(a, "::") {
		return false // a transport helper is a program
	}
	if strings.Contains(a, "://") {
		u, err := url.Parse(a)
		return err == nil && (u.Scheme == "https" || u.Scheme == "ssh") && u.Port() == "" && u.RawQuery == "" && (u.User == nil || u.User.String() == "git") && l.listed(u.Hostname())
	}
	host, path, ok := strings.Cut(a, ":")
	return ok && path != "" && l.listed(strings.TrimPrefix(host, "git@"))
}

// remotes reports whether settings of git name listed hosts only, and nothing
// that runs a program or rewrites an address; it adds the remotes to names.
// A setting that it does not know is a refusal.
func (l List) remotes(config string, names map[string]bool) bool {
	section := ""
	for line := range strings.Lines(config) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if strings.HasPrefix(line, "[") {
			head, rest, closed := strings.Cut(line[1:], "]")
			if !closed || strings.TrimSpace(rest) != "" {
				return false // a setting may stand behind the bracket, and seldom does
			}
			name := ""
			section, name, _ = strings.Cut(strings.ToLower(head), " ")
			if section == "remote" && names != nil {
				names[strings.Trim(name, `"`)] = true
			}
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.Trim(strings.TrimSpace(value), `"`)
		if strings.HasSuffix(line, `\`) || !l.setting(section, key, value) {
			return false
		}
	}
	return true
}

// setting judges one setting of git.
func (l List) setting(section, key, value string) bool {
	switch section {
	case "core":
		return slices.Contains([]string{"repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "precomposeunicode", "symlinks", "autocrlf", "eol", "quotepath"}, key)
	case "remote":
		return (key == "url" || key == "pushurl") && l.address(value) || slices.Contains([]string{"fetch", "tagopt", "promisor", "partialclonefilter", "gh-resolved"}, key)
	case "branch":
		return !strings.ContainsAny(value, ":") && (key != "remote" && key != "pushremote" || value == "origin")
	case "user", "pull", "push", "gc", "init", "rerere", "color", "advice":
		return true
	}
	return false
}

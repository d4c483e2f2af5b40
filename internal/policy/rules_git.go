package policy

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// unforced reports whether the line takes from git the need to force a cleaning.
func (c *call) unforced() bool {
	return slices.ContainsFunc(c.line, func(o shell.Call) bool {
		return slices.ContainsFunc(slices.Concat(o.Argv, o.Env), func(w string) bool { return strings.Contains(strings.ToLower(w), "clean.requireforce") })
	})
}

func gitRules() []rule {
	make := func(id, reason, suggestion string, match func(c *call, sub string, o shell.Options) bool) rule {
		return rule{id: id, family: "git", severity: destructive, programs: "git", reason: reason, suggestion: suggestion, match: func(c *call) bool {
			w := shell.GitWords(c.Argv)
			if len(w) == 0 || slices.Contains(w[1:], "--help") || slices.Contains(w[1:], "-h") {
				return false
			}
			short, long := "", []string{"source", "message", "pathspec-from-file", "repo", "push-option", "exclude"}
			switch w[0] {
			case "push":
				short = "o"
			case "clean":
				short = "e"
			case "restore":
				short = "s"
			case "checkout", "switch":
				short = "bBcC"
			}
			return match(c, w[0], shell.ParseOptions(w[1:], short, long, false))
		}}
	}
	everything := func(words []string) bool {
		return slices.ContainsFunc(words, func(w string) bool {
			return slices.Contains([]string{".", "./", ":/", ":/.", ":", "*", "./*", ":/*", "..", "../", ":(top)", ":(top).", ":(top)*", ":(glob)**"}, w) || landmark.Wild(w)
		})
	}
	return []rule{
		make("git-push-force", "overwrites or deletes history on the remote", "push without force, or with --force-with-lease after a fetch", func(_ *call, sub string, o shell.Options) bool {
			if sub != "push" || o.Has("n", "dry-run") && !o.Has("f", "force") {
				return false
			}
			return o.Has("f", "force", "mirror", "d", "delete", "prune") || slices.ContainsFunc(o.Operands[min(1, len(o.Operands)):], func(ref string) bool {
				return strings.HasPrefix(ref, "+") || strings.HasPrefix(ref, ":") && ref != ":" || strings.HasPrefix(ref, shell.Unknown+":")
			})
		}),
		make("git-reset-hard", "throws away changes that are not committed", "git stash, or git reset --keep", func(_ *call, sub string, o shell.Options) bool {
			return sub == "reset" && o.Has("hard") || sub == "read-tree" && o.Has("reset")
		}),
		make("git-clean", "deletes files that git does not know", "git clean -n shows what would go", func(c *call, sub string, o shell.Options) bool {
			return sub == "clean" && (o.Has("f", "force", "x", "X") || c.unforced()) && !o.Has("n", "dry-run")
		}),
		make("git-discard", "throws away changes in all files", "restore the one file you mean", func(_ *call, sub string, o shell.Options) bool {
			switch sub {
			case "checkout":
				return o.Has("f", "force") || everything(o.Operands)
			case "restore":
				return everything(o.Operands) && (!o.Has("S", "staged") || o.Has("W", "worktree"))
			case "switch":
				return o.Has("f", "force", "discard-changes")
			case "checkout-index":
				return o.Has("f", "force") && o.Has("a", "all")
			case "rm":
				return o.Has("r") && everything(o.Operands) && !o.Has("cached", "n", "dry-run")
			case "submodule":
				return landmark.Starts(o.Operands, "deinit") && o.Has("f", "force") && (o.Has("all") || everything(o.Operands))
			}
			return false
		}),
		make("git-branch-delete", "deletes a branch with commits that may be nowhere else", "git branch -d, which refuses to lose commits", func(_ *call, sub string, o shell.Options) bool {
			return sub == "branch" && (o.Has("D") || o.Has("d", "delete") && o.Has("f", "force"))
		}),
		make("git-history", "rewrites or forgets history for good", "make a backup branch first and ask the owner", func(_ *call, sub string, o shell.Options) bool {
			switch sub {
			case "filter-branch", "filter-repo", "prune":
				return !o.Has("n", "dry-run", "analyze")
			case "reflog":
				return landmark.Starts(o.Operands, "expire|delete")
			case "stash":
				return landmark.Starts(o.Operands, "clear|drop")
			case "gc":
				v, ok := o.Value("prune")
				return ok && v != "" && v != "never"
			case "update-ref":
				return o.Has("d", "delete") || o.Has("stdin")
			case "worktree":
				return landmark.Starts(o.Operands, "remove") && o.Has("f", "force")
			}
			return false
		}),
		{id: "git-directory", family: "git", severity: destructive, programs: "rm rimraf trash mv find", reason: "deletes a repository's history", suggestion: "delete only the working files", match: func(c *call) bool {
			trees, _ := c.removed()
			return slices.ContainsFunc(trees, func(t string) bool {
				t = strings.TrimRight(t, "/*")
				return t == ".git" || strings.HasSuffix(t, "/.git") || strings.Contains(t, ".git/refs") || strings.Contains(t, ".git/objects")
			})
		}},
		{id: "repository-delete", family: "git", severity: destructive, programs: "gh glab hub tea bfg", reason: "deletes a repository or rewrites its history", suggestion: "ask the owner", match: func(c *call) bool {
			return c.name == "bfg" || landmark.Starts(c.words(), "repo|release|project|secret|variable", "delete|archive") || landmark.Starts(c.words(), "api") && c.has("DELETE", "-XDELETE", "--method=DELETE")
		}},
	}
}

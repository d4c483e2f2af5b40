package policy

import (
	"slices"
	"strings"

	"phantom/internal/policy/program"
	"phantom/internal/policy/shell"
)

// injectionRules see code that comes into a program beside its words, and ways
// out of where the line runs.
func injectionRules() []rule {
	const family = "injection"
	return []rule{
		{id: "preload", family: family, severity: destructive, reason: "loads code into a program that is not its own", suggestion: "run your code as a program of its own", match: func(c *call) bool {
			return slices.ContainsFunc(c.Env, func(v string) bool {
				name, value, _ := strings.Cut(v, "=")
				raised := slices.ContainsFunc(append(slices.Clone(c.Via), c.name), func(w string) bool { return w == "sudo" || w == "doas" || w == "su" || w == "pkexec" })
				return program.Injects(name, value, shell.Unknown, raised)
			})
		}},
		{id: "enter-host", family: family, severity: destructive, programs: "nsenter chroot unshare pivot_root switch_root", reason: "goes where the rules of this place do not hold", suggestion: "ask the owner", match: func(c *call) bool {
			switch o := c.opts("tSGRw", "target", "root", "setuid", "setgid"); c.name {
			case "nsenter":
				t, _ := o.Value("t", "target")
				return t == "1" || o.Has("a", "all") || strings.Contains(t, shell.Unknown)
			case "chroot":
				return len(o.Operands) > 0 && (len(o.Operands) == 1 && !c.asksHelp() || c.abs(o.Operands[0]) == "/")
			case "unshare":
				return false
			}
			return len(c.Argv) > 1
		}},
	}
}

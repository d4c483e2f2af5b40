package policy

import (
	"slices"
	"strings"

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
				return injects(name, value, c)
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

// injects reports whether a variable makes a program load or run more than it
// would by itself.
func injects(name, value string, c *call) bool {
	switch name {
	case "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES":
		return slices.ContainsFunc(strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' }), func(lib string) bool {
			return strings.Contains(lib, "/") && !slices.ContainsFunc([]string{"/usr/lib", "/lib", "/usr/local/lib", "/opt/"}, func(dir string) bool { return strings.HasPrefix(lib, dir) }) || strings.Contains(lib, shell.Unknown)
		})
	case "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "PERL5LIB", "RUBYLIB":
		return value != "" && slices.ContainsFunc(slices.Concat(c.Via, []string{c.name}), func(w string) bool { return w == "sudo" || w == "doas" || w == "su" || w == "pkexec" }) && !strings.HasPrefix(value, "/usr") && !strings.HasPrefix(value, shell.Unknown)
	case "BASH_ENV", "PYTHONSTARTUP", "PERL5DB", "GCONV_PATH":
		return value != "" && !strings.HasPrefix(value, "/etc/")
	case "PERL5OPT", "RUBYOPT":
		return slices.ContainsFunc(strings.Fields(value), func(w string) bool {
			return strings.HasPrefix(w, "-e") || (strings.HasPrefix(w, "-r") || strings.HasPrefix(w, "-I")) && strings.ContainsAny(w, "./") || strings.HasPrefix(w, "-M") && !slices.Contains([]string{"-Mstrict", "-Mwarnings", "-Mutf8", "-MDevel::Cover", "-Mlocal::lib", "-MCarp"}, w)
		})
	case "NODE_OPTIONS", "BUN_OPTIONS":
		loads := false
		for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '=' }) {
			if loads && (strings.HasPrefix(w, ".") || strings.HasPrefix(w, "/") || strings.HasPrefix(w, "data:")) {
				return true
			}
			loads = slices.Contains([]string{"-r", "--require", "--import", "--loader", "--experimental-loader"}, w)
		}
	case "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS":
		return strings.Contains(value, "-javaagent") || strings.Contains(value, "-agent") || strings.Contains(value, "OnOutOfMemory") || strings.Contains(value, "OnError")
	}
	return false
}

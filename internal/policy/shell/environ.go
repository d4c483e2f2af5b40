package shell

import (
	"slices"
	"strings"
)

// Verbs are the words by which code shows or sends a value.
func verbs() []string {
	return []string{"print", "puts", "log", "echo", "dump", "Dumper", "inspect", "write", "say", "pp", "p ", "display", "send", "post", "cat(", "stringify", "warn", "for", "each"}
}

// environments are the names by which code reads its environment, with what may
// follow them where only one variable is meant.
func environments() map[string][]string {
	return map[string][]string{
		"os.environ":  {"[", ".get", ".pop", ".setdefault", ".update", "b[", ".copy", ".__contains__"},
		"process.env": {"[", ".", "?."},
		"Deno.env":    {".get(", ".set("},
		"Bun.env":     {"[", "."},
		"ENV":         {"[", ".fetch", ".key", ".has_key", ".include", "{", ".delete", "=", "_", "IRON", "I"},
		"%ENV":        {"{"},
		"ENVIRON":     {"["},
		"getenv(":     {"\"", "'", "$", "s"},
		"$_ENV":       {"["},
		"$_SERVER":    {"["},
		"Sys.getenv(": {"\"", "'"},
		"environ":     {"[", ".get", ".pop", ".setdefault", ".update", ".copy"},
		"$::env":      {"("},
		"env)":        nil,
	}
}

// dumps reports whether code shows its environment as a whole.
func dumps(text string) bool {
	for name, single := range environments() {
		for rest, at := text, 0; ; {
			i := strings.Index(rest, name)
			if i < 0 {
				break
			}
			before := text[:at+i]
			rest, at = rest[i+len(name):], at+i+len(name)
			if one := prefixed(rest, single); one || before != "" && word(before[len(before)-1]) {
				continue
			}
			if name == "env)" && !strings.HasSuffix(before, "array names ::") {
				continue
			}
			if slices.ContainsFunc([]string{"= dict(", "=dict(", "**", "= copy(", "env=", "...", "env: ", "= "}, func(s string) bool { return strings.HasSuffix(strings.TrimSuffix(before, "os."), s) }) || strings.HasPrefix(rest, ",") {
				continue // it is handed on, as to a child
			}
			if shows(text) {
				return true
			}
		}
	}
	return false
}

func prefixed(text string, heads []string) bool {
	for _, h := range heads {
		if strings.HasPrefix(text, h) {
			return true
		}
	}
	return false
}

func word(c byte) bool { return isWord(c) || c == '\'' || c == '"' || c == '-' }

func shows(text string) bool {
	for _, v := range verbs() {
		if strings.Contains(text, v) {
			return true
		}
	}
	return false
}

// shown returns the variables that code prints right where it reads them.
func shown(text string) []string {
	var out []string
	for _, verb := range verbs() {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, verb)
			if !ok {
				break
			}
			rest = after
			near := after[:min(len(after), 40)]
			for name := range environments() {
				if _, tail, ok := strings.Cut(near, name); ok {
					full := after[len(near)-len(tail):]
					out = append(out, strings.FieldsFunc(full[:min(len(full), 50)], func(r rune) bool { return !isWord(byte(min(r, 127))) })...)
					if len(out) > 20 {
						return out
					}
				}
			}
		}
	}
	return out
}

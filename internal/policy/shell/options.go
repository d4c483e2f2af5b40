package shell

import "strings"

// Options is an argument list read as GNU getopt reads it: bundled letters,
// abbreviated names, any order, and nothing but operands after "--".
type Options struct {
	flags    []flag
	Operands []string
}

type flag struct{ name, value string }

// ParseOptions reads args. The letters in short and the names in long take a
// value; an operand ends the options if first is set.
func ParseOptions(args []string, short string, long []string, first bool) Options {
	var o Options
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			o.Operands = append(o.Operands, args[i+1:]...)
			return o
		case strings.HasPrefix(a, "--"):
			name, value, has := strings.Cut(a[2:], "=")
			if !has && takes(long, name) && i+1 < len(args) {
				i++
				value = args[i]
			}
			o.flags = append(o.flags, flag{name, value})
		case len(a) > 1 && a[0] == '-':
			for j, c := range a[1:] {
				rest := a[1+j+len(string(c)):]
				if !strings.ContainsRune(short, c) {
					o.flags = append(o.flags, flag{string(c), ""})
					continue
				}
				if rest == "" && i+1 < len(args) {
					i++
					rest = args[i]
				}
				o.flags = append(o.flags, flag{string(c), rest})
				break
			}
		default:
			if first {
				o.Operands = append(o.Operands, args[i:]...)
				return o
			}
			o.Operands = append(o.Operands, a)
		}
	}
	return o
}

func takes(long []string, name string) bool {
	for _, l := range long {
		if name != "" && strings.HasPrefix(l, name) {
			return true
		}
	}
	return false
}

// Has reports whether any of the options was given: a letter, or a long name
// of which any abbreviation counts.
func (o Options) Has(names ...string) bool {
	_, ok := o.Value(names...)
	return ok
}

// Value returns the value of the last of the options that was given.
func (o Options) Value(names ...string) (string, bool) {
	value, ok := "", false
	for _, f := range o.flags {
		for _, n := range names {
			if f.name == n || len(n) > 1 && len(f.name) > 1 && strings.HasPrefix(n, f.name) {
				value, ok = f.value, true
			}
		}
	}
	return value, ok
}

// Values returns the values of every given one of the options.
func (o Options) Values(names ...string) []string {
	var out []string
	for _, f := range o.flags {
		for _, n := range names {
			if f.name == n {
				out = append(out, f.value)
			}
		}
	}
	return out
}

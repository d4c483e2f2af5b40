package shell

import (
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
)

// builtins are the commands that change the shell's own state.
func builtins(name string) runner {
	switch name {
	case "cd", "pushd", "popd":
		return changeDir
	case "set", "shift":
		return positional
	case "read":
		return read
	case "mapfile", "readarray":
		return lines
	case "hash":
		return func(m *machine, argv []string, _ *stream) string {
			o := ParseOptions(argv[1:], "p", nil, true)
			if path, ok := o.Value("p"); ok && len(o.Operands) > 0 && len(m.hashed) < 50 {
				m.hashed[o.Operands[0]] = path
			}
			return ""
		}
	case "unset":
		return func(m *machine, argv []string, _ *stream) string {
			for _, a := range argv[1:] {
				delete(m.vars, a)
			}
			return ""
		}
	case "exit", "return", "break", "continue":
		return func(m *machine, _ []string, _ *stream) string {
			m.left = true
			return ""
		}
	}
	return nil
}

func changeDir(m *machine, argv []string, _ *stream) string {
	dirs := ParseOptions(argv[1:], "", nil, true).Operands
	switch {
	case filepath.Base(argv[0]) == "popd":
		m.cwd = Unknown
	case len(dirs) == 0 && argv[0] == "cd":
		m.cwd = m.home.Dir
	case len(dirs) == 0 || dirs[0] == "-" || strings.HasPrefix(dirs[0], "+"):
		m.cwd = Unknown
	default:
		m.cwd = m.abs(dirs[0])
		m.vars["PWD"] = value{str: m.cwd}
	}
	return ""
}

func positional(m *machine, argv []string, _ *stream) string {
	args := argv[1:]
	if argv[0] == "shift" {
		if len(m.params) > 0 {
			m.params = m.params[1:]
		}
		return ""
	}
	if len(args) == 0 {
		return Unknown
	}
	if strings.HasPrefix(args[0], "-") && strings.Contains(args[0], "a") && args[0][1] != '-' || slices.Contains(args, "allexport") {
		m.all = true
	}
	if i := slices.Index(args, "--"); i >= 0 {
		m.params = append([]string{}, args[i+1:]...)
	} else if !strings.HasPrefix(args[0], "-") && !strings.HasPrefix(args[0], "+") {
		m.params = append([]string{}, args...)
	}
	return ""
}

// list prints what ls would: the names below its operands, which only the run
// knows, and the operands themselves, which may be files.
func list(_ *machine, argv []string, _ *stream) string {
	o := ParseOptions(argv[1:], "IwT", []string{"ignore", "hide", "sort", "time", "color", "format", "width"}, false)
	var out strings.Builder
	if !o.Has("d", "directory") && !slices.ContainsFunc(o.Operands, func(a string) bool { return strings.ContainsAny(a, "*?[") }) {
		out.WriteString(Unknown + "\n")
	}
	for _, a := range o.Operands {
		out.WriteString(a + "\n")
	}
	return out.String()
}

// lines reads the lines of the input into an array, as mapfile does.
func lines(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "dnOsuCc", nil, true)
	name := "MAPFILE"
	if len(o.Operands) > 0 {
		name = o.Operands[0]
	}
	for _, c := range o.Values("C") {
		m.sub().script(c, &stream{})
	}
	v := value{arr: true, list: []string{Unknown}}
	if in.piped {
		end := "\n"
		if d, ok := o.Value("d"); ok && d != "" {
			end = d[:1]
		}
		v.list = strings.Split(strings.TrimSuffix(in.text, end), end)
		if len(v.list) > maxRounds {
			v.list = append(v.list[:maxRounds:maxRounds], Unknown)
		}
	}
	m.vars[name] = v
	return ""
}

// read takes a line of the input, or as much as its options say, into variables.
func read(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "adinNptu", nil, true)
	line := Unknown
	if d, ok := o.Value("d"); ok && d == "" && in.piped && known(in.text) {
		line, in.text = in.text, ""
	} else if in.piped && known(in.text) {
		line, in.text, _ = strings.Cut(in.text, "\n")
	}
	split := func(n int) []string {
		if !known(line) {
			return []string{Unknown}
		}
		return expand.ReadFields(&expand.Config{Env: environ{m: m}}, line, n, true)
	}
	if a, ok := o.Value("a"); ok {
		m.vars[a] = value{arr: true, list: split(-1)}
		return ""
	}
	names := o.Operands
	if len(names) == 0 {
		names = []string{"REPLY"}
	}
	fields := split(len(names))
	for i, n := range names {
		switch {
		case !known(line):
			m.setVar(n, Unknown)
		case i < len(fields):
			m.setVar(n, fields[i])
		default:
			m.setVar(n, "")
		}
	}
	return ""
}

// alias notes that a word may stand for a text.
func (m *machine) alias(name, text string) {
	if len(m.aliases) < 50 {
		m.aliases[name] = text
	}
}

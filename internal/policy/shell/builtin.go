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
	case "read", "mapfile", "readarray":
		return read
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

// read takes a line of the input into variables.
func read(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "adinNptuOsCc", nil, false)
	names := o.Operands
	if argv[0] != "read" {
		for _, n := range names {
			m.vars[n] = value{arr: true, list: []string{Unknown}}
			if known(in.text) && in.piped {
				m.vars[n] = value{arr: true, list: strings.Fields(in.text)}
			}
		}
		return ""
	}
	if a, ok := o.Value("a"); ok {
		m.vars[a] = value{arr: true, list: []string{Unknown}}
	}
	if len(names) == 0 {
		names = []string{"REPLY"}
	}
	line := Unknown
	if in.piped && known(in.text) {
		line, in.text, _ = strings.Cut(in.text, "\n")
	}
	fields := []string{line}
	if known(line) {
		fields = expand.ReadFields(&expand.Config{Env: environ{m: m}}, line, len(names), true)
	}
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

package shell

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/program"
)

// carried walks the commands that a program finds in its options, its
// environment, and the lines of its own language.
func (m *machine) carried(argv []string, in *stream) {
	name := filepath.Base(argv[0])
	if extra, ok := m.vars["TAR_OPTIONS"]; ok && strings.HasSuffix(name, "tar") {
		argv = append(append(slices.Clone(argv), strings.Fields(extra.str)...), strings.Join(strings.Fields(extra.str), " "))
	}
	var s *machine
	walk := func(text string) {
		if s == nil {
			s = m.sub()
			s.via = append(slices.Clone(m.via), name)
		}
		s.script(text, &stream{})
	}
	for _, f := range values(argv[1:], program.Commands(name)) {
		if cmd, ok := program.Command(name, f.name, f.value); ok && strings.TrimSpace(cmd) != "" {
			walk(strings.TrimPrefix(cmd, "!"))
			if words := strings.Fields(cmd); len(words) == 1 && interprets(filepath.Base(words[0])) && (f.name == "--pre" || f.name == "--to-command" || f.name == "--filter") {
				m.problem(UnknownScript, "a text that nobody has seen is the script of "+words[0])
			}
		}
	}
	marks := program.Escapes(name)
	if len(marks) == 0 {
		return
	}
	texts := argv[1:]
	if in.piped && !in.file {
		texts = append(slices.Clone(texts), in.text)
	}
	if slices.Contains([]string{"ed", "red"}, name) && in.piped && !in.file {
		m.edits(name, texts[len(texts)-1:])
	}
	for _, t := range texts {
		for line := range strings.SplitSeq(t, "\n") {
			for part := range strings.SplitSeq(line, ";") {
				part = strings.TrimLeft(part, " \t:+")
				if _, code, ok := strings.Cut(line, "python "); ok && strings.HasSuffix(name, "gdb") {
					m.code(name, code, false)
				}
				for _, mark := range marks {
					if cmd, ok := strings.CutPrefix(part, strings.TrimLeft(mark, ":+")); ok && strings.TrimSpace(cmd) != "" {
						if _, whole, _ := strings.Cut(line, mark); whole != "" {
							cmd = whole // the command may hold the separator itself
						}
						walk(strings.Trim(cmd, " '\""))
						break
					}
				}
			}
		}
	}
}

// interprets reports whether a program runs the text that it is given.
func interprets(name string) bool {
	return language(name) != "" && name != "sed" || slices.Contains([]string{"sh", "bash", "dash", "zsh", "ksh", "ash", "fish"}, name)
}

// values returns what the options of names are given among args: as the next
// word, behind an equals sign, or in the same word; long names may be cut short.
func values(args, names []string) []flag {
	if len(names) == 0 {
		return nil
	}
	var out []flag
	for i, a := range args {
		if len(a) < 2 || a[0] != '-' {
			continue
		}
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		for _, n := range names {
			head, value, set := strings.Cut(a, "=")
			switch {
			case a == n:
				out = append(out, flag{n, next})
			case set && (head == n || strings.HasPrefix(n, "--") && len(head) > 4 && strings.HasPrefix(n, head)):
				out = append(out, flag{n, value})
			case strings.HasPrefix(n, "--") && len(a) > 4 && strings.HasPrefix(n, a):
				out = append(out, flag{n, next})
			case len(n) == 2 && a[1] != '-' && strings.Contains(a[1:], n[1:]):
				// Bundled letters: the last one takes the next word, others the rest of this one.
				if _, rest, _ := strings.Cut(a[1:], n[1:]); rest != "" {
					if strings.ContainsAny(rest, " /=") {
						out = append(out, flag{n, rest})
					}
				} else {
					out = append(out, flag{n, next})
				}
			}
		}
	}
	return out
}

// runOther looks into a program that may run others: what follows its own
// words, a guarded program among them, and a word that is a command of one.
func runOther(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	if _, ok := s.files[s.abs(argv[0])]; ok && strings.Contains(argv[0], "/") {
		return s.runFile(name, argv, in)
	}
	if strings.Contains(argv[0], "/") {
		m.unpacked(m.abs(argv[0]))
	}
	s.trailing(argv, in)
	for i, a := range argv[1:] {
		if strings.ContainsAny(a, " \t\n") {
			// A lone word is prose, unless the program is known to run such words.
			if i > 0 && strings.HasPrefix(argv[i], "-") && !program.Prose(argv[i]) || program.RunsWords(name) {
				s.guess(a)
			}
		}
		for _, mark := range []string{"exec=", "EXEC:", "SYSTEM:", "SHELL="} {
			if _, cmd, ok := strings.Cut(a, mark); ok {
				cmd = strings.TrimSuffix(strings.Trim(cmd, `'"`), ",pty")
				s.script(cmd, &stream{})
			}
		}
	}
	return Unknown
}

// trailing invokes what stands behind the words that make a program run it, and
// every guarded program among the words.
func (m *machine) trailing(argv []string, in *stream) {
	name := filepath.Base(argv[0])
	runs := program.Runs(name)
	if slices.Contains([]string{"npm", "pnpm", "yarn", "bun"}, name) {
		m.scripts()
	}
	for i, a := range argv[1:] {
		rest := argv[i+2:]
		if skip, ok := runs[a]; ok && len(rest) > 0 {
			o := ParseOptions(rest, "", nil, true).Operands
			if o = o[min(skip, len(o)):]; len(o) > 0 && o[0] == "--" {
				o = o[1:]
			}
			if len(o) > 0 && known(o[0]) && !slices.Contains([]string{"npm", "pnpm", "yarn", "bun"}, name) || len(o) > 0 && a != "run" {
				m.invoke(slices.Clone(o), redirs{}, in)
				return
			}
		}
		if a == "--" && len(rest) > 0 && known(rest[0]) && !strings.HasPrefix(rest[0], "-") && runs != nil {
			m.invoke(slices.Clone(rest), redirs{}, in)
			return
		}
		if base := filepath.Base(a); runs == nil && program.Guarded(base) && len(rest) > 0 && !(i > 0 && program.Prose(argv[i])) {
			m.invoke(slices.Clone(argv[i+1:]), redirs{}, in)
			return
		}
	}
}

// guess walks a word that reads like the command of a guarded program. What
// does not parse is prose.
func (m *machine) guess(text string) {
	text = strings.TrimLeft(text, " \t\n!@|&(:")
	first, _, _ := strings.Cut(text, " ")
	if !program.Guarded(filepath.Base(first)) || len(text) > maxInput || deepest(text) > maxNest {
		return
	}
	if f, _, _ := parse(text); f != nil {
		m.stmts(f.Stmts, &stream{})
	}
}

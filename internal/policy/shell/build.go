package shell

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// runMake walks the recipes that make or just is given on the line, on its
// input, or in a file that the line wrote.
func runMake(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	o := ParseOptions(argv[1:], "CfIjloWE", []string{"file", "makefile", "directory", "eval", "justfile", "shell", "working-directory"}, false)
	for _, d := range o.Values("C", "directory") {
		s.cwd = s.abs(d)
	}
	vars := map[string]string{"MAKE": "make", "": strings.Join(slices.DeleteFunc(slices.Clone(o.Operands), func(w string) bool { return strings.Contains(w, "=") }), " ")}
	for _, w := range o.Operands {
		if k, v, ok := strings.Cut(w, "="); ok {
			vars[strings.TrimRight(k, ":?+")] = v
		}
	}
	if sh, ok := vars["SHELL"]; ok {
		s.script(sh, &stream{})
	}
	files := o.Values("f", "file", "makefile", "justfile")
	if len(files) == 0 {
		files = []string{"Makefile", "makefile", "GNUmakefile", "justfile", "Justfile"}
	}
	for _, f := range files {
		switch text, ours := s.files[s.abs(f)]; {
		case ours:
			s.recipes(text, vars)
		case (f == "-" || f == "/dev/stdin") && in.piped && !in.file:
			s.recipes(in.text, vars)
		}
	}
	for _, text := range o.Values("eval", "E") {
		s.recipes(text, vars)
	}
	return Unknown
}

// assignment is a variable's line in a makefile.
var assignment = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*(::?=|\?=|\+=|!=|=)\s*(.*)$`)

// reference is a use of a variable in a makefile.
var reference = regexp.MustCompile(`\$[({]([A-Za-z_][A-Za-z0-9_]*)[)}]`)

// recipes walks the shell lines of a makefile or justfile.
func (m *machine) recipes(text string, vars map[string]string) {
	if strings.Trim(text, Unknown+" \n") == "" && text != "" {
		m.problem(UnknownScript, "the makefile is not known")
		return
	}
	fill := func(line string) string {
		for range 3 {
			line = reference.ReplaceAllStringFunc(line, func(ref string) string {
				if v, ok := vars[ref[2:len(ref)-1]]; ok {
					return v
				}
				return ref
			})
			if len(line) > maxText {
				return Unknown
			}
		}
		// What is left is make's own or unknown.
		line = reference.ReplaceAllString(line, Unknown)
		return strings.ReplaceAll(line, "$$", "$")
	}
	lines := strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n")
	skip := idle(lines, strings.Fields(vars[""]))
	for i, line := range lines {
		if !m.live() {
			return
		}
		if skip[i] {
			continue
		}
		for _, cut := range []string{"$(shell ", "${shell "} {
			if _, cmd, ok := strings.Cut(line, cut); ok {
				m.script(fill(enclosed(cmd)), &stream{})
			}
		}
		if set := assignment.FindStringSubmatch(line); set != nil {
			if set[2] == "!=" {
				m.script(fill(set[3]), &stream{})
			} else if len(vars) < 100 {
				vars[set[1]] = set[3]
			}
			continue
		}
		recipe := strings.TrimLeft(line, " \t")
		if recipe == line {
			_, after, ok := strings.Cut(line, ";")
			if !ok || !strings.Contains(line, ":") {
				continue
			}
			recipe = after
		}
		recipe = strings.TrimLeft(recipe, "@+- \t")
		if strings.Contains(recipe, "$(shell") || recipe == "" || recipe[0] == '#' {
			continue
		}
		if f, _, _ := parse(fill(recipe)); f != nil {
			m.sub().stmts(f.Stmts, &stream{})
		}
	}
}

// head is a line that begins the recipe of targets.
var head = regexp.MustCompile(`^([A-Za-z0-9_./-][A-Za-z0-9_./ -]*?)\s*::?([^=].*)?$`)

// idle tells which lines belong to recipes that the goals do not ask for. Where
// a makefile computes its targets, none is told to.
func idle(lines, goals []string) map[int]bool {
	needs, owner := map[string][]string{}, map[int][]string{}
	var targets []string
	for i, line := range lines {
		switch at := head.FindStringSubmatch(line); {
		case at != nil && assignment.FindStringSubmatch(line) == nil:
			targets = strings.Fields(at[1])
			before, _, _ := strings.Cut(at[2], ";")
			for _, t := range targets {
				needs[t] = append(needs[t], strings.Fields(before)...)
			}
			if len(goals) == 0 && !strings.HasPrefix(targets[0], ".") {
				goals = targets[:1]
			}
			owner[i] = targets
		case strings.TrimLeft(line, " \t") != line:
			owner[i] = targets
		case strings.ContainsAny(line, "%$") && strings.Contains(line, ":"), strings.HasPrefix(line, "include"), strings.HasPrefix(line, "define"), strings.HasPrefix(line, "-include"), strings.HasPrefix(line, "import"):
			if assignment.FindStringSubmatch(line) == nil {
				return nil
			}
		}
	}
	asked := map[string]bool{}
	for len(goals) > 0 {
		g := goals[0]
		goals = goals[1:]
		if asked[g] {
			continue
		}
		asked[g] = true
		next, ours := needs[g]
		if strings.ContainsAny(g, "%$"+Unknown) || !ours && len(asked) == 1 {
			return nil
		}
		goals = append(goals, next...)
	}
	skip := map[int]bool{}
	for i, of := range owner {
		skip[i] = len(of) > 0 && !slices.ContainsFunc(of, func(t string) bool { return asked[t] || strings.HasPrefix(t, ".") })
	}
	return skip
}

// enclosed returns what stands before the bracket that closes text.
func enclosed(text string) string {
	depth := 0
	for i, c := range text {
		switch c {
		case '(', '{':
			depth++
		case ')', '}':
			if depth--; depth < 0 {
				return text[:i]
			}
		}
	}
	return text
}

// runFd walks what fd executes for what it finds.
func runFd(m *machine, argv []string, _ *stream) string {
	at := slices.IndexFunc(argv, func(a string) bool { return slices.Contains([]string{"-x", "-X", "--exec", "--exec-batch"}, a) })
	if at < 0 {
		return Unknown
	}
	head := ParseOptions(argv[1:at], "etdEcjS", []string{"extension", "type", "max-depth", "exclude", "color", "threads", "size", "search-path", "base-directory"}, false).Operands
	roots := append([]string{}, head[min(1, len(head)):]...)
	if len(roots) == 0 {
		roots = []string{"."}
	}
	cmd := argv[at+1:]
	if i := slices.Index(cmd, ";"); i >= 0 {
		cmd = cmd[:i]
	}
	s := m.sub()
	s.via = append(slices.Clone(m.via), "fd "+argv[at])
	for _, r := range roots {
		found := strings.TrimSuffix(r, "/") + "/" + Unknown
		var full []string
		for _, w := range cmd {
			full = append(full, strings.ReplaceAll(w, "{}", found))
		}
		if !slices.ContainsFunc(cmd, func(w string) bool { return strings.Contains(w, "{") }) {
			full = append(full, found)
		}
		s.invoke(full, redirs{}, &stream{})
	}
	return Unknown
}

// runCMake walks the commands that cmake carries out itself.
func runCMake(m *machine, argv []string, in *stream) string {
	for _, f := range values(argv[1:], []string{"-P"}) {
		if text, ok := m.files[m.abs(f.value)]; ok {
			m.listfile(text)
		}
	}
	dirs := append(ParseOptions(argv[1:], "SBGDCT", nil, false).Operands, ".")
	for _, d := range dirs {
		if text, ok := m.files[m.abs(d+"/CMakeLists.txt")]; ok {
			m.listfile(text)
		}
	}
	if len(argv) < 4 || argv[1] != "-E" {
		return Unknown
	}
	s := m.sub()
	s.via = append(slices.Clone(m.via), "cmake -E")
	switch argv[2] {
	case "rm", "remove", "remove_directory":
		s.invoke(append([]string{"rm", "-rf"}, ParseOptions(argv[3:], "", nil, false).Operands...), redirs{}, in)
	case "rename", "copy", "copy_directory", "touch":
		s.invoke(append([]string{"mv"}, argv[3:]...), redirs{}, in)
	case "env", "time", "chdir":
		s.trailing(append([]string{"env"}, argv[3:]...), in)
	}
	return Unknown
}

// listfile walks what a script of cmake runs and removes.
func (m *machine) listfile(text string) {
	s := m.sub()
	s.via = append(slices.Clone(m.via), "cmake -P")
	if strings.Trim(text, Unknown+" \n") == "" && text != "" {
		m.problem(UnknownScript, "the script of cmake is not known")
		return
	}
	for part := range strings.SplitSeq(text, "(") {
		inside := enclosed(part)
		for cmd := range strings.SplitSeq(inside, "COMMAND ") {
			if strings.Contains(inside, "COMMAND ") {
				s.guess(cmd)
			}
		}
		if files, ok := strings.CutPrefix(strings.TrimSpace(inside), "REMOVE"); ok {
			s.invoke(append([]string{"rm", "-rf", "--"}, strings.Fields(strings.TrimPrefix(files, "_RECURSE"))...), redirs{}, &stream{})
		}
	}
}

// scripts walks the scripts of a package.json that the line wrote.
func (m *machine) scripts() {
	text, ok := m.files[m.abs("package.json")]
	if !ok {
		return
	}
	var p struct{ Scripts map[string]string }
	if json.Unmarshal([]byte(text), &p) != nil {
		m.problem(UnknownScript, "the scripts of package.json are not known")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Scripts)) {
		m.script(p.Scripts[name], &stream{})
	}
}

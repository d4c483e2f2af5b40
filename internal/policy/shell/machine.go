package shell

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"phantom/internal/policy/program"
)

// machine is one (sub)shell of the dry run.
type machine struct {
	*run
	vars   map[string]value
	funcs  map[string]*function
	params []string // nil: whatever the script was called with
	cwd    string
	via    []string
	next   []string
	depth  int
	remote bool
	all    bool // set -a: every variable is exported
	back   bool // inside a background job or a pipeline
	left   bool // exit, return, break or continue was the last thing done
}

// function is a declared function and what was seen of its calls.
type function struct {
	body   *syntax.Stmt
	active int
	called bool
	selves int // calls of itself within one run of its body
}

// script parses text and walks it in this shell.
func (m *machine) script(text string, in *stream) string {
	if !m.live() {
		return Unknown
	}
	if t := strings.TrimSpace(text); strings.HasPrefix(t, Unknown) && strings.Trim(t, Unknown+" \t\n;") == "" {
		m.problem(UnknownScript, "the text that a shell is to run is not known")
		return Unknown
	}
	if m.depth > maxDepth {
		m.halt(TooDeep, "shells run shells more than six deep")
		return Unknown
	}
	f, kind, why := parse(text)
	if f == nil {
		m.problem(kind, why)
		return Unknown
	}
	m.depth++
	defer func() { m.depth-- }()
	return m.stmts(f.Stmts, in)
}

// inner walks text as a new shell that a wrapper starts: of the variables it
// sees those that are exported.
func (m *machine) inner(wrapper, text string, params []string, in *stream) string {
	if head, body, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(head, "#!") {
		words := strings.Fields(head[2:])
		if last := len(words) - 1; last >= 0 && language(filepath.Base(words[last])) != "" {
			m.code(wrapper, body, false)
			return Unknown
		}
	}
	s := m.sub()
	maps.DeleteFunc(s.vars, func(_ string, v value) bool { return !v.out })
	s.via = append(slices.Clone(m.via), wrapper)
	s.params = params
	return s.script(text, in)
}

func (m *machine) stmts(list []*syntax.Stmt, in *stream) string {
	var out strings.Builder
	for _, s := range list {
		if !m.live() {
			return Unknown
		}
		out.WriteString(m.stmt(s, in))
		if out.Len() > maxText {
			out.Reset()
			out.WriteString(Unknown)
		}
	}
	return out.String()
}

// redirs is what the redirections of one statement come to.
type redirs struct {
	reads, writes []string
	out           string // file that takes the standard output
	quiet         bool   // standard output goes elsewhere
}

func (m *machine) redirect(list []*syntax.Redirect, in *stream) (redirs, *stream) {
	var r redirs
	for _, rd := range list {
		switch op := rd.Op.String(); op {
		case "<<", "<<-":
			in = &stream{text: m.document(rd.Hdoc), piped: true}
		case "<<<":
			in = &stream{text: m.literal(rd.Word) + "\n", piped: true}
		case "<", "<>":
			path := m.literal(rd.Word)
			r.reads = append(r.reads, path)
			in = &stream{text: m.content(path), piped: true}
			_, ours := m.files[m.abs(path)]
			in.file = !ours
			if op == "<>" {
				r.writes = append(r.writes, path)
			}
		case "<&", ">&":
			word := m.literal(rd.Word)
			if word == "-" || strings.Trim(word, "0123456789-") == "" {
				continue
			}
			fallthrough
		default:
			path := m.literal(rd.Word)
			r.writes = append(r.writes, path)
			if rd.N == nil || rd.N.Value == "1" {
				r.out, r.quiet = path, true
			}
		}
	}
	return r, in
}

// content is what a file holds as far as this line knows.
func (m *machine) content(path string) string {
	if text, ok := m.files[m.abs(path)]; ok {
		return text
	}
	if filepath.Ext(path) == ".pid" {
		return Unknown + strings.TrimSuffix(filepath.Base(path), ".pid")
	}
	return Unknown
}

func (m *machine) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(m.cwd, path)
}

// save notes what a file holds after a command wrote it.
func (m *machine) save(path, text string, add bool) {
	if path == "" || strings.HasPrefix(path, "/dev/") {
		return
	}
	path = m.abs(path)
	if add {
		text = m.files[path] + text
	}
	m.files[path] = clip(text)
}

func (m *machine) stmt(s *syntax.Stmt, in *stream) string {
	m.left = false
	shell := m
	if s.Background {
		shell = m.sub()
		shell.back = true
	}
	r, in := shell.redirect(s.Redirs, in)
	out := shell.command(s.Cmd, r, in)
	if r.quiet {
		add := slices.ContainsFunc(s.Redirs, func(rd *syntax.Redirect) bool { return strings.HasSuffix(rd.Op.String(), ">>") })
		shell.save(r.out, out, add)
		return ""
	}
	return out
}

func (m *machine) command(cmd syntax.Command, r redirs, in *stream) string {
	call, simple := cmd.(*syntax.CallExpr)
	if simple {
		return m.simple(call, r, in)
	}
	if len(r.reads)+len(r.writes) > 0 {
		m.emit(Call{Reads: r.reads, Writes: r.writes})
	}
	switch c := cmd.(type) {
	case *syntax.BinaryCmd:
		return m.binary(c, in)
	case *syntax.Block:
		return m.stmts(c.Stmts, in)
	case *syntax.Subshell:
		return m.sub().stmts(c.Stmts, in)
	case *syntax.IfClause:
		return m.ifClause(c, in)
	case *syntax.WhileClause:
		return m.while(c, in)
	case *syntax.ForClause:
		return m.forClause(c, in)
	case *syntax.CaseClause:
		m.literal(c.Word)
		var arms [][]*syntax.Stmt
		for _, item := range c.Items {
			arms = append(arms, item.Stmts)
		}
		return m.branches(arms, true, in)
	case *syntax.FuncDecl:
		if c.Name == nil {
			// The library takes these for functions; bash does not.
			m.problem(Unparsable, "a function without a name")
			return ""
		}
		m.funcs[c.Name.Value] = &function{body: c.Body}
	case *syntax.DeclClause:
		m.declare(c, r)
	case *syntax.TimeClause:
		if c.Stmt != nil {
			return m.stmt(c.Stmt, in)
		}
	case *syntax.CoprocClause:
		s := m.sub()
		s.back = true
		return s.stmt(started(c.Stmt), &stream{text: Unknown, piped: true})
	case nil:
	default:
		// Tests and arithmetic run nothing but the substitutions inside them.
		m.visit(c)
		m.computed(c)
	}
	return ""
}

// started returns the statement of a coprocess with its words in order: the
// library takes those of the form name=value for assignments, wherever they stand.
func started(s *syntax.Stmt) *syntax.Stmt {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Assigns) == 0 || call.Assigns[0].Pos().Offset() < call.Args[0].Pos().Offset() {
		return s
	}
	out, words := *s, []*syntax.Word{call.Args[0]}
	for _, a := range call.Assigns {
		word := &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{ValuePos: a.Pos(), Value: Unknown}}}
		if a.Name != nil && a.Index == nil && a.Array == nil {
			word.Parts = []syntax.WordPart{&syntax.Lit{ValuePos: a.Pos(), Value: a.Name.Value + "="}}
			if a.Value != nil {
				word.Parts = append(word.Parts, a.Value.Parts...)
			}
		}
		words = append(words, word)
	}
	out.Cmd = &syntax.CallExpr{Args: append(words, call.Args[1:]...)}
	return &out
}

func (m *machine) declare(c *syntax.DeclClause, r redirs) {
	words := []string{c.Variant.Value}
	for _, a := range c.Args {
		if a.Naked && a.Name == nil {
			fields := m.fields(a.Value)
			words = append(words, fields...)
			for _, f := range fields {
				if k, v, ok := strings.Cut(f, "="); ok && syntax.ValidName(k) {
					m.setVar(k, v)
					m.export(k)
					m.hooked(k, v)
				}
			}
			continue
		}
		words = append(words, a.Name.Value+"=")
		if slices.ContainsFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "-") && strings.Contains(w, "n") }) && a.Value != nil {
			m.vars[a.Name.Value] = value{ref: m.literal(a.Value)}
			continue
		}
		m.assign(a)
		if c.Variant.Value == "export" || len(words) > 2 && strings.Contains(words[1], "x") {
			m.export(a.Name.Value)
		}
	}
	m.emit(Call{Argv: words, Reads: r.reads, Writes: r.writes})
}

func (m *machine) simple(c *syntax.CallExpr, r redirs, in *stream) string {
	if len(c.Args) == 0 {
		for _, a := range c.Assigns {
			m.assign(a)
		}
		if len(r.reads)+len(r.writes) > 0 {
			m.emit(Call{Reads: r.reads, Writes: r.writes})
		}
		return ""
	}
	var argv []string
	for _, w := range c.Args {
		argv = append(argv, m.fields(w)...)
	}
	m.disclose(c, argv)
	if len(c.Assigns) > 0 {
		saved := maps.Clone(m.vars)
		// What the command itself sets, as read does, stays.
		defer func() { m.restore(c.Assigns, saved) }()
		for _, a := range c.Assigns {
			m.assign(a)
			if a.Name != nil {
				m.export(a.Name.Value)
			}
		}
	}
	if len(argv) == 0 {
		return ""
	}
	return m.invoke(argv, r, in)
}

// restore takes back what was set for one command.
func (m *machine) restore(list []*syntax.Assign, saved map[string]value) {
	for _, a := range list {
		if a.Name == nil {
			continue
		}
		if v, ok := saved[a.Name.Value]; ok {
			m.vars[a.Name.Value] = v
		} else {
			delete(m.vars, a.Name.Value)
		}
	}
}

// disclose notes the variables named like secrets that a command prints,
// because their names are gone once the words are expanded.
func (m *machine) disclose(c *syntax.CallExpr, argv []string) {
	if len(argv) == 0 || argv[0] != "echo" && argv[0] != "printf" {
		return
	}
	if len(m.next) > 0 && !slices.Contains([]string{"curl", "wget", "nc", "ncat", "base64", "xxd", "tee", "rev", "cat"}, m.next[0]) {
		return
	}
	for _, w := range c.Args {
		syntax.Walk(w, func(n syntax.Node) bool {
			if p, ok := n.(*syntax.ParamExp); ok && p.Exp == nil && p.Param != nil && !p.Length {
				if p.Excl && p.Names == 0 && p.Index == nil {
					m.emit(Call{Argv: []string{"env"}})
				}
				if _, set := m.vars[p.Param.Value]; !set {
					m.emit(Call{Argv: []string{"printenv", p.Param.Value}})
				}
			}
			return true
		})
	}
}

func (m *machine) emit(c Call) {
	c.Cwd, c.Via, c.Next, c.Remote, c.Env = m.cwd, slices.Clone(m.via), m.next, m.remote, m.environment()
	m.calls = append(m.calls, c)
	if len(m.links) == 0 || c.Wrapper {
		return
	}
	// The same once more, by the places where the links lead that the line made.
	moved, a := m.relinked(c.Name(), c.Argv)
	c.Argv = a
	w, b := m.relinked("", c.Writes)
	c.Writes = b
	if moved || w {
		m.calls = append(m.calls, c)
	}
}

// environment returns what the line set of the environment that a program sees.
func (m *machine) environment() []string {
	var out []string
	for name, v := range m.vars {
		if v.out || m.all || slices.Contains([]string{"PATH", "HOME", "LANG", "TERM"}, name) {
			out = append(out, name+"="+v.str)
		}
	}
	slices.Sort(out)
	return out
}

// invoke notes one command with its final words and walks into what it runs.
func (m *machine) invoke(argv []string, r redirs, in *stream) string {
	if !m.live() || len(argv) == 0 {
		return Unknown
	}
	if path, ok := m.hashed[argv[0]]; ok {
		argv = append([]string{path}, argv[1:]...)
	}
	if text, ok := m.aliases[argv[0]]; ok { // whether it is one, shopt decides
		delete(m.aliases, argv[0]) // it does not stand for itself
		m.sub().script(text+" "+quote(argv[1:]), in)
		m.alias(argv[0], text)
	}
	name := filepath.Base(argv[0])
	call := Call{Argv: argv, Reads: r.reads, Writes: r.writes, Stdin: in.text, Piped: in.piped, Given: m.given(argv)}
	if strings.ContainsAny(argv[0], "*?[") && name != "[" && name != "[[" {
		return m.matched(argv, r, in)
	}
	if !known(name) {
		m.problem(UnknownProgram, fmt.Sprintf("which program %q is, only the real run knows", strings.ReplaceAll(argv[0], Unknown, "…")))
		m.emit(call)
		return Unknown
	}
	if f, ok := m.funcs[argv[0]]; ok {
		m.emit(call)
		return m.function(argv, f, in)
	}
	if name == argv[0] && program.Completes(name, argv[1:]) {
		m.emit(call)
		return "" // made to be read by a shell, from the program itself
	}
	run := programs(name)
	call.Wrapper = run != nil && wrapper(name)
	m.emit(call)
	m.carried(argv, in)
	if run != nil {
		if m.depth > maxDepth {
			m.halt(TooDeep, "programs run programs more than six deep")
			return Unknown
		}
		m.depth++
		defer func() { m.depth-- }()
		return run(m, argv, in)
	}
	// A script that the line itself wrote is read; any other is a program like all others.
	if text, ok := m.files[m.abs(argv[0])]; ok && strings.Contains(argv[0], "/") {
		return m.own(argv[0], argv[0], text, argv[1:], in)
	}
	return Unknown
}

// own walks a script that the line wrote, under the name that it knows itself
// by. A copy of itself ends the walk; two in the background have no end.
func (m *machine) own(via, path, text string, params []string, in *stream) string {
	at := m.abs(path)
	if n, runs := m.active[at]; runs {
		const apart = 100
		if n++; m.back {
			n += apart
		}
		if m.active[at] = n; n > apart+1 {
			m.problem(ForkBomb, "the script "+path+" starts copies of itself")
		}
		return Unknown
	}
	m.active[at] = 0
	defer delete(m.active, at)
	s := m.sub()
	s.vars["0"] = value{str: path, out: true}
	return s.inner(via, text, params, in)
}

// matched invokes every guarded program that a pattern may stand for.
func (m *machine) matched(argv []string, r redirs, in *stream) string {
	names := program.Matching(argv[0])
	if len(names) == 0 {
		m.problem(UnknownProgram, fmt.Sprintf("which program %q is, only the real run knows", argv[0]))
	}
	for _, name := range names {
		m.sub().invoke(append([]string{name}, argv[1:]...), r, in)
	}
	return Unknown
}

func (m *machine) function(argv []string, f *function, in *stream) string {
	f.called = true
	if f.active > 0 {
		f.selves++
		if m.back || f.selves > 1 {
			m.problem(ForkBomb, "the function "+argv[0]+" starts copies of itself")
		}
		return Unknown
	}
	f.active++
	params := m.params
	m.params = append([]string{}, argv[1:]...)
	out := m.stmt(f.body, in)
	m.params, m.left = params, false
	f.active--
	f.selves = 0
	return out
}

// uncalled walks the functions that the line declares for later.
func (m *machine) uncalled() {
	for _, name := range slices.Sorted(maps.Keys(m.funcs)) {
		if f := m.funcs[name]; !f.called && m.live() {
			s := m.sub()
			s.params = nil
			s.via = append(slices.Clone(m.via), name+"()")
			f.called, f.active = true, 1
			s.stmt(f.body, &stream{text: Unknown, piped: true})
			f.active = 0
		}
	}
}

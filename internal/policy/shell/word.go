package shell

import (
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"phantom/internal/policy/program"
)

// value is a variable: a string, or the elements of an array.
type value struct {
	str  string
	list []string
	arr  bool
	out  bool   // exported: a new shell sees it, too
	ref  string // the variable that this one is another name of
}

func (v value) equal(w value) bool {
	return v.arr == w.arr && v.ref == w.ref && v.str == w.str && strings.Join(v.list, "\x00") == strings.Join(w.list, "\x00") && len(v.list) == len(w.list)
}

func (v value) known() bool { return known(v.str) && known(strings.Join(v.list, "")) }

func (v value) size() int { return len(v.str) + len(strings.Join(v.list, "")) }

// environ shows the machine's variables to the expander. The environment of
// the real run is not read: a name that the line did not set is unknown.
type environ struct {
	m *machine
	// defaulted names are asked for with a default: a name that nothing set
	// takes that default, which is what a clean environment would give.
	defaulted map[string]bool
}

func (e environ) Get(name string) expand.Variable {
	str := func(s string) expand.Variable {
		return expand.Variable{Set: true, Kind: expand.String, Str: s}
	}
	if user, ok := strings.CutPrefix(name, "HOME "); ok {
		// Answered here, or the library would look the user up in the system.
		if user == "root" {
			return str("/root")
		}
		return str(filepath.Join(filepath.Dir(e.m.home.User), user))
	}
	v, ok := e.m.lookup(name)
	switch {
	case !ok && e.defaulted[name]:
		return expand.Variable{}
	case !ok:
		return str(Unknown)
	}
	e.m.served += v.size()
	if e.m.served > maxServed {
		return str(Unknown)
	}
	if v.arr {
		return expand.Variable{Set: true, Kind: expand.Indexed, List: v.list}
	}
	return str(v.str)
}

func (e environ) Each(func(string, expand.Variable) bool) {}

func (e environ) Set(name string, v expand.Variable) error {
	e.m.vars[name] = value{str: v.Str, list: v.List, arr: v.Kind == expand.Indexed}
	return nil
}

// lookup finds a variable or a special parameter.
func (m *machine) lookup(name string) (value, bool) {
	for range 4 {
		if v, ok := m.vars[name]; ok && v.ref != "" {
			name = v.ref
		}
	}
	if v, ok := m.vars[name]; ok {
		return v, true
	}
	switch name {
	case "HOME":
		return value{str: m.home.Dir}, true
	case "PWD":
		return value{str: m.cwd}, true
	case "IFS":
		return value{str: " \t\n"}, true
	case "PPID":
		// What started the shell is Phantom's own.
		return value{str: Unknown + "phantom"}, true
	case "PHANTOM_HOME":
		return value{str: m.home.Phantom}, true
	case "HISTFILE":
		return value{str: filepath.Join(m.home.User, ".bash_history")}, true
	case "0":
		return value{str: "bash"}, true
	case "BASH", "SHELL":
		return value{str: "/bin/bash"}, true
	case "@", "*":
		if m.params == nil {
			return value{arr: true, list: []string{Unknown}}, true
		}
		return value{arr: true, list: m.params}, true
	case "#":
		if m.params != nil {
			return value{str: strconv.Itoa(len(m.params))}, true
		}
	}
	if n, err := strconv.Atoi(name); err == nil && m.params != nil {
		if n >= 1 && n <= len(m.params) {
			return value{str: m.params[n-1]}, true
		}
		return value{}, true
	}
	return value{}, false
}

func (m *machine) setVar(name, s string) {
	m.vars[name] = value{str: clip(s), out: m.vars[name].out}
}

// config returns an expander for a word, whose default forms it looks up first.
func (m *machine) config(word *syntax.Word) *expand.Config {
	env := environ{m: m, defaulted: map[string]bool{}}
	syntax.Walk(word, func(n syntax.Node) bool {
		if p, ok := n.(*syntax.ParamExp); ok && p.Exp != nil && p.Param != nil {
			switch p.Exp.Op {
			case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
				env.defaulted[p.Param.Value] = true
			}
		}
		return true
	})
	return &expand.Config{
		Env: env,
		CmdSubst: func(w io.Writer, c *syntax.CmdSubst) error {
			out := m.sub().stmts(c.Stmts, &stream{})
			_, err := io.WriteString(w, strings.ReplaceAll(out, "\x00", ""))
			return err
		},
		ProcSubst: m.procSubst,
	}
}

// procSubst gives a process substitution a path of its own and remembers what
// would be read from it. The library would make a FIFO.
func (m *machine) procSubst(p *syntax.ProcSubst) (string, error) {
	m.fd++
	path := "/dev/fd/" + strconv.Itoa(100+m.fd)
	if p.Op == syntax.CmdOut {
		m.sub().stmts(p.Stmts, &stream{text: Unknown, piped: true})
		return path, nil
	}
	m.files[path] = m.sub().stmts(p.Stmts, &stream{})
	return path, nil
}

// opaque reports whether the expander would compute with an unknown value in
// word, which would make a wrong known one of it.
func (m *machine) opaque(word *syntax.Word) bool {
	found := false
	unknown := func(name string, limit int) bool {
		v, ok := m.lookup(name)
		return !ok || !v.known() || v.size() > limit
	}
	syntax.Walk(word, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ParamExp:
			if n.Param == nil {
				found = true
				return false
			}
			switch {
			case n.Repl != nil:
				// A replacement can square its size.
				found = found || unknown(n.Param.Value, 1024) || anchored(n.Repl.Orig)
			case n.Excl, n.Length, n.Slice != nil, n.Index != nil && !allElements(n.Index):
				found = found || unknown(n.Param.Value, maxText)
			case n.Exp != nil && n.Exp.Op >= syntax.RemSmallSuffix:
				found = found || unknown(n.Param.Value, maxText)
			}
		case *syntax.ArithmExp:
			syntax.Walk(n.X, func(x syntax.Node) bool {
				switch x := x.(type) {
				case *syntax.CmdSubst:
					found = true
				case *syntax.ParamExp:
					found = found || x.Param == nil || unknown(x.Param.Value, 64)
				case *syntax.Word:
					if l := x.Lit(); l != "" && (l[0] > '9' || l[0] == '_') {
						found = found || unknown(l, 64)
					}
				}
				return !found
			})
		case *syntax.CmdSubst, *syntax.ProcSubst:
			return false
		}
		return !found
	})
	return found
}

// anchored reports whether a pattern only matches at one end, which the library does not know.
func anchored(pattern *syntax.Word) bool {
	if pattern == nil || len(pattern.Parts) == 0 {
		return false
	}
	lit, ok := pattern.Parts[0].(*syntax.Lit)
	return ok && lit.Value != "" && (lit.Value[0] == '#' || lit.Value[0] == '%')
}

func allElements(x syntax.ArithmExpr) bool {
	w, ok := x.(*syntax.Word)
	return ok && (w.Lit() == "@" || w.Lit() == "*")
}

// fields expands a word as an argument. A word that the expander refuses is unknown.
func (m *machine) fields(word *syntax.Word) []string {
	if !m.live() {
		return []string{Unknown}
	}
	if lit := word.Lit(); lit != "" && !strings.ContainsAny(lit, `\~{*?[`) {
		return []string{lit}
	}
	if m.opaque(word) {
		m.visit(word)
		return []string{Unknown}
	}
	if m.empty(word) {
		return nil
	}
	var out []string
	for f, err := range expand.FieldsSeq(m.config(word), word) {
		if err != nil || len(out) >= maxRounds {
			return append(out, Unknown)
		}
		out = append(out, clip(f))
	}
	return out
}

// empty reports whether a word is all the elements, in quotes, of a list that
// has none: it is no field at all, where the library makes an empty one.
func (m *machine) empty(word *syntax.Word) bool {
	if len(word.Parts) != 1 {
		return false
	}
	q, ok := word.Parts[0].(*syntax.DblQuoted)
	if !ok || len(q.Parts) != 1 {
		return false
	}
	p, ok := q.Parts[0].(*syntax.ParamExp)
	if !ok || p.Param == nil || p.Exp != nil || p.Repl != nil || p.Length || p.Excl {
		return false
	}
	index, _ := p.Index.(*syntax.Word)
	if all := p.Param.Value == "@" || index != nil && index.Lit() == "@"; !all {
		return false
	}
	v, ok := m.lookup(p.Param.Value)
	return ok && v.arr && len(v.list) == 0
}

// literal expands a word as the value of an assignment or a redirection.
func (m *machine) literal(word *syntax.Word) string {
	if word == nil {
		return ""
	}
	if m.opaque(word) || !m.live() {
		m.visit(word)
		return Unknown
	}
	s, err := expand.Literal(m.config(word), word)
	if err != nil {
		return Unknown
	}
	return clip(s)
}

// document expands the body of a here-document.
func (m *machine) document(word *syntax.Word) string {
	if word == nil {
		return ""
	}
	if m.opaque(word) {
		m.visit(word)
		return Unknown
	}
	s, err := expand.Document(m.config(word), word)
	if err != nil {
		return Unknown
	}
	return clip(s)
}

// visit walks the substitutions inside a node that is not expanded.
func (m *machine) visit(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			m.sub().stmts(n.Stmts, &stream{})
			return false
		case *syntax.ProcSubst:
			m.sub().stmts(n.Stmts, &stream{text: Unknown, piped: true})
			return false
		}
		return m.live()
	})
}

// computed notes the variables that arithmetic sets: their values are left to
// the real run.
func (m *machine) computed(n syntax.Node) {
	set := func(x syntax.ArithmExpr) {
		if w, ok := x.(*syntax.Word); ok && w.Lit() != "" {
			m.setVar(w.Lit(), Unknown)
		}
	}
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.BinaryArithm:
			if op := n.Op.String(); strings.HasSuffix(op, "=") && !slices.Contains([]string{"==", "!=", "<=", ">="}, op) {
				set(n.X)
			}
		case *syntax.UnaryArithm:
			if op := n.Op.String(); op == "++" || op == "--" {
				set(n.X)
			}
		}
		return true
	})
}

// assign carries one assignment out.
func (m *machine) assign(a *syntax.Assign) {
	if a.Name == nil {
		if a.Value != nil {
			m.fields(a.Value)
		}
		return
	}
	name := a.Name.Value
	if v := m.vars[name]; v.ref != "" && !a.Naked {
		name = v.ref
	}
	old := m.vars[name]
	switch {
	case a.Array != nil:
		v := value{arr: true}
		if a.Append {
			v.list = append(v.list, old.list...)
		}
		for _, e := range a.Array.Elems {
			if e.Value != nil {
				v.list = append(v.list, m.fields(e.Value)...)
			}
		}
		if len(v.list) > maxRounds || v.size() > maxText {
			v = value{str: Unknown}
		}
		m.vars[name] = v
	case a.Index != nil:
		m.visit(a.Index)
		if key, ok := a.Index.(*syntax.Word); ok && name == "BASH_CMDS" && len(m.hashed) < 50 {
			m.hashed[m.literal(key)] = m.literal(a.Value)
		} else if ok && name == "BASH_ALIASES" {
			m.alias(m.literal(key), m.literal(a.Value))
		}
		// Which element is meant may be computed: the array keeps all it may hold.
		m.vars[name] = value{arr: true, list: append(append([]string{}, old.list...), m.literal(a.Value))}
	case a.Naked:
		if _, ok := m.vars[name]; !ok {
			return
		}
	case a.Append && old.arr:
		m.vars[name] = value{arr: true, list: append(append([]string{}, old.list...), m.literal(a.Value))}
	case a.Append:
		v, ok := m.lookup(name)
		if !ok {
			v.str = ""
		}
		m.setVar(name, v.str+m.literal(a.Value))
	default:
		m.setVar(name, m.literal(a.Value))
		m.hooked(name, m.vars[name].str)
	}
}

// hooked walks the value of a variable that programs run, or that shells expand.
func (m *machine) hooked(name, v string) {
	if name == "MAKEFLAGS" || name == "GNUMAKEFLAGS" {
		if _, text, ok := strings.Cut(v, "--eval="); ok {
			m.sub().recipes(text, map[string]string{})
		}
		m.invoke(append([]string{"make"}, strings.Fields(v)...), redirs{}, &stream{})
	}
	if name == "HISTFILE" && (v == "" || v == "/dev/null" || strings.HasPrefix(v, "/tmp/")) || (name == "HISTSIZE" || name == "HISTFILESIZE") && (v == "0" || v == "") {
		m.emit(Call{Argv: []string{"unset", "HISTFILE"}})
	}
	if program.Hook(name) && (strings.ContainsAny(strings.TrimSpace(v), " \t/;|&$`") || program.Guarded(v)) {
		m.sub().script(strings.TrimLeft(v, "|-!"), &stream{})
	}
	if program.Prompt(name) && strings.ContainsAny(v, "$`") {
		if f, _, _ := parse(": \"" + strings.ReplaceAll(v, `"`, `\"`) + "\""); f != nil {
			m.sub().stmts(f.Stmts, &stream{})
		}
	}
}

// merge makes of two ends of a branch one state: what differs is unknown.
func (m *machine) merge(vars map[string]value, cwd string) {
	for name := range vars {
		if _, ok := m.vars[name]; !ok {
			m.vars[name] = value{str: Unknown}
		}
	}
	for name, v := range m.vars {
		if w, ok := vars[name]; !ok || !v.equal(w) {
			m.vars[name] = value{str: Unknown}
		}
	}
	if m.cwd != cwd {
		m.cwd = Unknown
	}
}

// export lets new shells see a variable.
func (m *machine) export(name string) {
	if v, ok := m.vars[name]; ok {
		v.out = true
		m.vars[name] = v
	}
}

func (m *machine) sub() *machine {
	s := *m
	s.vars = maps.Clone(m.vars)
	s.left = false
	return &s
}

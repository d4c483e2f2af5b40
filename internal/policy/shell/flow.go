package shell

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func (m *machine) binary(c *syntax.BinaryCmd, in *stream) string {
	switch c.Op {
	case syntax.AndStmt:
		vars := maps.Clone(m.vars)
		out := m.stmt(c.X, in)
		first := maps.Clone(m.vars)
		out += m.stmt(c.Y, in)
		if left := m.left; !left {
			// The right side may not have run: what it set is in doubt, where
			// it goes is not, since the rest of the line is written for success.
			cwd := m.cwd
			m.merge(first, cwd)
		} else {
			m.vars = vars
		}
		return out
	case syntax.OrStmt:
		vars, cwd := maps.Clone(m.vars), m.cwd
		out := m.stmt(c.X, in)
		after, there := m.vars, m.cwd
		m.vars, m.cwd = vars, cwd
		alt := m.stmt(c.Y, in)
		if m.left {
			m.vars, m.cwd, m.left = after, there, false
		} else {
			m.merge(after, there)
		}
		if out != "" && alt != "" && out != alt {
			return Unknown
		}
		return out + alt
	default:
		next := m.next
		a := m.sub()
		a.back, a.next = true, heads(c.Y)
		before := m.fetches
		out := a.stmt(c.X, in)
		b := m.sub()
		b.back, b.next = true, next
		return b.stmt(c.Y, &stream{text: out, piped: true, web: in.web || m.fetches > before})
	}
}

// heads returns the literal words of the first command of a pipeline.
func heads(s *syntax.Stmt) []string {
	for {
		b, ok := s.Cmd.(*syntax.BinaryCmd)
		if !ok {
			break
		}
		s = b.X
	}
	var words []string
	if call, ok := s.Cmd.(*syntax.CallExpr); ok {
		for _, w := range call.Args {
			var lit strings.Builder
			for _, part := range w.Parts {
				switch p := part.(type) {
				case *syntax.Lit:
					lit.WriteString(p.Value)
				case *syntax.SglQuoted:
					lit.WriteString(p.Value)
				case *syntax.DblQuoted:
					for _, q := range p.Parts {
						if l, ok := q.(*syntax.Lit); ok {
							lit.WriteString(l.Value)
						} else {
							lit.WriteString(Unknown)
						}
					}
				default:
					lit.WriteString(Unknown)
				}
			}
			words = append(words, lit.String())
		}
	}
	return words
}

// branches walks alternatives from one state and joins their ends.
func (m *machine) branches(arms [][]*syntax.Stmt, maybeNone bool, in *stream) string {
	vars, cwd := m.vars, m.cwd
	type end struct {
		vars map[string]value
		cwd  string
	}
	var ends []end
	var outs []string
	if maybeNone {
		ends = append(ends, end{vars, cwd})
	}
	for _, arm := range arms {
		m.vars, m.cwd, m.left = maps.Clone(vars), cwd, false
		outs = append(outs, m.stmts(arm, in))
		if !m.left {
			ends = append(ends, end{m.vars, m.cwd})
		}
	}
	m.left = len(ends) == 0
	m.vars, m.cwd = maps.Clone(vars), cwd
	for i, e := range ends {
		if i == 0 {
			m.vars, m.cwd = maps.Clone(e.vars), e.cwd
			continue
		}
		m.merge(e.vars, e.cwd)
	}
	if len(outs) == 1 && !maybeNone {
		return outs[0]
	}
	if strings.Join(outs, "") == "" {
		return ""
	}
	return Unknown
}

func (m *machine) ifClause(c *syntax.IfClause, in *stream) string {
	var out strings.Builder
	var arms [][]*syntax.Stmt
	none := true
	for ; c != nil; c = c.Else {
		if len(c.Cond) == 0 {
			none = false
		}
		out.WriteString(m.stmts(c.Cond, in))
		arms = append(arms, c.Then)
	}
	return clip(out.String() + m.branches(arms, none, in))
}

// while walks the body as it first runs, and once more for all later rounds,
// in which whatever the first changed is unknown. A loop that reads known
// text is walked line by line instead.
func (m *machine) while(c *syntax.WhileClause, in *stream) string {
	if forever(c) && spawns(slices.Concat(c.Cond, c.Do)) {
		m.problem(ForkBomb, "an endless loop starts background processes")
	}
	if in.piped && known(in.text) && reads(c.Cond) {
		var out strings.Builder
		for in.text != "" && m.live() && m.round() {
			m.stmts(c.Cond, in)
			out.WriteString(m.stmts(c.Do, in))
		}
		return clip(out.String())
	}
	out := m.widen(func() string { return m.stmts(c.Cond, in) + m.stmts(c.Do, in) })
	m.left = false
	return out
}

func (m *machine) round() bool {
	m.rounds++
	if m.rounds > maxRounds {
		m.halt(TooLong, "loops run over 1,000 rounds")
	}
	return !m.halted
}

func (m *machine) widen(body func() string) string {
	if !m.round() {
		return Unknown
	}
	vars, cwd := maps.Clone(m.vars), m.cwd
	out := body()
	changed := m.cwd != cwd
	for name, v := range m.vars {
		if w, ok := vars[name]; !ok || !v.equal(w) {
			changed = true
		}
	}
	if changed && m.live() {
		m.merge(vars, cwd)
		body()
		m.merge(vars, cwd)
	}
	if out == "" {
		return ""
	}
	return Unknown
}

// reads reports whether a loop's condition is the read builtin.
func reads(cond []*syntax.Stmt) bool {
	if len(cond) == 0 {
		return false
	}
	words := heads(cond[len(cond)-1])
	return len(words) > 0 && words[0] == "read"
}

func (m *machine) forClause(c *syntax.ForClause, in *stream) string {
	iter, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		loop := c.Loop.(*syntax.CStyleLoop) //nolint:forcetypeassert // the library has two kinds of loop
		m.visit(loop)
		if steady(loop.Cond) && spawns(c.Do) {
			m.problem(ForkBomb, "an endless loop starts background processes")
		}
		syntax.Walk(loop, func(n syntax.Node) bool {
			if w, ok := n.(*syntax.Word); ok && w.Lit() != "" {
				m.vars[w.Lit()] = value{str: Unknown}
			}
			return true
		})
		return m.widen(func() string { return m.stmts(c.Do, in) })
	}
	var items []string
	if iter.InPos.IsValid() {
		for _, w := range iter.Items {
			items = append(items, m.fields(w)...)
		}
	} else if m.params != nil {
		items = m.params
	} else {
		items = []string{Unknown}
	}
	var out strings.Builder
	if len(items) > 200 {
		// Enough to see every kind of item a script writes out; numbers go on as one unknown.
		items = append(items[:200:200], Unknown)
	}
	for _, item := range items {
		if !m.round() || !m.live() {
			return Unknown
		}
		m.setVar(iter.Name.Value, item)
		out.WriteString(m.stmts(c.Do, in))
	}
	m.left = false
	return clip(out.String())
}

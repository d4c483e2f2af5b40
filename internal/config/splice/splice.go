// Package splice changes one list of blocks in a YAML text and leaves every
// other byte as it is: comments, order, quotes and line ends.
//
// It works on the text, at the places that the parser names, and understands
// nothing of what is written. A layout that it does not know is refused with
// ErrLayout; a caller must read what comes out before it counts. Only config
// may use it.
package splice

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrLayout says that the text is written in a way that cannot be changed in
// place.
var ErrLayout = errors.New("it is written in a way that cannot be changed without touching the rest")

// Pair is one key of a block. The value is YAML, on one line.
type Pair struct{ Key, Value string }

// List is the list under one key at the top of a text.
type List struct {
	text  string
	lines []int // where each begins, and the end of the text
	key   string
	under *ast.MappingValueNode // the key and its value; nil if it is not written
	flow  bool                  // whether the text is one flow block
	items []ast.Node
	seq   *ast.SequenceNode // nil if the key has no list
}

// Find finds the list of a key.
func Find(text []byte, key string) (List, error) {
	l := List{text: string(text), key: key}
	if !utf8.Valid(text) {
		return List{}, ErrLayout
	}
	for at := 0; at < len(l.text); {
		l.lines = append(l.lines, at)
		n := strings.IndexByte(l.text[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	l.lines = append(l.lines, len(l.text))
	// The parser counts lines that end in CRLF twice where there are comments.
	doc, err := parser.ParseBytes(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), 0)
	if err != nil {
		return List{}, ErrLayout // the reader says what is wrong
	}
	var body ast.Node
	for _, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return List{}, ErrLayout
		}
		body = d.Body
	}
	if body == nil {
		return l, nil
	}
	pairs, flow, ok := pairsOf(body)
	if !ok {
		return List{}, ErrLayout
	}
	l.flow = flow
	return l, l.enter(pairs)
}

// enter looks for the key.
func (l *List) enter(pairs []*ast.MappingValueNode) error {
	for _, p := range pairs {
		if _, ok := p.Key.(*ast.StringNode); !ok {
			return ErrLayout
		}
		if !named(p, l.key) {
			continue
		}
		l.under = p
		switch v := p.Value.(type) {
		case *ast.NullNode:
		case *ast.SequenceNode:
			l.seq, l.items = v, v.Values
			if !v.IsFlowStyle && len(v.Entries) != len(v.Values) {
				return ErrLayout
			}
		default:
			return ErrLayout
		}
	}
	return nil
}

func named(p *ast.MappingValueNode, key string) bool {
	s, ok := p.Key.(*ast.StringNode)
	return ok && s.Value == key
}

// pairsOf returns the keys of a block, and whether it stands in braces.
func pairsOf(n ast.Node) (pairs []*ast.MappingValueNode, flow, ok bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, m.IsFlowStyle, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, false, true
	}
	return nil, false, false
}

// Len returns how many items there are.
func (l List) Len() int { return len(l.items) }

// Append adds a block at the end of the list.
func (l List) Append(block []Pair) ([]byte, error) {
	switch {
	case l.seq != nil && !l.seq.IsFlowStyle:
		return l.appendBlock(block)
	case l.seq != nil && len(l.items) > 0:
		end, err := l.flowEnd(len(l.items) - 1)
		return l.insert(end, ", "+inline(block), err)
	case l.flow:
		if l.seq == nil {
			return nil, ErrLayout
		}
		open, err := l.at(l.seq.Start, '[')
		return l.insert(open+1, inline(block), err)
	case l.under == nil:
		start := ""
		if l.text != "" && !strings.HasSuffix(l.text, "\n") {
			start = l.newline()
		}
		return []byte(l.text + start + l.key + ":" + l.newline() + l.block(block, 2)), nil
	}
	return l.fill(block)
}

// fill writes the first item of a list that is there and empty.
func (l List) fill(block []Pair) ([]byte, error) {
	colon, err := l.at(l.under.Start, ':')
	if err != nil {
		return nil, err
	}
	line := l.lineOf(colon)
	end := l.contentEnd(line)
	rest := l.text[colon+1 : end]
	word := ""
	if l.seq != nil {
		word = empty
	} else if plain := strings.TrimSpace(beforeComment(rest)); plain != "" {
		word = rest[:strings.Index(rest, plain)+len(plain)] // null, with the blanks before it
	}
	if !strings.HasPrefix(rest, word) {
		open, err := l.at(l.seq.Start, '[')
		return l.insert(open+1, inline(block), err)
	}
	indent, err := l.at(l.under.Key.GetToken(), 0)
	if err != nil {
		return nil, err
	}
	text := l.text[:colon+1] + rest[len(word):] + l.text[end:]
	return []byte(l.below(text, line, l.block(block, indent-l.lines[line]+2), end-len(word))), nil
}

// empty is what a list that lost its last item becomes, and that fill takes
// away again.
const empty = " []"

// beforeComment returns what stands on a line before its comment.
func beforeComment(s string) string {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			return s[:i]
		}
	}
	return s
}

// below puts whole lines below a line whose content ends at end in text. If
// the text ends there without a line end, so does what comes out.
func (l List) below(text string, line int, lines string, end int) string {
	if next := l.lines[line+1] - (len(l.text) - len(text)); next > end {
		return text[:next] + lines + text[next:]
	}
	return text + l.newline() + strings.TrimSuffix(lines, l.newline())
}

func (l List) appendBlock(block []Pair) ([]byte, error) {
	last := len(l.items) - 1
	if last < 0 {
		return nil, ErrLayout
	}
	_, end, indent, err := l.blockLines(last)
	if err != nil {
		return nil, err
	}
	for next := end + 1; next < len(l.lines)-1; next++ { // comments of the last item
		content := l.content(next)
		if text := strings.TrimLeft(content, " "); !strings.HasPrefix(text, "#") || len(content)-len(text) <= indent {
			break
		}
		end = next
	}
	return []byte(l.below(l.text, end, l.block(block, indent), l.contentEnd(end))), nil
}

// Remove takes an item away, with the comments inside it.
func (l List) Remove(i int) ([]byte, error) {
	if i < 0 || i >= len(l.items) {
		return nil, fmt.Errorf("there is no item %d", i)
	}
	if l.seq.IsFlowStyle {
		return l.removeFlow(i)
	}
	first, last, _, err := l.blockLines(i)
	if err != nil {
		return nil, err
	}
	from, to := l.lines[first], l.lines[last+1]
	if to == l.contentEnd(last) && first > 0 { // the text ends here, without a line end
		from = l.contentEnd(first - 1)
	}
	text := l.text[:from] + l.text[to:]
	if len(l.items) > 1 {
		return []byte(text), nil
	}
	colon, err := l.at(l.under.Start, ':')
	if err != nil || colon >= from {
		return nil, ErrLayout
	}
	return []byte(text[:colon+1] + empty + text[colon+1:]), nil
}

// removeFlow takes an item out of brackets, with the comma on its left, or on
// its right if it is the first. A comment between two items stays.
func (l List) removeFlow(i int) ([]byte, error) {
	start, end, err := l.flowItem(i)
	if err != nil {
		return nil, err
	}
	left, right := start, end
	switch {
	case i > 0:
		left, err = l.flowEnd(i - 1)
	case len(l.items) > 1:
		right, _, err = l.flowItem(i + 1)
	default:
		right, err = l.at(l.seq.End, ']')
	}
	if err != nil {
		return nil, err
	}
	gap, at := l.text[end:right], end
	if i > 0 {
		gap, at = l.text[left:start], left
	}
	comma, comments := commaIn(gap)
	switch {
	case comma < 0 && len(l.items) == 1:
		return []byte(l.text[:start] + l.text[end:]), nil
	case comma < 0:
		return nil, ErrLayout
	case !comments && len(l.items) > 1:
		return []byte(l.text[:left] + l.text[right:]), nil
	}
	comma += at
	if comma < start {
		return []byte(l.text[:comma] + l.text[comma+1:start] + l.text[end:]), nil
	}
	return []byte(l.text[:start] + l.text[end:comma] + l.text[comma+1:]), nil
}

// commaIn finds the comma between two items, which no comment hides, and says
// whether there are comments.
func commaIn(gap string) (at int, comments bool) {
	at = -1
	for i := 0; i < len(gap); i++ {
		switch gap[i] {
		case '#':
			comments = true
			n := strings.IndexByte(gap[i:], '\n')
			if n < 0 {
				return at, comments
			}
			i += n
		case ',':
			if at < 0 {
				at = i
			}
		}
	}
	return at, comments
}

// Set gives a key of an item another value. A key that is not there is added
// behind the key after.
func (l List) Set(i int, key, value, after string) ([]byte, error) {
	if i < 0 || i >= len(l.items) {
		return nil, fmt.Errorf("there is no item %d", i)
	}
	pairs, flow, ok := pairsOf(l.items[i])
	if !ok {
		return nil, ErrLayout
	}
	flow = flow || l.seq.IsFlowStyle
	if at := slices.IndexFunc(pairs, func(p *ast.MappingValueNode) bool { return named(p, key) }); at >= 0 {
		start, end, err := l.scalar(pairs[at].Value, flow)
		if err != nil {
			return nil, err
		}
		return []byte(l.text[:start] + value + l.text[end:]), nil
	}
	at := slices.IndexFunc(pairs, func(p *ast.MappingValueNode) bool { return named(p, after) })
	if at < 0 {
		return nil, ErrLayout
	}
	_, end, err := l.scalar(pairs[at].Value, flow)
	if flow || err != nil {
		return l.insert(end, ", "+key+": "+value, err)
	}
	name, err := l.at(pairs[at].Key.GetToken(), 0)
	if err != nil {
		return nil, err
	}
	indent := name - l.lines[l.lineOf(name)]
	line := l.lineOf(end)
	return []byte(l.below(l.text, line, strings.Repeat(" ", indent)+key+": "+value+l.newline(), l.contentEnd(line))), nil
}

// scalar returns where a text on one line begins and ends, quotes included.
func (l List) scalar(n ast.Node, flow bool) (start, end int, err error) {
	if start, err = l.at(n.GetToken(), 0); err != nil {
		return 0, 0, err
	}
	s := l.text[start:l.contentEnd(l.lineOf(start))]
	if s == "" || strings.ContainsRune("|>&*!?[{-#", rune(s[0])) {
		return 0, 0, ErrLayout
	}
	switch quote := s[0]; quote {
	case '"', '\'':
		for i := 1; i < len(s); i++ {
			switch {
			case quote == '"' && s[i] == '\\':
				i++
			case s[i] == quote && quote == '\'' && i+1 < len(s) && s[i+1] == quote:
				i++
			case s[i] == quote:
				return start, start + i + 1, nil
			}
		}
		return 0, 0, ErrLayout
	}
	s = beforeComment(s)
	if flow {
		if i := strings.IndexAny(s, ",]}"); i >= 0 {
			s = s[:i]
		}
	}
	return start, start + len(strings.TrimRight(s, " \t")), nil
}

package splice

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// at returns where a token stands in the text. If want is not 0, that byte
// must stand there: the parser's places are believed no further.
func (l List) at(t *token.Token, want byte) (int, error) {
	if t == nil || t.Position == nil {
		return 0, ErrLayout
	}
	line, column := t.Position.Line-1, t.Position.Column-1
	if line < 0 || line >= len(l.lines)-1 || column < 0 {
		return 0, ErrLayout
	}
	at, end := l.lines[line], l.contentEnd(line)
	for ; column > 0 && at < end; column-- {
		_, size := utf8.DecodeRuneInString(l.text[at:])
		at += size
	}
	if column > 0 || want != 0 && (at >= end || l.text[at] != want) {
		return 0, ErrLayout
	}
	return at, nil
}

func (l List) insert(at int, what string, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return []byte(l.text[:at] + what + l.text[at:]), nil
}

// lineOf returns the line that holds an offset.
func (l List) lineOf(at int) int {
	line := sort.SearchInts(l.lines, at+1) - 1
	return min(line, len(l.lines)-2)
}

// contentEnd returns where a line ends, without its line end.
func (l List) contentEnd(line int) int {
	text := l.text[l.lines[line]:l.lines[line+1]]
	return l.lines[line] + len(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"))
}

func (l List) content(line int) string { return l.text[l.lines[line]:l.contentEnd(line)] }

// newline is the line end of the text: that of its first line.
func (l List) newline() string {
	if n := strings.IndexByte(l.text, '\n'); n > 0 && l.text[n-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// blockLines returns the first and the last line of an item that begins with a
// dash, and how far the dash is indented. Blank lines and comments behind the
// item are not part of it.
func (l List) blockLines(i int) (first, last, indent int, err error) {
	dash, err := l.at(l.seq.Entries[i].Start, '-')
	if err != nil {
		return 0, 0, 0, err
	}
	first = l.lineOf(dash)
	indent = dash - l.lines[first]
	if strings.Trim(l.text[l.lines[first]:dash], " ") != "" {
		return 0, 0, 0, ErrLayout
	}
	last = first
	for line := first + 1; line < len(l.lines)-1; line++ {
		content := l.content(line)
		text := strings.TrimLeft(content, " ")
		if text == "" || text[0] == '#' {
			continue
		}
		if len(content)-len(text) <= indent {
			break
		}
		last = line
	}
	return first, last, indent, nil
}

// flowItem returns where an item in brackets begins and ends.
func (l List) flowItem(i int) (start, end int, err error) {
	m, ok := l.items[i].(*ast.MappingNode)
	if !ok || !m.IsFlowStyle {
		return 0, 0, ErrLayout
	}
	if start, err = l.at(m.Start, '{'); err != nil {
		return 0, 0, err
	}
	end, err = l.at(m.End, '}')
	return start, end + 1, err
}

func (l List) flowEnd(i int) (int, error) {
	_, end, err := l.flowItem(i)
	return end, err
}

// block writes an item as lines behind a dash.
func (l List) block(pairs []Pair, indent int) string {
	var out strings.Builder
	for i, p := range pairs {
		lead := "  "
		if i == 0 {
			lead = "- "
		}
		out.WriteString(strings.Repeat(" ", indent) + lead + p.Key + ": " + p.Value + l.newline())
	}
	return out.String()
}

// inline writes an item in braces.
func inline(pairs []Pair) string {
	parts := make([]string, len(pairs))
	for i, p := range pairs {
		parts[i] = p.Key + ": " + p.Value
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

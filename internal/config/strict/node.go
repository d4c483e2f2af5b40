// Package strict reads YAML in which every key is known and every value has a
// rule. It is the syntax of config: it knows how settings are written and
// nothing of what they mean.
//
// It refuses unknown and doubled keys, wrong types, values against their rule,
// anchors, aliases, tags, second documents, secrets in plain text and
// variables that are not set. It gathers every problem of a file and changes
// nothing when there is one. Only config may use it.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"phantom/internal/secret"
)

// Lookup returns the value of a variable and where it stands.
type Lookup func(name string) (value, source string, ok bool)

// file is one YAML file under judgement. Everything wrong with it is gathered,
// so that the owner mends it in one go.
type file struct {
	name     string // as errors name it
	lookup   Lookup
	shapes   *secret.Redactor // knows secrets by their looks
	off      bool
	problems []problem
}

type problem struct {
	line int // 0 for what stands in a variable
	text string
}

// Node is one place in a file. A node without syntax is a key that is not
// written; its environment still counts.
type Node struct {
	file   *file
	path   string // "spend.per_day_usd"
	line   int
	syntax ast.Node
	hidden bool // its value comes out of a variable and from nowhere else
}

// Parse reads a YAML document under the name that errors give it; a nil raw
// stands for a file that is not there.
func Parse(name string, raw []byte, lookup Lookup) Node {
	f := &file{name: name, lookup: lookup, shapes: secret.NewRedactor()}
	root := Node{file: f, line: 1}
	if raw == nil {
		return root
	}
	if !utf8.Valid(raw) {
		root.Problem("is not UTF-8 text")
		return root
	}
	// The parser counts a line that ends in CRLF twice where there are comments.
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	doc, err := parser.ParseBytes(raw, 0, parser.AllowDuplicateMapKey()) // Entries refuses them, with its other problems
	if err != nil {
		line, message := 1, err.Error()
		var located yaml.Error
		if errors.As(err, &located) {
			message = located.GetMessage()
			if t := located.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		// The library's own text would quote the lines around, secrets included.
		f.add(line, "", "is not YAML: "+clip(f.shapes.String(message)))
		return root
	}
	for _, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		if root.syntax != nil {
			f.add(lineOf(d.Body, 1), "", "a second document stands here; want one")
			root.syntax = nil
			return root
		}
		root.syntax = d.Body
	}
	return root
}

func (f *file) add(line int, path, text string) {
	if path != "" {
		text = path + ": " + text
	}
	f.problems = append(f.problems, problem{line, fmt.Sprintf("%s:%d: %s", f.name, line, text)})
}

// Written reports whether the place is in the file.
func (n Node) Written() bool { return n.syntax != nil }

// Problem records what is wrong at the place.
func (n Node) Problem(format string, args ...any) {
	n.file.add(n.line, n.path, fmt.Sprintf(format, args...))
}

// Problems returns all that is wrong with the file so far, a line each, in the
// order of the file.
func (n Node) Problems() []string {
	sorted := slices.Clone(n.file.problems)
	slices.SortStableFunc(sorted, func(a, b problem) int { return a.line - b.line })
	var lines []string
	for _, p := range sorted {
		lines = append(lines, p.text)
	}
	return lines
}

// Apart returns the node with problems of its own, for a block that is judged
// without regard to the rest of its file.
func (n Node) Apart() Node {
	alone := *n.file
	alone.problems = nil
	n.file = &alone
	return n
}

// SwitchOff says whether the block is off: a variable that is not set is then
// no fault. It counts for all nodes of the file, so only after Apart.
func (n Node) SwitchOff(off bool) { n.file.off = off }

// Off reports what SwitchOff said.
func (n Node) Off() bool { return n.file.off }

// at returns the node below n, named as errors name it.
func (n Node) at(key string, syntax ast.Node, line int) Node {
	key = clip(n.file.shapes.String(key))
	path := key
	if n.path != "" && strings.HasPrefix(key, "[") {
		path = n.path + key
	} else if n.path != "" {
		path = n.path + "." + key
	}
	return Node{file: n.file, path: path, line: lineOf(syntax, line), syntax: syntax}
}

func lineOf(syntax ast.Node, otherwise int) int {
	if syntax == nil {
		return otherwise
	}
	if t := syntax.GetToken(); t != nil && t.Position != nil && t.Position.Line > 0 {
		return t.Position.Line
	}
	return otherwise
}

// Entry is one key of a mapping.
type Entry struct {
	Key  string
	Node Node
}

// Entries returns the keys of a mapping in order; of a block that is empty or
// not written, none.
func (n Node) Entries() []Entry {
	var values []*ast.MappingValueNode
	switch m := n.syntax.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		n.Problem("found %s, want a block of keys", n.describe())
		return nil
	}
	var all []Entry
	for _, v := range values {
		line := lineOf(v.Key, n.line)
		name, ok := keyText(v.Key)
		if !ok {
			n.file.add(line, n.path, "found a key that is not a plain word")
			continue
		}
		if slices.ContainsFunc(all, func(e Entry) bool { return e.Key == name }) {
			n.file.add(line, n.path, fmt.Sprintf("the key %s is written twice", n.show(name)))
			continue
		}
		child := n.at(name, v.Value, line)
		child.line = line
		all = append(all, Entry{name, child})
	}
	return all
}

func keyText(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode:
		return k.Token.Value, true
	}
	return "", false
}

// Items returns the members of a list; of one not written, none.
func (n Node) Items() []Node {
	switch s := n.syntax.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		all := make([]Node, len(s.Values))
		for i, v := range s.Values {
			all[i] = n.at(fmt.Sprintf("[%d]", i), v, n.line)
		}
		return all
	}
	n.Problem("found %s, want a list", n.describe())
	return nil
}

// Fields reads a block whose keys are all known.
func (n Node) Fields(known ...Field) {
	written := n.Entries()
	for _, e := range written {
		if !slices.ContainsFunc(known, func(f Field) bool { return f.key == e.Key }) {
			names := make([]string, len(known))
			for i, f := range known {
				names[i] = f.key
			}
			e.Node.Problem("unknown key; %s", suggest(e.Key, names))
		}
	}
	for _, f := range known {
		child := n.at(f.key, nil, n.line)
		for _, e := range written {
			if e.Key == f.key {
				child = e.Node
			}
		}
		f.read(child)
	}
}

// suggest says what could stand in place of a word nobody knows.
func suggest(word string, known []string) string {
	nearest, least := "", len(word)/2+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d <= least && (nearest == "" || d < distance(strings.ToLower(word), nearest)) {
			nearest = k
		}
	}
	list := strings.Join(known, ", ")
	if nearest == "" {
		return "known here: " + list
	}
	return fmt.Sprintf("did you mean %q? (known here: %s)", nearest, list)
}

// distance counts the edits that turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// describe says what stands at the place. It shows the text as written, never
// what a variable was replaced with.
func (n Node) describe() string {
	switch s := n.syntax.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return "the text " + n.show(s.Value)
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + clip(n.syntax.GetToken().Value)
	case *ast.BoolNode:
		return "the word " + s.Token.Value
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a block of keys"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "a YAML anchor or alias"
	case *ast.TagNode:
		return "a YAML tag"
	}
	return "something that has no place in a config file"
}

// show quotes a text for an error: short, and without what looks like a secret.
func (n Node) show(s string) string { return strconv.Quote(clip(n.file.shapes.String(s))) }

func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

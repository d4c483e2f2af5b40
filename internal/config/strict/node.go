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
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"phantom/internal/secret"
)

// file is one YAML file under judgement. Everything wrong with it is gathered,
// so that the owner mends it in one go.
type file struct {
	name     string // as errors name it
	env      *environ
	shapes   *secret.Redactor // knows secrets by their looks
	off      bool             // the block is switched off, so what it lacks is no fault
	problems []string
}

// Node is one place in a file. A Node without syntax is a key that is not
// written; its defaults and its environment still count.
type Node struct {
	file   *file
	path   string // "spend.per_day_usd"
	line   int
	syntax ast.Node
}

// parseFile reads a YAML document; nil stands for a file that is not there.
func Parse(f *file, raw []byte) Node {
	root := Node{file: f, line: 1}
	if raw == nil {
		return root
	}
	if !utf8.Valid(raw) {
		root.Problem("is not UTF-8 text")
		return root
	}
	doc, err := parser.ParseBytes(raw, 0)
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
		f.add(line, "", "is not YAML: "+message)
		return root
	}
	for _, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		if root.syntax != nil {
			f.add(lineOf(d.Body, 1), "", "a second document stands here; want one")
			return Node{file: f, line: 1}
		}
		root.syntax = d.Body
	}
	return root
}

func (f *file) add(line int, path, text string) {
	at := f.name
	if line > 0 {
		at = fmt.Sprintf("%s:%d", f.name, line)
	}
	if path != "" {
		at += ": " + path
	}
	f.problems = append(f.problems, at+": "+text)
}

func (n Node) Problem(format string, args ...any) {
	n.file.add(n.line, n.path, fmt.Sprintf(format, args...))
}

// at returns the Node below n, named as errors name it.
func (n Node) at(key string, syntax ast.Node, line int) Node {
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
	key  string
	Node node
}

// entries returns the keys of a mapping in order; of a block that is empty or
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
		n.Problem("found %s, want a block of keys", describe(n.syntax))
		return nil
	}
	var all []Entry
	for _, v := range values {
		line := lineOf(v.Key, n.line)
		name, ok := keyText(v.Key)
		if !ok {
			n.file.add(line, n.path, fmt.Sprintf("found %s as a key, want a plain word", describe(v.Key)))
			continue
		}
		if slices.ContainsFunc(all, func(e Entry) bool { return e.Key == name }) {
			n.file.add(line, n.path, fmt.Sprintf("the key %q is written twice", name))
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

// items returns the members of a list; of one not written, none.
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
	n.Problem("found %s, want a list", describe(n.syntax))
	return nil
}

// fields reads a block whose keys are all known.
func (n Node) Fields(known ...Field) {
	written := n.Entries()
	for _, e := range written {
		if !slices.ContainsFunc(known, func(f Field) bool { return f.Key == e.Key }) {
			names := make([]string, len(known))
			for i, f := range known {
				names[i] = f.Key
			}
			e.Node.Problem("unknown key; %s", suggest(e.Key, names))
		}
	}
	for _, f := range known {
		child := n.at(f.Key, nil, n.line)
		for _, e := range written {
			if e.Key == f.Key {
				child = e.Node
			}
		}
		f.Read(child)
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

// describe says what stands at a place. It shows the text as written, never
// what a variable was replaced with.
func describe(syntax ast.Node) string {
	switch s := syntax.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", clip(s.Value))
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + clip(syntax.GetToken().Value)
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

func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

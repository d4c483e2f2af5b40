package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"phantom/internal/secret"
)

// maxFile is the size of a file, in bytes, above which it is not read.
const maxFile = 256 << 10

// file is one YAML file under judgement. Everything wrong with it is gathered,
// so that the owner mends it in one go.
type file struct {
	name     string // as errors name it
	env      *environ
	shapes   *secret.Redactor // knows secrets by their looks
	off      bool             // the block is switched off, so what it lacks is no fault
	problems []string
}

// node is one place in a file. A node without syntax is a key that is not
// written; its defaults and its environment still count.
type node struct {
	file   *file
	path   string // "spend.per_day_usd"
	line   int
	syntax ast.Node
}

// parseFile reads a YAML document; nil stands for a file that is not there.
func parseFile(f *file, raw []byte) node {
	root := node{file: f, line: 1}
	if raw == nil {
		return root
	}
	if !utf8.Valid(raw) {
		root.problem("is not UTF-8 text")
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
			return node{file: f, line: 1}
		}
		root.syntax = d.Body
	}
	return root
}

// readLimited reads a file that is not too large and does not have any of the
// forbidden permission bits.
func readLimited(path string, forbidden fs.FileMode) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if mode := info.Mode(); !mode.IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	} else if mode.Perm()&forbidden != 0 {
		err = fmt.Errorf("%s has the permissions %04o, so other users can get at it: run `chmod 600 %s`", path, mode.Perm(), path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is larger than %d kB", path, maxFile>>10)
	}
	return raw, errors.Join(err, f.Close())
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

func (n node) problem(format string, args ...any) {
	n.file.add(n.line, n.path, fmt.Sprintf(format, args...))
}

// at returns the node below n, named as errors name it.
func (n node) at(key string, syntax ast.Node, line int) node {
	path := key
	if n.path != "" && strings.HasPrefix(key, "[") {
		path = n.path + key
	} else if n.path != "" {
		path = n.path + "." + key
	}
	return node{file: n.file, path: path, line: lineOf(syntax, line), syntax: syntax}
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

// entry is one key of a mapping.
type entry struct {
	key  string
	node node
}

// entries returns the keys of a mapping in order; of a block that is empty or
// not written, none.
func (n node) entries() []entry {
	var values []*ast.MappingValueNode
	switch m := n.syntax.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		n.problem("found %s, want a block of keys", describe(n.syntax))
		return nil
	}
	var all []entry
	for _, v := range values {
		line := lineOf(v.Key, n.line)
		name, ok := keyText(v.Key)
		if !ok {
			n.file.add(line, n.path, fmt.Sprintf("found %s as a key, want a plain word", describe(v.Key)))
			continue
		}
		if slices.ContainsFunc(all, func(e entry) bool { return e.key == name }) {
			n.file.add(line, n.path, fmt.Sprintf("the key %q is written twice", name))
			continue
		}
		child := n.at(name, v.Value, line)
		child.line = line
		all = append(all, entry{name, child})
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
func (n node) items() []node {
	switch s := n.syntax.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		all := make([]node, len(s.Values))
		for i, v := range s.Values {
			all[i] = n.at(fmt.Sprintf("[%d]", i), v, n.line)
		}
		return all
	}
	n.problem("found %s, want a list", describe(n.syntax))
	return nil
}

// fields reads a block whose keys are all known.
func (n node) fields(known ...field) {
	written := n.entries()
	for _, e := range written {
		if !slices.ContainsFunc(known, func(f field) bool { return f.key == e.key }) {
			names := make([]string, len(known))
			for i, f := range known {
				names[i] = f.key
			}
			e.node.problem("unknown key; %s", suggest(e.key, names))
		}
	}
	for _, f := range known {
		child := n.at(f.key, nil, n.line)
		for _, e := range written {
			if e.key == f.key {
				child = e.node
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

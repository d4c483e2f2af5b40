package strict

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"phantom/internal/secret"
)

// Field is one key that a block may have.
type Field struct {
	key  string
	read func(Node)
}

// Block is a key that a function reads.
func Block(key string, read func(Node)) Field { return Field{key, read} }

// Read reads the field at a place.
func (f Field) Read(n Node) { f.read(n) }

// Rule is what a text must be.
type Rule struct {
	Want string // as errors say it
	OK   func(string) bool
}

// Want returns a rule.
func Want(want string, ok func(string) bool) Rule { return Rule{want, ok} }

// OrNothing lets an empty text pass too: what a variable without a value gives.
func (r Rule) OrNothing() Rule {
	return Rule{r.Want, func(s string) bool { return s == "" || r.OK(s) }}
}

// The kinds of scalar that a key can ask for.
type scalarKind uint8

const (
	kindText   scalarKind = iota
	kindNumber            // whole or not
	kindBool
	kindIdentity // text, or the digits of a number
)

// Setting is a key with one scalar: how it is read and what is done with it.
type Setting struct {
	key  string
	env  string // variable that overrides the file, or ""
	kind scalarKind
	rule Rule
	take func(string) // called with a text that keeps the rule
}

// Field makes the setting a key of a block.
func (s Setting) Field() Field {
	return Field{s.key, func(n Node) {
		if text, ok := n.scalar(s.kind, s.rule.Want); ok {
			if s.rule.OK(text) {
				s.take(text)
			} else {
				n.Problem("found %s, want %s", n.describe(), s.rule.Want)
			}
		}
		if s.env == "" {
			return
		}
		value, source, ok := n.file.lookup(s.env)
		if !ok {
			return
		}
		if value = strings.TrimSpace(value); !s.rule.OK(value) {
			n.file.problems = append(n.file.problems, problem{0, fmt.Sprintf("%s: %s: found %s, want %s", source, s.env, n.show(value), s.rule.Want)})
			return
		}
		s.take(value)
	}}
}

// From names the variable that overrides the file.
func (s Setting) From(env string) Setting {
	s.env = env
	return s
}

// Text is a text that keeps a rule.
func Text(key string, to *string, r Rule) Setting {
	return Setting{key: key, kind: kindText, rule: r, take: func(s string) { *to = s }}
}

// Number is a whole number in a range.
func Number(key string, to *int, low, high int) Setting {
	r := Rule{fmt.Sprintf("a whole number from %d to %d", low, high), func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n >= low && n <= high && strconv.Itoa(n) == s
	}}
	return Setting{key: key, kind: kindNumber, rule: r, take: func(s string) {
		if n, err := strconv.Atoi(s); err == nil {
			*to = n
		}
	}}
}

// VariableName reports whether s can be the name of a variable.
func VariableName(s string) bool {
	for i, r := range s {
		letter := r == '_' || (r >= 'A' && r <= 'Z') || (r >= 'a' && r <= 'z')
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// maxUSD keeps sums far from the end of an int64 of micro-dollars.
const maxUSD = 1e6

// Amount is a sum of US dollars.
func Amount(key string, to *float64) Setting {
	parse := func(s string) (float64, bool) {
		v, err := strconv.ParseFloat(s, 64)
		return v, err == nil && !math.IsNaN(v) && v >= 0 && v <= maxUSD
	}
	r := Rule{"an amount of US dollars from 0 to 1000000", func(s string) bool { _, ok := parse(s); return ok }}
	return Setting{key: key, kind: kindNumber, rule: r, take: func(s string) {
		if v, ok := parse(s); ok {
			*to = v
		}
	}}
}

// Flag is true or false.
func Flag(key string, to *bool) Setting {
	r := Rule{"true or false", func(s string) bool { return s == "true" || s == "false" }}
	return Setting{key: key, kind: kindBool, rule: r, take: func(s string) { *to = s == "true" }}
}

// Duration is a time span in a range, written with its unit.
func Duration(key string, to *time.Duration, low, high time.Duration) Setting {
	r := Rule{fmt.Sprintf("a duration from %s to %s, such as 30s", low, high), func(s string) bool {
		d, err := time.ParseDuration(s)
		return err == nil && d >= low && d <= high
	}}
	return Setting{key: key, kind: kindText, rule: r, take: func(s string) {
		if d, err := time.ParseDuration(s); err == nil {
			*to = d
		}
	}}
}

// Identity is a text that keeps a rule, or the digits of a number.
func Identity(key string, take func(string), r Rule) Setting {
	return Setting{key: key, kind: kindIdentity, rule: r, take: take}
}

// Then calls a function each time that the setting was taken.
func (s Setting) Then(after func()) Setting {
	take := s.take
	s.take = func(text string) {
		take(text)
		after()
	}
	return s
}

// Texts is a list of texts that keep a rule.
func Texts(key string, to *[]string, r Rule) Field {
	return Field{key, func(n Node) {
		for _, item := range n.Items() {
			var s string
			Text("", &s, r).Field().Read(item)
			if s != "" {
				*to = append(*to, s)
			}
		}
	}}
}

// OneOf is the rule of a word from a list.
func OneOf(words ...string) Rule {
	want := "one of " + strings.Join(words, ", ")
	return Rule{want, func(s string) bool { return slices.Contains(words, s) }}
}

// Hidden is a key whose value must come out of a variable; suggested is the
// variable that the error names.
func Hidden(key, suggested string, to *secret.Value, r Rule) Field {
	return Field{key, func(n Node) {
		if n.syntax == nil {
			return
		}
		s, isText := n.syntax.(*ast.StringNode)
		if !isText || !onlyVariable(s.Value) {
			n.Problem("a secret must not stand in a config file: write `%s` here and put the value into the environment or into .env.local", n.secretLine(suggested))
			return
		}
		n.hidden = true
		value, ok := n.scalar(kindText, r.Want)
		if !ok {
			return
		}
		if !r.OK(value) {
			n.Problem("the value of %s is not %s", s.Value, r.Want)
			return
		}
		*to = secret.New(value)
	}}
}

// secretLine is what to write at the place of a secret.
func (n Node) secretLine(variable string) string {
	if strings.HasSuffix(n.path, "]") {
		return "- ${" + variable + "}"
	}
	return n.path[strings.LastIndexByte(n.path, '.')+1:] + ": ${" + variable + "}"
}

// onlyVariable reports whether s is one ${NAME}, without a default.
func onlyVariable(s string) bool {
	name, ok := strings.CutPrefix(s, "${")
	if !ok {
		return false
	}
	name, ok = strings.CutSuffix(name, "}")
	return ok && VariableName(strings.TrimSuffix(name, ":-"))
}

// scalar returns the text of a scalar of the kind, variables replaced; false
// if the key is not written or something is wrong with it.
func (n Node) scalar(kind scalarKind, want string) (string, bool) {
	if n.syntax == nil {
		return "", false
	}
	raw, written, ok := n.raw()
	if !ok || (written != kindText && written != kind && (written != kindNumber || kind != kindIdentity)) {
		n.Problem("found %s, want %s", n.describe(), want)
		return "", false
	}
	if written != kindText {
		return raw, true
	}
	if n.file.shapes.String(raw) != raw {
		variable := strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(n.path))
		n.Problem("a secret seems to stand here: write `%s` and put the value into the environment or into .env.local", n.secretLine(variable))
		return "", false
	}
	value, replaced, ok := n.expand(raw)
	if ok && !replaced && (kind == kindNumber || kind == kindBool) {
		n.Problem("found %s, want %s", n.describe(), want)
		return "", false
	}
	return value, ok
}

// raw returns a scalar as it is written, and the kind that its writing has.
func (n Node) raw() (string, scalarKind, bool) {
	switch s := n.syntax.(type) {
	case *ast.StringNode:
		return s.Value, kindText, true
	case *ast.LiteralNode:
		return s.Value.Value, kindText, true
	case *ast.IntegerNode:
		return s.Token.Value, kindNumber, true
	case *ast.FloatNode:
		return s.Token.Value, kindNumber, true
	case *ast.BoolNode:
		return s.Token.Value, kindBool, true
	}
	return "", kindText, false
}

// expand replaces ${NAME} and ${NAME:-default} in a scalar that is already
// parsed, so a value can never add YAML. $${ stands for a plain ${.
func (n Node) expand(raw string) (value string, replaced, ok bool) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(raw, "${")
		if !found {
			out.WriteString(raw)
			return out.String(), replaced, true
		}
		if plain, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(plain + "${")
			raw = rest
			continue
		}
		out.WriteString(before)
		inner, after, closed := strings.Cut(rest, "}")
		name, otherwise, hasDefault := strings.Cut(inner, ":-")
		if !closed || !VariableName(name) {
			n.Problem("found %s, want ${NAME} or ${NAME:-default}, or $${ for a plain ${", n.show(raw))
			return "", false, false
		}
		v, _, isSet := n.file.lookup(name)
		switch {
		case isSet:
			out.WriteString(v)
		case hasDefault:
			out.WriteString(otherwise)
		case n.file.off:
			return "", false, false
		case n.hidden:
			n.Problem("the variable %s is not set: set it in the environment or in .env.local", name)
			return "", false, false
		default:
			n.Problem("the variable %s is not set: set it in the environment or in .env.local, or write ${%s:-default}", name, name)
			return "", false, false
		}
		raw, replaced = after, true
	}
}

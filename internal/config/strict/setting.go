package strict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"phantom/internal/secret"
)

// field is one key that a block may have.
type field struct {
	key  string
	read func(node)
}

// rule is what a text must be.
type rule struct {
	want string
	ok   func(string) bool
}

// The kinds of scalar that a key can ask for.
type scalarKind uint8

const (
	kindText   scalarKind = iota
	kindNumber            // whole or not
	kindBool
	kindIdentity // text, or the digits of a number
)

// setting is a key with one scalar: how it is read and what is done with it.
type setting struct {
	key  string
	env  string // variable that overrides the file, or ""
	kind scalarKind
	rule rule // take is called with a text that keeps it
	take func(string)
}

// field makes the setting a key of a block.
func (s setting) field() field {
	return field{s.key, func(n node) {
		if text, ok := n.scalar(s.kind, s.rule.want); ok {
			if s.rule.ok(text) {
				s.take(text)
			} else {
				n.problem("found %s, want %s", describe(n.syntax), s.rule.want)
			}
		}
		if s.env == "" {
			return
		}
		value, source, ok := n.file.env.lookup(s.env)
		if !ok {
			return
		}
		if value = strings.TrimSpace(value); !s.rule.ok(value) {
			n.file.problems = append(n.file.problems, fmt.Sprintf("%s: %s: found %q, want %s", source, s.env, clip(value), s.rule.want))
			return
		}
		s.take(value)
	}}
}

// from names the variable that overrides the file.
func (s setting) from(env string) setting {
	s.env = env
	return s
}

func text(key string, to *string, r rule) setting {
	return setting{key: key, kind: kindText, rule: r, take: func(s string) { *to = s }}
}

func number(key string, to *int, low, high int) setting {
	r := rule{fmt.Sprintf("a whole number from %d to %d", low, high), func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n >= low && n <= high && strconv.Itoa(n) == s
	}}
	return setting{key: key, kind: kindNumber, rule: r, take: func(s string) {
		if n, err := strconv.Atoi(s); err == nil {
			*to = n
		}
	}}
}

// maxUSD keeps sums far from the end of an int64 of micro-dollars.
const maxUSD = 1e6

func amount(key string, to *float64) setting {
	parse := func(s string) (float64, bool) {
		v, err := strconv.ParseFloat(s, 64)
		return v, err == nil && !math.IsNaN(v) && v >= 0 && v <= maxUSD
	}
	r := rule{"an amount of US dollars from 0 to 1000000", func(s string) bool { _, ok := parse(s); return ok }}
	return setting{key: key, kind: kindNumber, rule: r, take: func(s string) {
		if v, ok := parse(s); ok {
			*to = v
		}
	}}
}

func flag(key string, to *bool) setting {
	r := rule{"true or false", func(s string) bool { return s == "true" || s == "false" }}
	return setting{key: key, kind: kindBool, rule: r, take: func(s string) { *to = s == "true" }}
}

func duration(key string, to *time.Duration, low, high time.Duration) setting {
	r := rule{fmt.Sprintf("a duration from %s to %s, such as 30s", low, high), func(s string) bool {
		d, err := time.ParseDuration(s)
		return err == nil && d >= low && d <= high
	}}
	return setting{key: key, kind: kindText, rule: r, take: func(s string) {
		if d, err := time.ParseDuration(s); err == nil {
			*to = d
		}
	}}
}

// oneOf is the rule of a word from a list.
func oneOf(words ...string) rule {
	want := "one of " + strings.Join(words, ", ")
	return rule{want, func(s string) bool {
		for _, w := range words {
			if s == w {
				return true
			}
		}
		return false
	}}
}

// hidden is a key whose value must come out of a variable; suggested is the
// variable that the error names.
func hidden(key, suggested string, to *secret.Value, r rule) field {
	return field{key, func(n node) {
		if n.syntax == nil {
			return
		}
		s, isText := n.syntax.(*ast.StringNode)
		if !isText || !onlyVariable(s.Value) {
			name := key
			if strings.HasPrefix(n.path, "[") || strings.HasSuffix(n.path, "]") {
				name = "-"
			}
			n.problem("a secret must not stand in a config file: write `%s` here and put the value into the environment or into .env.local", secretLine(name, suggested))
			return
		}
		value, ok := n.scalar(kindText, r.want)
		if !ok {
			return
		}
		if !r.ok(value) {
			n.problem("the value of %s is not %s", s.Value, r.want)
			return
		}
		*to = secret.New(value)
	}}
}

func secretLine(key, variable string) string {
	if key == "-" {
		return fmt.Sprintf("- ${%s}", variable)
	}
	return fmt.Sprintf("%s: ${%s}", key, variable)
}

// onlyVariable reports whether s is one ${NAME}, without a default.
func onlyVariable(s string) bool {
	name, ok := strings.CutPrefix(s, "${")
	if !ok {
		return false
	}
	name, ok = strings.CutSuffix(name, "}")
	return ok && variableName(strings.TrimSuffix(name, ":-"))
}

// scalar returns the text of a scalar of the kind, variables replaced; false
// if the key is not written or something is wrong with it.
func (n node) scalar(kind scalarKind, want string) (string, bool) {
	var raw string
	number := false
	switch s := n.syntax.(type) {
	case nil:
		return "", false
	case *ast.StringNode:
		raw = s.Value
	case *ast.LiteralNode:
		raw = s.Value.Value
	case *ast.IntegerNode:
		raw, number = s.Token.Value, true
	case *ast.FloatNode:
		raw, number = s.Token.Value, kind != kindIdentity
	case *ast.BoolNode:
		if kind == kindBool {
			return s.Token.Value, true
		}
		n.problem("found %s, want %s", describe(n.syntax), want)
		return "", false
	default:
		n.problem("found %s, want %s", describe(n.syntax), want)
		return "", false
	}
	if number {
		if kind == kindNumber || kind == kindIdentity {
			return raw, true
		}
		n.problem("found %s, want %s", describe(n.syntax), want)
		return "", false
	}
	if n.file.shapes.String(raw) != raw {
		variable := strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(n.path))
		n.problem("a secret seems to stand here: write `%s` and put the value into the environment or into .env.local", secretLine(n.key(), variable))
		return "", false
	}
	value, replaced, ok := n.expand(raw)
	if ok && !replaced && (kind == kindNumber || kind == kindBool) {
		n.problem("found %s, want %s", describe(n.syntax), want)
		return "", false
	}
	return value, ok
}

// key returns the last part of the path: what stands before the colon.
func (n node) key() string {
	if strings.HasSuffix(n.path, "]") {
		return "-"
	}
	return n.path[strings.LastIndexByte(n.path, '.')+1:]
}

// expand replaces ${NAME} and ${NAME:-default} in a scalar that is already
// parsed, so a value can never add YAML. $${ stands for a plain ${.
func (n node) expand(raw string) (value string, replaced, ok bool) {
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
		if !closed || !variableName(name) {
			n.problem("found %q, want ${NAME} or ${NAME:-default}, or $${ for a plain ${", clip(raw))
			return "", false, false
		}
		v, _, isSet := n.file.env.lookup(name)
		switch {
		case isSet:
			out.WriteString(v)
		case hasDefault:
			out.WriteString(otherwise)
		case n.file.off:
			return "", false, false
		default:
			n.problem("the variable %s is not set: set it in the environment or in .env.local, or write ${%s:-default}", name, name)
			return "", false, false
		}
		raw, replaced = after, true
	}
}

package strict_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

func lookup(name string) (value, source string, ok bool) {
	value, ok = map[string]string{"WORD": "value", "NUMBER": "7", "YAML": "1\nother: 2", "TOKEN": "a-token"}[name]
	return value, "environment", ok
}

type settings struct {
	Text, Other, Token string
	Number             int
	List               []string
}

// read reads a document with one key of each kind.
func read(text string) (settings, []string) {
	var s settings
	var token secret.Value
	anything := strict.Want("anything", func(string) bool { return true })
	root := strict.Parse("f.yaml", []byte(text), lookup)
	root.Fields(
		strict.Text("text", &s.Text, anything).Field(),
		strict.Text("other", &s.Other, anything).Field(),
		strict.Number("number", &s.Number, 1, 9).Field(),
		strict.Hidden("token", "TOKEN", &token, anything),
		strict.Texts("list", &s.List, anything),
	)
	s.Token = token.Reveal()
	return s, root.Problems()
}

func TestVariables(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want settings
	}{
		"whole scalar":                       {"text: ${WORD}", settings{Text: "value"}},
		"inside a scalar, more than once":    {"text: a ${WORD} ${WORD} b", settings{Text: "a value value b"}},
		"number":                             {"number: ${NUMBER}", settings{Number: 7}},
		"default":                            {"number: ${NONE:-8}", settings{Number: 8}},
		"default that is empty":              {"text: x${NONE:-}", settings{Text: "x"}},
		"default is not looked at":           {"text: ${WORD:-other}", settings{Text: "value"}},
		"value adds no YAML":                 {"text: ${YAML}", settings{Text: "1\nother: 2"}},
		"value is not replaced again":        {"text: ${NONE:-$}{WORD}", settings{Text: "${WORD}"}},
		"plain ${ by a second dollar":        {"text: $${WORD}", settings{Text: "${WORD}"}},
		"dollar alone is a dollar":           {"text: 5$ $WORD", settings{Text: "5$ $WORD"}},
		"in a quoted scalar":                 {"text: '${WORD}'", settings{Text: "value"}},
		"in a block of text":                 {"text: |\n  a\n  ${WORD}\n", settings{Text: "a\nvalue\n"}},
		"in a list":                          {"list: [a, '${WORD}']", settings{List: []string{"a", "value"}}},
		"secret":                             {"token: ${TOKEN}", settings{Token: "a-token"}},
		"not in a key":                       {"text: x\n# ${NONE}\n", settings{Text: "x"}},
		"empty list and empty block of keys": {"list:\n", settings{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := read(tc.text)
			if len(problems) > 0 {
				t.Fatalf("problems: %q", problems)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	got := func(text string) string {
		_, problems := read(text)
		return strings.Join(problems, "\n")
	}
	for name, tc := range map[string]struct{ text, want string }{
		"several, in the order of the file": {"numbr: 1\ntext: 1\nnumber: 10", `f.yaml:1: numbr: unknown key; did you mean "number"? (known here: text, other, number, token, list)
f.yaml:2: text: found the number 1, want anything
f.yaml:3: number: found the number 10, want a whole number from 1 to 9`},
		"secret with a default":          {"token: ${NONE:-x}", "f.yaml:1: token: a secret must not stand in a config file: write `token: ${TOKEN}` here and put the value into the environment or into .env.local"},
		"what looks like a secret":       {"list: [xoxb-1-abcdefghijkl]", "f.yaml:1: list[0]: a secret seems to stand here: write `- ${LIST_0}` and put the value into the environment or into .env.local"},
		"secret where none is expected":  {"xoxb-1-abcdefghijkl: 1", "f.yaml:1: [redacted]: unknown key; known here: text, other, number, token, list"},
		"secret for a block":             {"list: xoxb-1-abcdefghijkl", `f.yaml:1: list: found the text "[redacted]", want a list`},
		"list for a file":                {"- a", "f.yaml:1: found a list, want a block of keys"},
		"key that is a word for nothing": {"~: 1", "f.yaml:1: found a key that is not a plain word"},
		"not text":                       {"text: \xff", "f.yaml:1: is not UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, got(tc.text)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApartIsJudgedAlone(t *testing.T) {
	for _, off := range []bool{false, true} {
		var x string
		entries := strict.Parse("f.yaml", []byte("a:\n  x: ${NONE}\nb:\n  y: 1\n"), lookup).Entries()
		alone := entries[0].Node.Apart()
		alone.SwitchOff(off)
		alone.Fields(strict.Text("x", &x, strict.Want("anything", func(string) bool { return true })).Field())
		if got := len(alone.Problems()) > 0; got == off {
			t.Errorf("switched off %v: problems %q", off, alone.Problems())
		}
		if other := entries[1].Node; len(other.Problems()) > 0 || other.Off() {
			t.Errorf("one block shows in the other: off %v, problems %q", other.Off(), other.Problems())
		}
	}
}

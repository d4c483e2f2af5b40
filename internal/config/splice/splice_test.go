package splice_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/config/splice"
)

var item = []splice.Pair{{Key: "client", Value: "new"}, {Key: "hash", Value: "h"}}

// find is Find for a text that must be found.
func find(t *testing.T, text string) splice.List {
	t.Helper()
	l, err := splice.Find([]byte(text), "tokens")
	if err != nil {
		t.Fatalf("Find(%q): %v", text, err)
	}
	return l
}

// The same item is added and taken away again; what comes out must be what
// was there.
func TestAppendAndBack(t *testing.T) {
	for name, tc := range map[string]struct{ before, after, back string }{
		"the template's empty list":          {before: "# a\ntokens: []\n# b\n", after: "# a\ntokens:\n  - client: new\n    hash: h\n# b\n"},
		"an empty list with a comment":       {before: "tokens: []  # é: none\n", after: "tokens:  # é: none\n  - client: new\n    hash: h\n"},
		"an empty list without a line end":   {before: "tokens: []", after: "tokens:\n  - client: new\n    hash: h"},
		"an empty list written with care":    {before: "tokens:   [ ]\n", after: "tokens:   [{client: new, hash: h} ]\n"},
		"an empty list with a comment in it": {before: "tokens: [ # none\n]\nx: 1\n", after: "tokens: [{client: new, hash: h} # none\n]\nx: 1\n"},
		"an empty list on the next line":     {before: "tokens: # none\n  []\n", after: "tokens: # none\n  [{client: new, hash: h}]\n"},
		"no list": {
			before: "x: 1\n", after: "x: 1\ntokens:\n  - client: new\n    hash: h\n", back: "x: 1\ntokens: []\n",
		},
		"no list and no line end": {
			before: "x: 1", after: "x: 1\ntokens:\n  - client: new\n    hash: h\n", back: "x: 1\ntokens: []\n",
		},
		"no text":          {before: "", after: "tokens:\n  - client: new\n    hash: h\n", back: "tokens: []\n"},
		"comments only":    {before: "# a\n", after: "# a\ntokens:\n  - client: new\n    hash: h\n", back: "# a\ntokens: []\n"},
		"nothing as value": {before: "tokens: # x\ny: 1\n", after: "tokens: # x\n  - client: new\n    hash: h\ny: 1\n", back: "tokens: [] # x\ny: 1\n"},
		"null as value":    {before: "tokens:  ~ # x\n", after: "tokens: # x\n  - client: new\n    hash: h\n", back: "tokens: [] # x\n"},
		"blocks": {
			before: "tokens:\n- client: a # é\n  hash: b\n\n# end\nx: 1\n", after: "tokens:\n- client: a # é\n  hash: b\n- client: new\n  hash: h\n\n# end\nx: 1\n",
		},
		"a comment that belongs to the last block": {
			before: "tokens:\n  - client: a\n    # rotate in May\n# end\n", after: "tokens:\n  - client: a\n    # rotate in May\n  - client: new\n    hash: h\n# end\n",
		},
		"blocks without a line end": {before: "tokens:\n  - {client: a}", after: "tokens:\n  - {client: a}\n  - client: new\n    hash: h"},
		"lines that end in CRLF": {
			before: "# é\r\n# two\r\ntokens:\r\n  - client: a\r\n    hash: b # c\r\nx: 1\r\n",
			after:  "# é\r\n# two\r\ntokens:\r\n  - client: a\r\n    hash: b # c\r\n  - client: new\r\n    hash: h\r\nx: 1\r\n",
		},
		"lines that end one way and the other": {
			before: "# a\ntokens:\r\n  - client: a\r\nx: 1\r\n", after: "# a\ntokens:\r\n  - client: a\r\n  - client: new\n    hash: h\nx: 1\r\n",
		},
		"text over more lines": {
			before: "tokens:\n  - client: >-\n      ab\n      # cd\n  - client: \"x\n\n      y\"\nx: 1\n",
			after:  "tokens:\n  - client: >-\n      ab\n      # cd\n  - client: \"x\n\n      y\"\n  - client: new\n    hash: h\nx: 1\n",
		},
		"brackets":                     {before: "tokens: [{client: a}] # x\n", after: "tokens: [{client: a}, {client: new, hash: h}] # x\n"},
		"brackets with a comma at end": {before: "tokens: [ {client: é}, ]\n", after: "tokens: [ {client: é}, {client: new, hash: h}, ]\n"},
		"brackets over more lines": {
			before: "tokens: [\n  {client: a}, # one, two ]\n  {client: b} # }\n]\n",
			after:  "tokens: [\n  {client: a}, # one, two ]\n  {client: b}, {client: new, hash: h} # }\n]\n",
		},
		"braces around all": {before: "{x: 1, tokens: [{client: a}]}", after: "{x: 1, tokens: [{client: a}, {client: new, hash: h}]}"},
		"quoted keys":       {before: "'tokens': [{\"client\": \"a\"}]\n", after: "'tokens': [{\"client\": \"a\"}, {client: new, hash: h}]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			l := find(t, tc.before)
			after, err := l.Append(item)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.after, string(after)); diff != "" {
				t.Errorf("Append (-want +got):\n%s", diff)
			}
			again := find(t, string(after))
			if again.Len() != l.Len()+1 {
				t.Fatalf("%d items became %d", l.Len(), again.Len())
			}
			back, err := again.Remove(l.Len())
			if err != nil {
				t.Fatal(err)
			}
			if tc.back == "" {
				tc.back = tc.before
			}
			if diff := cmp.Diff(tc.back, string(back)); diff != "" {
				t.Errorf("Remove (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	for name, tc := range map[string]struct {
		before string
		i      int
		after  string
	}{
		"the first block":                        {"tokens:\n  # of both\n  - client: a\n    # of a\n    hash: b\n\n  # of c\n  - client: c\n", 0, "tokens:\n  # of both\n\n  # of c\n  - client: c\n"},
		"the only block":                         {"tokens: # x\n  # y\n  - client: a\nz: 1\n", 0, "tokens: [] # x\n  # y\nz: 1\n"},
		"the last block, at the end of the text": {"tokens:\n  - client: a\n  - client: b", 1, "tokens:\n  - client: a"},
		"the first in brackets":                  {"tokens: [{client: a}, {client: b}]\n", 0, "tokens: [{client: b}]\n"},
		"the middle in brackets":                 {"tokens: [{client: a}, {client: b}, {client: c}]\n", 1, "tokens: [{client: a}, {client: c}]\n"},
		"the last in brackets":                   {"tokens: [{client: a}, {client: b}]\n", 1, "tokens: [{client: a}]\n"},
		"the only in brackets, with a comma":     {"tokens: [{client: a}, ]\n", 0, "tokens: [ ]\n"},
		"a comment on the left stays":            {"tokens: [{client: a}, # of a, b\n {client: b}]\n", 1, "tokens: [{client: a} # of a, b\n ]\n"},
		"a comment on the right stays":           {"tokens: [{client: a} # of a, b\n , {client: b}]\n", 0, "tokens: [ # of a, b\n  {client: b}]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := find(t, tc.before).Remove(tc.i)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.after, string(after)); diff != "" {
				t.Errorf("Remove (-want +got):\n%s", diff)
			}
			find(t, string(after))
		})
	}
}

func TestSet(t *testing.T) {
	for name, tc := range map[string]struct{ before, key, after string }{
		"a plain text":                  {"tokens:\n  - hash: abc # é\n", "hash", "tokens:\n  - hash: NEW # é\n"},
		"a text in quotes":              {"tokens:\n  - {a: é, hash: 'a''b'}\n", "hash", "tokens:\n  - {a: é, hash: NEW}\n"},
		"a text in double quotes":       {"tokens: [{hash: \"a\\\"b\", c: d}]\n", "hash", "tokens: [{hash: NEW, c: d}]\n"},
		"a plain text in braces":        {"tokens: [{hash: a b , c: d}]\n", "hash", "tokens: [{hash: NEW , c: d}]\n"},
		"a text on the next line":       {"tokens:\n  - hash:\n      abc\n    c: d\n", "hash", "tokens:\n  - hash:\n      NEW\n    c: d\n"},
		"a key that is not there":       {"tokens:\n  - hash: abc # é\n    c: d\n", "e", "tokens:\n  - hash: abc # é\n    e: NEW\n    c: d\n"},
		"... at the end of the text":    {"tokens:\r\n- c: d\r\n  hash: abc", "e", "tokens:\r\n- c: d\r\n  hash: abc\r\n  e: NEW"},
		"... in braces":                 {"tokens: [{hash: 'x', c: d}]\n", "e", "tokens: [{hash: 'x', e: NEW, c: d}]\n"},
		"... in braces behind the last": {"tokens:\n- {c: d, hash: x}\n", "e", "tokens:\n- {c: d, hash: x, e: NEW}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := find(t, tc.before).Set(0, tc.key, "NEW", "hash")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.after, string(after)); diff != "" {
				t.Errorf("Set (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLayoutsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		do   func(splice.List) ([]byte, error)
	}{
		"two documents":                {text: "tokens: []\n---\ntokens: []\n"},
		"a list at the top":            {text: "- tokens\n"},
		"no list under the key":        {text: "tokens: {a: b}\n"},
		"an anchor":                    {text: "tokens: &a []\n"},
		"no YAML":                      {text: "tokens: [\n"},
		"no text":                      {text: "tokens: [\xff]\n"},
		"no list, in braces":           {"{x: 1}", func(l splice.List) ([]byte, error) { return l.Append(item) }},
		"a key behind a question mark": {"? tokens\n: - a: b\n", func(l splice.List) ([]byte, error) { return l.Append(item) }},
		"a pair without braces":        {"tokens: [a: b]\n", func(l splice.List) ([]byte, error) { return l.Append(item) }},
		"a block of text":              {"tokens:\n  - hash: |\n      a\n", func(l splice.List) ([]byte, error) { return l.Set(0, "hash", "b", "") }},
		"neither key":                  {"tokens:\n  - hash: a\n", func(l splice.List) ([]byte, error) { return l.Set(0, "x", "b", "y") }},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := splice.Find([]byte(tc.text), "tokens")
			if err == nil && tc.do != nil {
				_, err = tc.do(l)
			}
			if !errors.Is(err, splice.ErrLayout) {
				t.Errorf("error %v, want ErrLayout", err)
			}
		})
	}
}

// FuzzAppend adds an item to whatever is a list, and takes it away again.
func FuzzAppend(f *testing.F) {
	for _, text := range []string{
		"", "# only", "tokens: []\n", "tokens:\n", "tokens: ~", "tokens: [ # ]\n]", "tokens:\n- a: b\n- {c: d}\n#e", "tokens:\r\n  - a: b # c\r\n\r\n# d\r\n", "tokens: [{a: b}, # ,\n {c: \"}]\"}]",
		"{tokens: [], x: {y: z}}", "---\ntokens: []\n...\n", "x: |\n  tokens: []\ntokens:\n  -\n    a: b\n", "tokens:\n  - a: 'b\n\n      c' # d\n  # e\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<10 || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
			return // not a case, or one that takes the parser too long
		}
		l, err := splice.Find([]byte(text), "tokens")
		if err != nil {
			return
		}
		after, err := l.Append(item)
		if err != nil {
			return
		}
		again, err := splice.Find(after, "tokens")
		if err != nil || again.Len() != l.Len()+1 {
			return // who reads what came out refuses it
		}
		back, err := again.Remove(l.Len())
		if err != nil || l.Len() == 0 {
			return // the empty list may be written in another way: see TestAppendAndBack
		}
		if string(back) != text {
			t.Errorf("%q became %q and then %q", text, after, back)
		}
	})
}

package text

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// sizes are the ways in which services count.
var sizes = map[string]func(string) int{
	"bytes":  func(s string) int { return len(s) },
	"runes":  utf8.RuneCountInString,
	"utf-16": func(s string) int { return len(utf16.Encode([]rune(s))) },
	"escaped": func(s string) int { // as what is rendered may be longer
		return len(s) + strings.Count(s, ".") + strings.Count(s, "*")
	},
	"stripped": func(s string) int { return len(s) - strings.Count(s, "*") }, // or shorter
}

func TestSplit(t *testing.T) {
	for _, row := range []struct {
		why   string
		text  string
		limit int
		want  []string
	}{
		{"nothing has no parts", "", 10, nil},
		{"blank text has none: no service takes one", " \n\t\n", 10, nil},
		{"what fits stays whole", "one\n\ntwo", 10, []string{"one\n\ntwo"}},
		{"paragraphs are the best border", "one two\n\nthree four\nfive", 16, []string{"one two\n\n", "three four\nfive"}},
		{"then lines", "one two\nthree four", 12, []string{"one two\n", "three four"}},
		{"then words", "one two three four", 12, []string{"one two ", "three four"}},
		{"then characters", "abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"never within a rune", "ééééé", 5, []string{"éé", "éé", "é"}},
		{"never between a letter and its accent", "abe\u0301e\u0301", 6, []string{"abe\u0301", "e\u0301"}},
		{"a rune that is longer than the limit is not lost", "a🙂b", 2, []string{"a", "🙂", "b"}},
		{"a limit of nothing loses nothing", "ab", 0, []string{"a", "b"}},
		{"code goes on in the next part in its language", "```go\naaaa\nbbbb\ncccc\n```", 20, []string{"```go\naaaa\nbbbb\n```", "```go\ncccc\n```"}},
		{"indented as it was", "  ~~~\naaaa\nbbbb\ncccc\n  ~~~", 22, []string{"  ~~~\naaaa\nbbbb\n  ~~~", "  ~~~\ncccc\n  ~~~"}},
		{"a line of code that is too long is cut, and closed", "```\nabcdefghijklmnop\n```", 14, []string{"```\nabcdef\n```", "```\nghijkl\n```", "```\nmnop\n```"}},
		{"a block is not opened at the very end", "some words\n```sh\nls -l\nls -a\n```", 22, []string{"some words\n", "```sh\nls -l\nls -a\n```"}},
		{"nor is one opened to be closed at once", "```\naaaa\nbbbb\n```\nmore", 17, []string{"```\naaaa\nbbbb\n```", "\nmore"}},
		{"a longer fence holds a shorter one", "````md\n```\naaaaaaaa\n```\n````\nend", 25, []string{"````md\n```\naaaaaaaa\n````", "````md\n```\n````\nend"}},
		{"code within a line is no block", "```a``` bcd efg hij", 12, []string{"```a``` bcd ", "efg hij"}},
		{"a block behind the mark of a list is one", "- ```go\naaaa\nbbbb\n```\nend", 18, []string{"- ```go\naaaa\n```", "```go\nbbbb\n```\nend"}},
		{"a block that nothing closes stays open", "```\naaaa\nbbbb\ncccc", 17, []string{"```\naaaa\nbbbb\n```", "```\ncccc"}},
		{"no room for repairs: the code is cut bare", "```go\nabcdefgh\n```", 7, []string{"```go", "\nabcdef", "gh\n```"}},
		{"a language without end is not written again", "```" + strings.Repeat("x", 40) + "\naaaa\nbbbb\n```", 53, []string{"```" + strings.Repeat("x", 40) + "\naaaa\n```", "```\nbbbb\n```"}},
		{"lines of other systems", "one\r\n\r\ntwo three", 12, []string{"one\r\n\r\n", "two three"}},
		{"bytes that are no text are not lost", "\xff\xfe\xfd\xfc", 2, []string{"\xff\xfe", "\xfd\xfc"}},
	} {
		got := Split(row.text, row.limit, sizes["bytes"])
		if strings.Join(got, "|") != strings.Join(row.want, "|") || len(got) != len(row.want) {
			t.Errorf("%s: Split(%q, %d) = %q, want %q", row.why, row.text, row.limit, got, row.want)
		}
	}
}

func TestSplitLong(t *testing.T) {
	var b strings.Builder
	for i := range 400 {
		b.WriteString("A paragraph with *some* words. And more of them.\n\n")
		if i%20 == 0 {
			b.WriteString("```go\n" + strings.Repeat("\tx := f(1, 2)\n", 50) + "```\n\n")
		}
	}
	for name, size := range sizes {
		checkSplit(t, b.String(), 1000, name, size)
	}
	parts := Split(b.String(), 1000, sizes["bytes"])
	if n := len(b.String()) / 1000; len(parts) > 2*n {
		t.Errorf("%d parts for %d bytes, want at most %d: the room is not used", len(parts), b.Len(), 2*n)
	}
	for _, p := range parts {
		if strings.Count(p, "```")%2 != 0 {
			t.Errorf("a part does not close its code: %q", p)
		}
	}
}

// checkSplit holds what is true of every text: no piece is lost or out of
// order, none is longer than the limit that has room for a character, and no
// rune is cut.
func checkSplit(t *testing.T, s string, limit int, name string, size func(string) int) {
	t.Helper()
	var bodies, shown strings.Builder
	for _, p := range cut(s, limit, size) {
		bodies.WriteString(p.body)
		if n := size(p.text()); n > limit && utf8.RuneCountInString(p.body) > 1 {
			t.Fatalf("a part measures %d %s, the limit is %d: %q", n, name, limit, p)
		}
		if utf8.ValidString(s) && !utf8.ValidString(p.text()) {
			t.Fatalf("a rune was cut: %q", p)
		}
		if strings.TrimSpace(p.body) != "" {
			shown.WriteString(p.text())
		}
	}
	if bodies.String() != s {
		t.Fatalf("the parts are %q, the text was %q", bodies.String(), s)
	}
	if got := strings.Join(Split(s, limit, size), ""); got != shown.String() {
		t.Fatalf("Split gave %q, its pieces are %q", got, shown.String())
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("one two\n\nthree", 4)
	f.Add("```go\nx\ny\n```\n- ~~~sh\nls\n~~~", 12)
	f.Add("````\n```\n````\n```\n", 9)
	f.Add("e\u0301\u0301🙂👩‍💻 \xff\xf0\x9f", 3)
	f.Add("a\r\n\r\n\t\n b", 1)
	f.Add("```"+strings.Repeat("l", 50)+"\ncode", 20)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if len(s) > 1<<12 {
			return
		}
		for name, size := range sizes {
			checkSplit(t, s, limit%300, name, size)
		}
	})
}

func TestDefuse(t *testing.T) {
	const z = "\u200b"
	for _, row := range []struct{ why, text, want string }{
		{"nothing to break", "all is well", "all is well"},
		{"the three words", "@everyone @channel @here", "@" + z + "everyone @" + z + "channel @" + z + "here"},
		{"however they are written", "@Everyone", "@" + z + "Everyone"},
		{"within other words", "x@here!", "x@" + z + "here!"},
		{"longer words are names", "@heretic @channels", "@heretic @channels"},
		{"addresses stay", "mail bob@here.com", "mail bob@here.com"},
		{"the forms of a service", "<!channel> <!here|x> <!EVERYONE> <!subteam^S1|@ops> <!group>", "<" + z + "!channel> <" + z + "!here|x> <" + z + "!EVERYONE> <" + z + "!subteam^S1|@ops> <" + z + "!group>"},
		{"a comment is none", "<!-- here -->", "<!-- here -->"},
	} {
		if got := Defuse(row.text); got != row.want {
			t.Errorf("%s: Defuse(%q) = %q, want %q", row.why, row.text, got, row.want)
		}
	}
}

func FuzzDefuse(f *testing.F) {
	f.Add("@everyone <!channel>")
	f.Add("@@here <<!subteam^S>")
	f.Add("a@here.com@here")
	f.Fuzz(func(t *testing.T, s string) {
		got := Defuse(s)
		if again := Defuse(got); again != got {
			t.Fatalf("Defuse(%q) = %q, and again %q", s, got, again)
		}
		if strings.ReplaceAll(got, "\u200b", "") != strings.ReplaceAll(s, "\u200b", "") {
			t.Fatalf("Defuse(%q) = %q: more than spaces changed", s, got)
		}
		for _, bad := range []string{"<!channel", "<!here", "<!everyone", "<!subteam^"} {
			if strings.Contains(got, bad) {
				t.Fatalf("Defuse(%q) = %q still holds %s", s, got, bad)
			}
		}
	})
}

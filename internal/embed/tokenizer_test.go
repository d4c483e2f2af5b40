package embed

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func newTokenizer(t testing.TB) *tokenizer {
	t.Helper()
	parts, err := read(weights, checksum)
	if err != nil {
		t.Fatal(err)
	}
	return &tokenizer{vocabulary: parts.vocabulary}
}

// TestTokensOfReference holds the tokenizer to that of the model's runtime.
func TestTokensOfReference(t *testing.T) {
	k := newTokenizer(t)
	for _, g := range golden(t) {
		if got, want := k.cut(fold(g.Text)), g.Tokens[:min(len(g.Tokens), MaxTokens)]; !slices.Equal(got, want) {
			t.Errorf("%q:\n got %v\nwant %v", g.Text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	text := map[uint16]string{}
	k := newTokenizer(t)
	for _, p := range k.vocabulary {
		text[p.id] = strings.ReplaceAll(p.text, blank, "_")
	}
	text[unknown] = "?"
	for _, c := range []struct{ text, want, why string }{
		{"", "", "nothing has no tokens"},
		{"hello world", "_hell o _world", "a space begins a word"},
		{"the", "_the", "the longest piece wins"},
		{"ﬁne", "_fine", "compatibility characters are folded"},
		{"日本語", "_ ?", "a run of unknown characters is one token"},
		{"日 本", "_ ? _ ?", "two runs are two"},
		{"\xff\xfe\xff", "_ ?", "bytes that are no text are unknown"},
		{"a\x00b", "_a ? b", "so are control characters"},
	} {
		var got []string
		for _, id := range k.cut(c.text) {
			got = append(got, text[id])
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %v, want %s: %s", c.text, got, c.want, c.why)
		}
	}
}

func TestLongTextIsCutOnce(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 10<<20), strings.Repeat("日本", 5<<20), strings.Repeat("\xff", 10<<20), strings.Repeat("ﷺ", 1<<20)} {
		if n := testing.AllocsPerRun(1, func() {
			if tokens := newTokenizer(t).cut(text); len(tokens) == 0 || len(tokens) > MaxTokens {
				t.Errorf("%d tokens", len(tokens))
			}
		}); n > 20_000 { // the vocabulary has 8,000 pieces
			t.Errorf("%v allocations for a text of %d bytes", n, len(text))
		}
	}
	if got := normal(strings.Repeat("a", maxText-1) + "日"); !utf8.ValidString(got) || strings.Contains(got, "\ufffd") {
		t.Error("the end of a long text is half of a character")
	}
}

func FuzzCut(f *testing.F) {
	for _, g := range golden(f) {
		f.Add(g.Text)
	}
	for _, text := range []string{"", "\xff", "\xe6\x97", "\xed\xa0\x80", "a\u0300\u0301\u0302", "\ufdfa\ufdfa", "▁▁▁", "\U0010ffff", strings.Repeat("\u0344", 300)} {
		f.Add(text)
	}
	k := newTokenizer(f)
	f.Fuzz(func(t *testing.T, text string) {
		first := slices.Clone(k.cut(text))
		if len(first) > MaxTokens {
			t.Fatalf("%d tokens", len(first))
		}
		if len(first) == 0 != (text == "") {
			t.Fatalf("%d tokens for %d bytes", len(first), len(text))
		}
		for i, id := range first {
			if int(id) >= 8000 {
				t.Fatalf("token %d has no vector", id)
			}
			if i > 0 && id == unknown && first[i-1] == unknown {
				t.Fatal("two unknown tokens in a row")
			}
		}
		if !slices.Equal(first, k.cut(text)) {
			t.Fatal("other tokens the second time")
		}
	})
}

package term

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ why, text, want string }{
		{"case and signs say nothing", "The Staging-Server!", "the staging server"},
		{"an accent is often left out in a question", "café Moreau Frères å", "cafe moreau frere a"},
		{"whichever way it is written", "cafe\u0301", "cafe"},
		{"a plural is the same thing", "bodies boxes servers glasses status bus this", "body box server glass status bus this"},
		{"an identifier is found by its parts and as a whole", "parseRetryAfter", "parse retry after parseretryafter"},
		{"so is one with capitals in a row", "HTTPServer", "http server httpserver"},
		{"and one with digits", "go1.25 camt053", "go 1 go1 25 camt 053 camt053"},
		{"underscores part", "LEDGER_STRICT=1", "ledger strict 1"},
		{"a number stays whole", "88213", "88213"},
		{"no spaces between words: pairs", "東京の顧客", "東京 京の の顧 顧客"},
		{"one character alone", "a 猫 b", "a 猫 b"},
		{"mixed", "GoとRust", "go と rust"},
		{"other letters", "Сервер отчётов", "сервер отчетов"},
		{"nothing", " \t…—!", ""},
		{"wide forms are the same letters", "ＡＢＣ", "abc"},
	} {
		if got := strings.Join(Of(tt.text), " "); got != tt.want {
			t.Errorf("%s: %q gives %q, want %q", tt.why, tt.text, got, tt.want)
		}
	}
}

func TestTelling(t *testing.T) {
	for text, want := range map[string]string{
		"What is the name of the server, and of which server?": "name server",
		"what about the": "",
	} {
		if got := strings.Join(Telling(text), " "); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func FuzzOf(f *testing.F) {
	for _, seed := range []string{"", "parseRetryAfter in httpx", "東京 ที่ 서울", "\xff\xfe", strings.Repeat("a", 200), "ﷺ ﬁ Ⅷ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, slow := Of(text), everyScript(nil, text); !slices.Equal(got, slow) {
			t.Errorf("%q gives %q, and by the tables %q", text, got, slow)
		}
		for _, term := range Of(text) {
			if term == "" || len(term) > maxTerm || strings.ContainsAny(term, " \t\n\"") {
				t.Errorf("%q gives the term %q", text, term)
			}
			if utf8.ValidString(text) && !utf8.ValidString(term) {
				t.Errorf("%q gives broken %q", text, term)
			}
		}
		if !slices.Equal(Of(text), Of(text)) {
			t.Error("not the same twice")
		}
	})
}

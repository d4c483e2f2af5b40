package text_test

import (
	"slices"
	"strings"
	"testing"

	"phantom/internal/gate/text"
)

func TestCheck(t *testing.T) {
	for _, row := range []struct {
		why, text string
		plain     bool
	}{
		{"ordinary text with a tab and two lines", "- a\tb\n- c", true},
		{"accents in two code points", "re\u0301sume\u0301", true},
		{"a unit with a Greek letter before a Latin one", "12 µs, 3 kΩ, Δt", true},
		{"an emoji of several parts", "👩\u200d💻 and ❤️ and 👍🏽 and 1️⃣", true},
		{"Persian needs the non-joiner", "می\u200cخواهم", true},
		{"Hindi joins marks", "क्\u200dष हिन्दी", true},
		{"Japanese puts no space beside Latin", "Goで書くコード", true},
		{"Russian with a Latin word beside it", "команда git и API-ключи", true},
		{"Vietnamese has two marks on a letter", "Tiếng Việt", true},
		{"an abbreviation with points", "U.S.A. and e.g. this", true},
		{"options of a list", "choose a, b, c, d, e, f", true},
		{"a zero-width space", "ig\u200bnore", false},
		{"a soft hyphen", "ig\u00adnore", false},
		{"a word joiner", "ig\u2060nore", false},
		{"a joiner between Latin letters", "ig\u200dnore", false},
		{"a change of direction", "a\u202eb", false},
		{"an isolate of a direction", "a\u2066b", false},
		{"a tag character", "a\U000e0041", false},
		{"a variation selector behind a letter", "a\ufe0f", false},
		{"a supplementary variation selector", "a\U000e0101", false},
		{"a Hangul filler", "a\u3164b", false},
		{"a blank Braille cell", "a\u2800b", false},
		{"an escape", "\x1b[2J", false},
		{"a carriage return", "a\rb", false},
		{"a line separator", "a\u2028b", false},
		{"a next line", "a\u0085b", false},
		{"private use", "a\ue000b", false},
		{"not UTF-8", "a\xffb", false},
		{"a Cyrillic letter in a Latin word", "ignоre", false},
		{"a Cherokee letter in a Latin word", "\u13a0isable", false},
		{"all letters Cyrillic, and all look Latin", "сор ехес", false},
		{"letters that stand apart", "i g n o r e this", false},
		{"letters with points between", "i.g.n.o.r.e", false},
		{"a flood of marks", "a\u0300\u0301\u0302\u0303\u0304", false},
	} {
		if err := text.New().Check(row.text); (err == nil) != row.plain {
			t.Errorf("%s: Check(%q) = %v, want plain: %t", row.why, row.text, err, row.plain)
		}
	}
	var none *text.Reader
	if none.Check("a") == nil || new(text.Reader).Check("a") == nil {
		t.Error("a reader that was not made accepts a text")
	}
}

func TestFold(t *testing.T) {
	for _, row := range []struct{ why, text, want string }{
		{"case stays, for it parts words", "Disable the auditLog", "Disable the auditLog"},
		{"full-width letters", "ｉｇｎｏｒｅ", "ignore"},
		{"mathematical letters", "𝐝𝐢𝐬𝐚𝐛𝐥𝐞", "disable"},
		{"Cyrillic letters in a Latin word", "ignоre", "ignore"},
		{"a whole word in Cyrillic among Latin ones", "run ехес now", "run exec now"},
		{"accents", "dísàble", "disable"},
		{"invisible characters", "dis\u200bable", "disable"},
		{"signs of Markdown in a word", "dis**able** `this`", "disable this"},
		{"Russian stays Russian", "не удаляй", "не удаляи"},
		{"an apostrophe", "don't, don’t", "dont, dont"},
	} {
		if got := text.New().Fold(row.text); got != row.want {
			t.Errorf("%s: Fold(%q) = %q, want %q", row.why, row.text, got, row.want)
		}
	}
}

func TestKey(t *testing.T) {
	for _, row := range []struct{ why, a, b string }{
		{"digits for letters", "1gn0r3", "ignore"},
		{"a small L for an I", "lgnore", "Ignore"},
		{"two letters that look like one", "disrnantle", "dismantle"},
	} {
		if text.Key(row.a) != text.Key(row.b) {
			t.Errorf("%s: the keys of %q and %q differ", row.why, row.a, row.b)
		}
	}
	if text.Key("2026") != "2026" {
		t.Error("a number is no word")
	}
}

func TestLines(t *testing.T) {
	for _, row := range []struct {
		why, text string
		want      []string
	}{
		{"nothing has no line", "", nil},
		{"the break at the end adds none", "a\nb\n", []string{"a", "b"}},
		{"an empty line counts", "a\n\nb", []string{"a", "", "b"}},
		{"every break of Unicode", "a\r\nb\rc\vd\fe\u0085f\u2028g\u2029h", strings.Split("abcdefgh", "")},
	} {
		if got := text.Lines(row.text); !slices.Equal(got, row.want) {
			t.Errorf("%s: Lines(%q) = %q, want %q", row.why, row.text, got, row.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a\nb\n", "\r\n\r\n", "a\u2028b", "\xff\n", "\v\f"} {
		f.Add(seed)
	}
	reader := text.New()
	f.Fuzz(func(t *testing.T, s string) {
		for _, line := range text.Lines(s) {
			if strings.ContainsAny(line, "\n\r\v\f\u0085\u2028\u2029") {
				t.Errorf("the line %q holds a line break", line)
			}
		}
		if folded := reader.Fold(text.Plain(s)); strings.ContainsRune(folded, '\u200b') {
			t.Errorf("%q is folded to what is not seen", s)
		}
		if reader.Check(s) == nil && strings.ContainsAny(s, "\r\v\f\u200b\u202e") {
			t.Errorf("%q is called plain", s)
		}
	})
}

package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// stream writes the parts and returns what came out. small decides at every
// chance and not only when much has come together, which moves the place of
// the cut to wherever the parts end.
func stream(t testing.TB, r *Redactor, small bool, parts ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := r.Writer(&out)
	if small {
		w.chunk = 1
	}
	for _, part := range parts {
		if n, err := w.Write([]byte(part)); err != nil || n != len(part) {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestStreamAtEveryByte: each kind of secret, in each encoding, is decided
// with the border of a chunk before each of its bytes in turn, and what comes
// out is what the whole text gives.
func TestStreamAtEveryByte(t *testing.T) {
	values := append(examples(t, "kinds.tsv"), example{"with everything that encodings change", planted})
	const before, after = "The text before it is ordinary, x=1. ", " The text after it is, too: y=2, {\"z\": 3}."
	// What is decided lies as far before the end of the written as a look goes.
	far := strings.Repeat("And much more of the same. ", 300)
	for n, value := range values {
		known := NewRedactor(New(value.text))
		unknown := NewRedactor()
		for e, encoded := range encodings(value.text) {
			r := known
			if encoded.name == "plain" && value.text != planted {
				r = unknown
			}
			far := far[:min(len(far), r.current().reach+len(after))]
			text := before + encoded.text + after + far
			want := r.String(text)
			if leaks(want[:len(before)+60], encoded.text) || !strings.HasPrefix(want, before) || !strings.HasSuffix(want, after+far) {
				t.Fatalf("%s, %s: the whole text gives %q", value.name, encoded.name, want[:200])
			}
			reach := r.current().reach
			// With so much ahead, each further byte decides one, up to the text after.
			parts := append([]string{text[:reach]}, strings.Split(text[reach:], "")...)
			if got := stream(t, r, true, parts...); got != want {
				t.Fatalf("%s, %s, byte by byte: %q, want %q", value.name, encoded.name, got, want)
			}
			if (n+e)%23 != 0 {
				continue // the case above has met every border; these meet each alone
			}
			for cut := len(before); cut <= len(before)+len(encoded.text); cut++ {
				if len(text) < cut+reach {
					break
				}
				if got := stream(t, r, true, text[:cut+reach], text[cut+reach:]); got != want {
					t.Fatalf("%s, %s, cut at %d: %q, want %q", value.name, encoded.name, cut, got, want)
				}
			}
		}
	}
}

// TestStreamOfLines: the corpora, cut in odd places.
func TestStreamOfLines(t *testing.T) {
	r := NewRedactor(New(planted))
	var all strings.Builder
	for _, text := range ordinary(t) {
		all.WriteString(text.text)
	}
	for _, k := range examples(t, "kinds.tsv") {
		all.WriteString("password: " + k.text + "\r\n" + k.text + k.text + "\x00\xff\n")
	}
	all.WriteString(privateKey(40, "\n") + planted)
	want := r.String(all.String())
	for _, size := range []int{1, 2, 3, 7, 64, 1000, 4096, 16 << 10, 1 << 20} {
		if got := stream(t, r, true, wrappedParts(all.String(), size)...); got != want {
			t.Errorf("parts of %d bytes, decided at once: not what the whole gives", size)
		}
		if got := stream(t, r, false, wrappedParts(all.String(), size)...); got != want {
			t.Errorf("parts of %d bytes: not what the whole gives", size)
		}
	}
}

func wrappedParts(s string, size int) []string {
	return strings.Split(wrapped(s, size, "\x01"), "\x01")
}

// TestStreamIsBounded: a secret without an end costs no memory and does not
// appear.
func TestStreamIsBounded(t *testing.T) {
	const pieces, size = 160, 64 << 10
	for _, tt := range []struct{ name, head, piece, want string }{
		{"a key block that does not end", "-----BEGIN PRIVATE KEY-----", strings.Repeat("\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", size/65), "x [redacted] y"},
		{"a token of megabytes", "ghp_", strings.Repeat("aB3dE6gH", size/8), "x [redacted] y"},
		{"a value of megabytes on one line", "PASSWORD=q1", strings.Repeat("w2e3r4t5", size/8), "x PASSWORD=[redacted] y"},
		{"ordinary text on one line of megabytes", "", strings.Repeat("no secret here. ", size/16), ""},
	} {
		var out counter
		w := NewRedactor(New(planted)).Writer(&out)
		if _, err := io.WriteString(w, "x "+tt.head); err != nil {
			t.Fatal(err)
		}
		most := 0
		for range pieces {
			if _, err := io.WriteString(w, tt.piece); err != nil {
				t.Fatal(err)
			}
			most = max(most, cap(w.text)+cap(w.out))
		}
		if _, err := io.WriteString(w, " y"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if tt.want != "" && string(out.head) != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, out.head, tt.want)
		}
		if tt.want == "" && out.n != 4+pieces*len(tt.piece) {
			t.Errorf("%s: %d bytes came out", tt.name, out.n)
		}
		if most > 256<<10 {
			t.Errorf("%s: %d bytes were held", tt.name, most)
		}
	}
}

// counter keeps the head of what is written to it.
type counter struct {
	head []byte
	n    int
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	c.head = append(c.head, p[:min(len(p), 100-min(100, len(c.head)))]...)
	return len(p), nil
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestStreamReportsErrors(t *testing.T) {
	w := NewRedactor().Writer(broken{})
	if _, err := w.Write(make([]byte, 100<<10)); err == nil {
		t.Error("a failed write is not reported")
	}
	if err := w.Close(); err == nil {
		t.Error("a failed last write is not reported")
	}
}

// TestFlush: whole lines pass, a key that has begun does not.
func TestFlush(t *testing.T) {
	var out bytes.Buffer
	w := NewRedactor(New("planted-value-1")).Writer(&out)
	for _, step := range []struct{ in, want string }{
		{"one\ntwo planted-", "one\n"},
		{"value-1\n", "two [redacted]\n"},
		{"-----BEGIN PRIVATE KEY-----\n", ""},
		{draw("{c64}") + "\n", ""},
		{"-----END PRIVATE KEY-----\nthree\n", "[redacted]\nthree\n"},
	} {
		if _, err := w.Write([]byte(step.in)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != step.want {
			t.Errorf("after %q came %q, want %q", step.in, got, step.want)
		}
		out.Reset()
	}
}

// manyLines are values of several lines.
func manyLines() map[string]string {
	return map[string]string{
		"a private key":        strings.TrimSpace(privateKey(12, "\n")),
		"a key of PuTTY":       "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 2\n" + draw("{c64}") + "\n" + draw("{c40}") + "\nPrivate-MAC: 00",
		"an account in JSON":   "{\n  \"type\": \"service_account\",\n  \"id\": \"" + draw("{a20}") + "\",\n  \"shape\": \"none of these: " + draw("{a12}") + "\"\n}",
		"other letters":        "ä漢字\nÜber zwei Zeilen\nñandú",
		"words in short lines": "a\nb\n\ncorrect\nhorse battery\nstaple",
	}
}

// TestFlushHidesNothing: however often somebody waits for what has come, what is
// shown in the end is what the whole text gives, of a value over many lines too.
func TestFlushHidesNothing(t *testing.T) {
	var corpus strings.Builder
	for _, text := range ordinary(t) {
		corpus.WriteString(text.text)
	}
	for _, k := range examples(t, "kinds.tsv") {
		corpus.WriteString("It is " + k.text + " indeed, and password: " + k.text + "\r\n" + "x=1 --token " + k.text + " y\n")
	}
	corpus.WriteString(privateKey(40, "\n") + "Authorization: Bearer " + planted + "\n")
	type sample struct {
		name, text string
		known      []Value
	}
	samples := []sample{{"the corpora", corpus.String(), []Value{New(planted)}}}
	for name, value := range manyLines() {
		reversed := []byte(value)
		slices.Reverse(reversed)
		var text strings.Builder
		for _, part := range []string{
			value, "on the line: " + value + " so", strings.ReplaceAll(value, "\n", "\r\n"), string(reversed),
			wrapped(base64.StdEncoding.EncodeToString([]byte(value)), 76, "\n"), wrapped(hex.EncodeToString([]byte("x"+value)), 60, "\n"),
		} {
			// So far apart that one is not taken for the next line of the other.
			text.WriteString(part + "\n" + strings.Repeat("There is more of the same here.\n", 12))
		}
		samples = append(samples, sample{name, text.String(), []Value{New(value), New(planted)}})
	}
	for _, sample := range samples {
		r := NewRedactor(sample.known...)
		want := r.String(sample.text)
		for how, flush := range map[string]func(*Stream) error{"lines": (*Stream).Flush, "words": (*Stream).FlushWords} {
			for _, size := range []int{1, 7, 64, 1000} {
				if size == 1 && sample.name == "the corpora" {
					continue // a hundred thousand looks at all that is held
				}
				parts := wrappedParts(sample.text, size)
				if size == 64 {
					parts = slices.Collect(strings.Lines(sample.text))
				}
				var out bytes.Buffer
				w := r.Writer(&out)
				for _, part := range parts {
					if _, err := io.WriteString(w, part); err != nil {
						t.Fatal(err)
					}
					if err := flush(w); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if got := out.String(); got != want {
					at := 0
					for at < min(len(got), len(want)) && got[at] == want[at] {
						at++
					}
					t.Errorf("%s, %s flushed after parts of %d: from byte %d on %.120q, want %.120q", sample.name, how, size, at, got[at:], want[at:])
				}
			}
		}
	}
}

// TestFlushWords: words of ordinary text pass at once; a word, and a line that
// names a secret, when they are whole.
func TestFlushWords(t *testing.T) {
	var out bytes.Buffer
	w := NewRedactor(New("correct horse battery")).Writer(&out)
	for _, step := range []struct{ in, want string }{
		{"I look at th", "I look at "},
		{"e files. AKIAABCD", "the files. "},
		{"EFGHIJKLMNOP is one", "[redacted] is "},
		{" correct ", "one "},
		{"horse ", ""},
		{"power\n", "correct horse power\n"},
		{"これは\xe7\xa7", "これは"},
		{"\x98密ab", "秘密"},
		{" the pass", ""},
		{"word: ", ""},
		{"q1w2e3r4", ""},
		{"t5 \nthen ", "ab the password: [redacted] \nthen "},
		{"-----BEGIN RSA PRIVATE KEY-----\n", ""},
		{draw("{c64}") + "\n", ""},
		{"-----END RSA ", ""},
		{"PRIVATE KEY-----\nthree ", "[redacted]\nthree "},
	} {
		if _, err := w.Write([]byte(step.in)); err != nil {
			t.Fatal(err)
		}
		if err := w.FlushWords(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != step.want {
			t.Errorf("after %q came %q, want %q", step.in, got, step.want)
		}
		out.Reset()
	}
}

// TestNamesAreNoticed: each name that makes a value secret holds its line back.
func TestNamesAreNoticed(t *testing.T) {
	for _, name := range append(slices.Clone(secretNames), "_KEY", "Authorization", "Set-Cookie", "Bearer", "Basic") {
		if !names([]byte("my " + strings.ToUpper(name))) {
			t.Errorf("%s is not noticed", name)
		}
	}
}

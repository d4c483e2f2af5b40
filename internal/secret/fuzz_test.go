package secret

import (
	"slices"
	"strings"
	"testing"
)

// seeds are the corpora, so that the fuzzer begins with all that is known.
func seeds(f *testing.F, add func(text string)) {
	f.Helper()
	for _, text := range ordinary(f) {
		for part := range slices.Chunk([]byte(text.text), 700) {
			add(string(part))
		}
	}
	for _, k := range examples(f, "kinds.tsv") {
		add("token: " + k.text + " " + k.text)
	}
	for _, e := range encodings(planted) {
		add("x" + e.text + "\\n" + e.text)
	}
	add(privateKey(4, "\n") + planted)
	add("postgres://u:" + planted + "@h/ Authorization: Bearer " + planted + "\nCookie: a=" + planted)
}

// FuzzString: no text makes it fail, a second pass finds nothing more, and no
// known value remains.
func FuzzString(f *testing.F) {
	seeds(f, func(text string) { f.Add(text) })
	r := NewRedactor(New(planted), New("another-secret-value"), New("hunter"))
	f.Fuzz(func(t *testing.T, text string) {
		once := r.String(text)
		// A second pass may take more: what is left of a text can look like a secret.
		for _, known := range []string{planted, "another-secret-value"} {
			if strings.Contains(once, known) {
				t.Errorf("String(%q) = %q holds a known value", text, once)
			}
		}
	})
}

// FuzzKnown: a value of any bytes goes in every encoding, whatever stands
// round it.
func FuzzKnown(f *testing.F) {
	f.Add("aB3$xY7%", "", "")
	f.Add(planted, "x", "y")
	f.Add("line one\nline two \\ \"three\"", `\`, "%")
	f.Add("%41%42%43%44%45", "&#", ";")
	f.Add(`\\server\share\\x`, "=", "==")
	f.Fuzz(func(t *testing.T, value, before, after string) {
		value = strings.TrimSpace(value)
		if len(value) < minExact || len(value) > 200 || len(before)+len(after) > 2000 || strings.Contains(redacted, value) {
			return // not a value that is looked for
		}
		// Where a value stands in its own surroundings, a rest is no leak.
		if strings.ContainsAny(before+after, value) && len(before)+len(after) > 0 {
			before, after = " ", " "
		}
		r := NewRedactor(New(value))
		for _, e := range encodings(value) {
			if e.name == "entities in full" || e.name == "JSON in full" || e.name == "JSON" || e.name == "JSON in JSON" {
				if strings.ToValidUTF8(value, "") != value {
					continue // these cannot write such a value down
				}
			}
			if got := r.String(before + e.text + after); !strings.Contains(got, redacted) {
				t.Errorf("%s of %q: String(%q) = %q", e.name, value, before+e.text+after, got)
			}
		}
	})
}

// FuzzStream: however a text is cut, the stream gives what the whole does.
func FuzzStream(f *testing.F) {
	seeds(f, func(text string) { f.Add(text, 13, 40, false); f.Add(text, 1, 1100, true) })
	r := NewRedactor(New(planted), New("another-secret-value"), New("hunter"))
	f.Fuzz(func(t *testing.T, text string, size, pad int, more bool) {
		if size <= 0 || pad < 0 || pad > 3000 || len(text) > 2000 {
			return // not a case
		}
		in := text + strings.Repeat("lorem ipsum ", pad/12) + planted + text
		if more {
			in += in
		}
		want := r.String(in)
		var parts []string
		for part := range slices.Chunk([]byte(in), 1+size%5000) {
			parts = append(parts, string(part))
		}
		for _, small := range []bool{true, false} {
			if got := stream(t, r, small, parts...); got != want {
				t.Errorf("parts of %d, small %v: %q, want %q", 1+size%5000, small, got, want)
			}
		}
	})
}

// FuzzFlush: whoever waits for what has come, after each piece, sees no part of
// a known value, of many lines or one.
func FuzzFlush(f *testing.F) {
	const lines = "first line of it\nsecond and secret\n\nthird"
	seeds(f, func(text string) { f.Add(text, 13, true); f.Add(text, 1, false) })
	r := NewRedactor(New(planted), New(lines))
	f.Fuzz(func(t *testing.T, text string, size int, words bool) {
		if size <= 0 || len(text) > 1000 || strings.Contains(text, "second") || strings.Contains(text, planted) {
			return // not a case
		}
		flush := (*Stream).Flush
		if words {
			flush = (*Stream).FlushWords
		}
		var out strings.Builder
		w := r.Writer(&out)
		for part := range slices.Chunk([]byte(text+lines+text+planted+"\n"+lines), 1+size%200) {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := flush(w); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); strings.Contains(got, "second") || strings.Contains(got, planted) {
			t.Errorf("parts of %d, words %v: %q", 1+size%200, words, got)
		}
	})
}

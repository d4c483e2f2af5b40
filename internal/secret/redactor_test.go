package secret

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestKnownValuesInEveryEncoding: whatever stands round a value that the
// process knows, it goes, and the rest stays.
func TestKnownValuesInEveryEncoding(t *testing.T) {
	values := append(examples(t, "kinds.tsv"), examples(t, "tails.tsv")...)
	values = append(values, example{"with everything that encodings change", planted}, example{"eight bytes", "aB3$xY7%"}, example{"a key of many lines", privateKey(20, "\n")})
	for _, value := range values {
		r := NewRedactor(New(value.text))
		for _, e := range encodings(value.text) {
			got := r.String("before " + e.text + " after")
			if leaks(got, e.text) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, redacted) {
				t.Errorf("%s, %s: String(%q) = %q", value.name, e.name, e.text, got)
			}
		}
	}
}

// TestKindsOfSecrets: each kind is known by its looks, wherever it stands.
func TestKindsOfSecrets(t *testing.T) {
	r := NewRedactor()
	for _, k := range examples(t, "kinds.tsv") {
		for _, place := range []string{"the value # is here", `{"a":"#"}`, "x=#\r\n", "(#)", "line\\n#\\n", "\x1b[31m#\x1b[0m", "https://h/?k=#&b=c", "a%3D#%26", "-#-"} {
			in := strings.Replace(place, "#", k.text, 1)
			got := r.String(in)
			if strings.Contains(got, k.text[len(k.text)-8:]) || !strings.Contains(got, redacted) {
				t.Errorf("%s: String(%q) = %q", k.name, in, got)
			}
			if want := strings.Replace(place, "#", redacted, 1); got != want && !strings.Contains(place, "-#-") && !strings.Contains(place, "%") {
				t.Errorf("%s: String(%q) = %q, want %q", k.name, in, got, want)
			}
		}
	}
	for _, k := range examples(t, "tails.tsv") {
		if got := r.String("the value " + k.text + " is here"); strings.Contains(got, k.text[len(k.text)-8:]) || !strings.HasSuffix(got, redacted+" is here") {
			t.Errorf("%s: %q became %q", k.name, k.text, got)
		}
	}
}

// TestNamedSecrets: what a name says is secret goes, in every form in which
// settings are written, and what only looks like it stays. Each line of the
// corpus is a text and, after a tab, what it must become; no tab, no change.
func TestNamedSecrets(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "named.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	r := NewRedactor()
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		in, want, ok := strings.Cut(line, "\t")
		if !ok {
			want = in
		}
		in, want = unquote(t, in), unquote(t, want)
		if got := r.String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
		if got := r.String("first line\n" + in + "\nlast line"); got != "first line\n"+want+"\nlast line" {
			t.Errorf("String(%q) among lines = %q, want %q", in, got, want)
		}
	}
}

// unquote reads \n and \t as they are meant, and leaves other escapes.
func unquote(t *testing.T, s string) string {
	t.Helper()
	return strings.NewReplacer(`⏎`, "\n").Replace(s)
}

// TestOrdinaryTextStays: a redactor that spoils what people work with is
// switched off.
func TestOrdinaryTextStays(t *testing.T) {
	r := NewRedactor(New(planted), New("another-secret-value"))
	for _, text := range ordinary(t) {
		n := 0
		for line := range strings.Lines(text.text) {
			n++
			if got := r.String(line); got != line {
				t.Errorf("%s:%d: %q became %q", text.name, n, line, got)
			}
		}
		if got := r.String(text.text); got != text.text {
			t.Errorf("%s: the whole text was changed", text.name)
		}
	}
}

func TestPrivateKeys(t *testing.T) {
	r := NewRedactor()
	openssh := strings.ReplaceAll(privateKey(20, "\n"), "RSA PRIVATE", "OPENSSH PRIVATE")
	pgp := strings.ReplaceAll(strings.Replace(privateKey(30, "\n"), "-----\n", "-----\nVersion: GnuPG v2\nComment: none\n\n", 1), "RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
	encrypted := strings.Replace(privateKey(20, "\n"), "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n", 1)
	var numbered strings.Builder
	lines := bufio.NewScanner(strings.NewReader(privateKey(5, "\n")))
	for n := 1; lines.Scan(); n++ {
		numbered.WriteString("  " + strconv.Itoa(n) + "\t" + lines.Text() + "\n")
	}
	for _, tt := range []struct{ name, text string }{
		{"an RSA key", privateKey(25, "\n")},
		{"with carriage returns", privateKey(25, "\r\n")},
		{"inside JSON", privateKey(25, `\n`)},
		{"on one line", privateKey(25, " ")},
		{"indented, in YAML", privateKey(25, "\n    ")},
		{"in source code", privateKey(25, "\\n\" +\n  \"")},
		{"numbered lines", numbered.String()},
		{"matches of a search", "key.pem:1:" + privateKey(25, "\nkey.pem:12:")},
		{"an OpenSSH key", openssh},
		{"an encrypted key", encrypted},
		{"a PGP key", pgp},
		{"cut off", privateKey(25, "\n")[:900]},
		{"a PuTTY key", "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 2\n" + draw("{c64}") + "\n" + draw("{c40}") + "\nPrivate-MAC: 00\n"},
	} {
		got := r.String("here it is:\n" + tt.text + "\nThat was the key, as you see. It goes on.")
		secretPart := tt.text[strings.LastIndex(tt.text, draw("{c64}")[2:]):]
		if leaks(got, secretPart[:60]) || strings.Contains(got, draw("{c64}")[8:20]) {
			t.Errorf("%s: String = %q", tt.name, got)
		}
		if !strings.HasPrefix(got, "here it is:\n") || !strings.HasSuffix(got, "\nThat was the key, as you see. It goes on.") {
			t.Errorf("%s: what stands round it was changed: %q", tt.name, got)
		}
	}
	public := strings.ReplaceAll(privateKey(5, "\n"), "RSA PRIVATE", "PUBLIC")
	if got := r.String(public); got != public {
		t.Errorf("a public key became %q", got)
	}
}

// TestShortValues: below eight bytes a value counts as a whole word only,
// below six not at all.
func TestShortValues(t *testing.T) {
	r := NewRedactor(New("abc12"), New("hunter"), New("hunter2"), New("  spaced-value-1 \n"))
	for in, want := range map[string]string{
		"abc12 is too short":          "abc12 is too short",
		"the word hunter goes":        "the word [redacted] goes",
		"hunter2, too":                "[redacted], too",
		"hunters and headhunter stay": "hunters and headhunter stay",
		"spaced-value-1":              "[redacted]",
	} {
		if got := r.String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
	}
	// A value that is part of the mark cannot be looked for.
	if got := NewRedactor(New("redacted")).String("[redacted] redacted"); got != "[redacted] redacted" {
		t.Errorf("String = %q", got)
	}
}

// TestPartsOfValues: a line of a key and the password in an address are
// secret by themselves.
func TestPartsOfValues(t *testing.T) {
	key := privateKey(3, "\n")
	r := NewRedactor(New(key), New("postgres://bob:s3cret-passw0rd@db.example/app"))
	for _, in := range []string{strings.Split(key, "\n")[2], "s3cret-passw0rd", "czNjcmV0LXBhc3N3MHJk"} {
		if got := r.String("a " + in + " b"); got != "a [redacted] b" {
			t.Errorf("String(%q) = %q", in, got)
		}
	}
}

// TestOverlaps: what begins inside one secret and ends beyond it leaves no
// rest, and neighbours make one mark.
func TestOverlaps(t *testing.T) {
	r := NewRedactor(New("value one, two"), New("two three four"), New("first-first"), New("ghp_abc!def ghi"))
	for in, want := range map[string]string{
		"a value one, two three four b":   "a [redacted] b",
		"password=value one, two;":        "password=[redacted];",
		"first-firstfirst-first":          "[redacted]",
		"first-first first-first":         "[redacted] [redacted]",
		"x ghp_abc!def ghi y":             "x [redacted] y",
		"first-firstAKIAABCDEFGHIJKLMNOP": "[redacted]",
	} {
		if got := r.String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAddWhileWritersRun(t *testing.T) {
	r := NewRedactor()
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			w := r.Writer(bytes.NewBuffer(nil))
			for range 200 {
				if _, err := w.Write([]byte(strings.Repeat("some text ", 100))); err != nil {
					t.Error(err)
				}
				r.String("planted-0")
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 50 {
		work.Go(func() { r.Add(New("planted-value-" + strconv.Itoa(i))) })
	}
	work.Wait()
	for i := range 50 {
		if got := r.String("planted-value-" + strconv.Itoa(i)); !strings.HasPrefix(got, redacted) {
			t.Errorf("value %d was lost: %q", i, got)
		}
	}
	var out bytes.Buffer
	w := r.Writer(&out)
	if _, err := w.Write([]byte("an addition-now")); err != nil {
		t.Fatal(err)
	}
	r.Add(New("addition-now"))
	if err := w.Close(); err != nil || out.String() != "an [redacted]" {
		t.Errorf("a stream does not learn of a new value: %q, %v", out.String(), err)
	}
}

// TestZeroRedactor: without construction it still knows the kinds.
func TestZeroRedactor(t *testing.T) {
	var r Redactor
	if got := r.String("AKIAABCDEFGHIJKLMNOP"); got != redacted {
		t.Errorf("String = %q", got)
	}
}

// TestKnown: what only looks like a secret stays.
func TestKnown(t *testing.T) {
	r := NewRedactor(New(planted))
	const in = "export API_TOKEN=abcdef123456 AKIAABCDEFGHIJKLMNOP "
	if got := r.Known(in + planted); got != in+redacted {
		t.Errorf("Known = %q", got)
	}
}

package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"

	"phantom/internal/secret"
)

const planted = `kP9+zz/"q\w&e=r t~y%` + "Ünïcode"

func TestValueNeverPrints(t *testing.T) {
	type hidden struct{ v secret.Value }
	v := secret.New("hunter2-hunter2")
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "value", v, "hidden", hidden{v}, "pointer", &hidden{v}, "list", []secret.Value{v})
	}
	raw, err := json.Marshal(map[string]any{"a": v, "b": []secret.Value{v}, "c": hidden{v}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString(log.String() + string(raw))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		out.WriteString(fmt.Sprintf(verb, v) + fmt.Sprintf(verb, hidden{v}) + fmt.Sprintf(verb, &hidden{v}) + fmt.Sprintf(verb, []any{v}))
	}
	for _, form := range []string{"hunter2", hex.EncodeToString([]byte("hunter2"))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows in %q", out.String())
		}
	}
	if got := v.Reveal(); got != "hunter2-hunter2" {
		t.Errorf("Reveal = %q", got)
	}
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func encodings(v string) map[string]string {
	quoted, _ := json.Marshal(v) // a string always marshals
	return map[string]string{
		"plain": v, "reversed": reverse(v), "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"query": url.QueryEscape(v), "path": url.PathEscape(v), "json": string(quoted),
		"base64":         base64.StdEncoding.EncodeToString([]byte(v)),
		"base64 url":     base64.URLEncoding.EncodeToString([]byte(v)),
		"base64 shift 1": base64.StdEncoding.EncodeToString([]byte("x" + v + "tail")),
		"base64 shift 2": base64.StdEncoding.EncodeToString([]byte("xy" + v + "tail")),
	}
}

// leaks reports whether a piece of the encoded value, long enough to matter,
// stands in s.
func leaks(s, encoded string) bool {
	const piece = 12
	mid := (len(encoded) - piece) / 2
	return strings.Contains(s, encoded[mid:mid+piece])
}

func TestRedactExactInEveryEncoding(t *testing.T) {
	r := secret.NewRedactor(secret.New(planted))
	for name, encoded := range encodings(planted) {
		t.Run(name, func(t *testing.T) {
			got := r.String("before " + encoded + " after")
			if leaks(got, encoded) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("String = %q", got)
			}
		})
	}
}

func TestRedactShapes(t *testing.T) {
	r := secret.NewRedactor()
	long := strings.Repeat("aB3x", 20)
	secrets := []string{
		"sk-ant-api03-" + long, "phantom_" + long, "xoxb-1234-" + long, "xapp-1-" + long, "ghp_" + long, "github_pat_" + long, "glpat-" + long,
		"AKIAIOSFODNN7EXAMPLE", "AIza" + long[:35], "sk_live_" + long, "npm_" + long[:36], "hvs." + long, "hf_" + long, "whsec_" + long,
		"123456789:AA" + long, "eyJhbGciOiJI.eyJzdWIiOiIxMjM0.abcdefghijkl",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
	}
	for _, s := range secrets {
		if got := r.String("the value " + s + " is here"); got != "the value [redacted] is here" {
			t.Errorf("String(%q) = %q", s, got)
		}
	}
	partly := map[string]string{
		"postgres://bob:s3cretpw@db/x":      "postgres://bob:[redacted]@db/x",
		"Authorization: Bearer abcdefgh123": "Authorization: Bearer [redacted]",
		"export API_TOKEN=abcdef123456":     "export API_TOKEN=[redacted]",
		`{"password": "abcdef123456"}`:      `{"password": "[redacted]"}`,
	}
	for in, want := range partly {
		if got := r.String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
	}
	for _, innocent := range []string{
		"the quick brown fox", "risk-averse people", "https://example.com/a:b@c", "git commit -m 'token handling'", "for i := range tokens { n += i }",
		"the monkey ate a banana: yes", "func TestPassword(t *testing.T) {",
	} {
		if got := r.String(innocent); got != innocent {
			t.Errorf("String(%q) = %q: harmless text must stay", innocent, got)
		}
	}
}

func TestWriterAtEveryCut(t *testing.T) {
	r := secret.NewRedactor(secret.New(planted))
	text := "head " + planted + " tail"
	for cut := range len(text) {
		var out bytes.Buffer
		w := r.Writer(&out)
		for _, part := range []string{text[:cut], text[cut:]} {
			if _, err := w.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != "head [redacted] tail" {
			t.Fatalf("cut at %d: %q", cut, got)
		}
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("some text around", 3, 40000)
	f.Add("", 1, 0)
	f.Fuzz(func(t *testing.T, text string, chunk, pad int) {
		if chunk <= 0 || pad < 0 || pad > 200_000 || strings.Contains(text, "kP9") {
			t.Skip("not a case")
		}
		chunk = chunk%5000 + 1
		r := secret.NewRedactor(secret.New(planted))
		in := text + strings.Repeat("lorem ipsum ", pad/12) + planted + text
		var out bytes.Buffer
		w := r.Writer(&out)
		for part := range slices.Chunk([]byte(in), chunk) {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if leaks(out.String(), planted) {
			t.Errorf("the planted value shows, chunk %d pad %d", chunk, pad)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	r := secret.NewRedactor(secret.New(planted), secret.New("another-secret-value"))
	text := strings.Repeat("2026-01-02T03:04:05Z INFO request served path=/api/v1/items status=200 duration=12ms\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.String(text)
	}
}

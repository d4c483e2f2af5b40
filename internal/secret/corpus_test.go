package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// planted is a value with everything in it that encodings change.
const planted = `kP9+zz/"q\w&e=r t~y%` + "Ünïcode"

// reader is what tests and benchmarks have in common.
type reader interface {
	Helper()
	Fatal(...any)
}

// example is a kind of secret and one that looks like it.
type example struct{ name, text string }

// examples reads a corpus of kinds and draws one of each.
func examples(t reader, file string) []example {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for line := range strings.Lines(string(raw)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) != 3 || (!strings.HasPrefix(fields[2], "https://") && fields[2] != "docs/security.md") {
			t.Fatal("bad line", line)
		}
		all = append(all, example{fields[0], draw(fields[1])})
	}
	return all
}

var drawn = regexp.MustCompile(`\{([a-zA-Z])(\d+)\}`)

// draw fills a template with bytes of its sets, the same on every run.
func draw(template string) string {
	source := rand.New(rand.NewPCG(uint64(len(template)), 7))
	return drawn.ReplaceAllStringFunc(template, func(m string) string {
		set := sets[m[1]]
		if set == upper || set == base64ed {
			set &^= 0
		}
		n, _ := strconv.Atoi(m[2 : len(m)-1]) // the expression took digits only
		b := make([]byte, n)
		for i := range b {
			// A sign at an end would make it a matter of taste where the key ends.
			for b[i] == 0 || !is(b[i], set) || b[i] == '=' || (!is(b[i], alnum) && (i == 0 || i == n-1)) {
				b[i] = byte(source.IntN(128))
			}
		}
		b[n/2] = '7' // every set has it, and a key without a digit is rare
		return string(b)
	})
}

// inFull writes every byte or character of v with the format.
func inFull(v, format string) string {
	var b strings.Builder
	for _, r := range []byte(v) {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

func unicodeFull(v string) string {
	var b strings.Builder
	for _, r := range v {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func wrapped(s string, at int, sep string) string {
	var parts []string
	for part := range slices.Chunk([]byte(s), at) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, sep)
}

// encodings are the ways in which a value leaks.
func encodings(v string) []example {
	quoted, _ := json.Marshal(v) // a string always marshals
	again, _ := json.Marshal(string(quoted))
	std, web := base64.StdEncoding.EncodeToString, base64.URLEncoding.EncodeToString
	return []example{
		{"plain", v},
		{"reversed", reverse(v)},
		{"hex", hex.EncodeToString([]byte(v))},
		{"HEX", strings.ToUpper(hex.EncodeToString([]byte(v)))},
		{"hex with colons", strings.TrimSuffix(inFull(v, "%02x:"), ":")},
		{"hex with spaces", strings.TrimSuffix(inFull(v, "%02x "), " ")},
		{"query", url.QueryEscape(v)},
		{"path", url.PathEscape(v)},
		{"percent in full", inFull(v, "%%%02X")},
		{"percent twice", inFull(v, "%%25%02x")},
		{"JSON", string(quoted)},
		{"JSON in JSON", string(again)},
		{"JSON in full", unicodeFull(v)},
		{"C escapes in full", inFull(v, `\x%02x`)},
		{"octal in full", inFull(v, `\%03o`)},
		{"entities in full", strings.Join(strings.Split(unicodeFull(v), `\u`), ";&#x")[1:] + ";"},
		{"base64", std([]byte(v))},
		{"base64 without padding", base64.RawStdEncoding.EncodeToString([]byte(v))},
		{"base64 url", web([]byte(v))},
		{"base64 at 1", std([]byte("x" + v + "tail"))},
		{"base64 at 2", std([]byte("xy" + v + "tail"))},
		{"base64 url at 1", web([]byte("x" + v + "tail"))},
		{"base64 url at 2", web([]byte("xy" + v + "tail"))},
		{"base64 wrapped", wrapped(std([]byte(v)), 16, "\n")},
		{"base64 wrapped in JSON", wrapped(std([]byte(v)), 16, `\n`)},
		{"base64 in a query", url.QueryEscape(std([]byte(v)))},
	}
}

// leaks reports whether a piece of the encoded value, long enough to matter,
// stands in s.
func leaks(s, encoded string) bool {
	const piece = 12
	for i := 4; i+piece <= len(encoded)-4; i += 3 {
		if strings.Contains(s, encoded[i:i+piece]) {
			return true
		}
	}
	return false
}

// ordinary reads the corpus of texts in which nothing is secret.
func ordinary(t reader) []example {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "ordinary", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no corpus of ordinary text: ", err)
	}
	var all []example
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, example{filepath.Base(file), string(raw)})
	}
	return all
}

// privateKey is a key block of so many lines, with this after each line.
func privateKey(lines int, end string) string {
	var b strings.Builder
	b.WriteString("-----BEGIN RSA PRIVATE KEY-----" + end)
	for i := range lines {
		b.WriteString(draw("{c64}")[i%3:] + "abc"[:i%3] + end)
	}
	b.WriteString(draw("{c20}") + "==" + end)
	return b.String() + "-----END RSA PRIVATE KEY-----"
}

func BenchmarkRedact(b *testing.B) {
	var many []Value
	for i := range 200 {
		many = append(many, New(draw("{w32}")+strconv.Itoa(i)))
	}
	for _, known := range []struct {
		name   string
		values []Value
	}{{"no values", nil}, {"2 values", []Value{New(planted), New("another-secret-value")}}, {"200 values", many}} {
		r := NewRedactor(known.values...)
		for _, text := range benchTexts(b) {
			b.Run(known.name+"/"+text.name, func(b *testing.B) {
				b.SetBytes(int64(len(text.text)))
				for b.Loop() {
					r.String(text.text)
				}
			})
		}
	}
}

// benchTexts are about a megabyte each.
func benchTexts(b *testing.B) []example {
	b.Helper()
	fill := func(s string) string { return strings.Repeat(s, 1+(1<<20)/len(s)) }
	var code strings.Builder
	files, err := filepath.Glob("*.go")
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		code.Write(raw)
	}
	source := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 600<<10)
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	return []example{
		{"log", fill("2026-01-02T03:04:05Z INFO request served path=/api/v1/items status=200 duration=12ms remote=10.0.0.1\n")},
		{"code", fill(code.String())},
		{"JSON", fill(`{"id":"3f2a","name":"Ada","tags":["a","b"],"nested":{"count":12,"text":"a \"quoted\" word","ok":true}},` + "\n")},
		{"base64", wrapped(base64.StdEncoding.EncodeToString(noise), 76, "\n")},
	}
}

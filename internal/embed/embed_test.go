package embed

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"phantom/internal/embed/embedtest"
)

func TestContract(t *testing.T) {
	embedtest.Run(t, func(*testing.T) embedtest.Encoder { return New() })
}

// example is a text with what the model's own runtime makes of it, as
// scripts/embed-reference golden writes it.
type example struct {
	Text   string
	Tokens []uint16
	Vector []byte

	vector []float32
}

func golden(t testing.TB) []example {
	t.Helper()
	file, err := os.Open("testdata/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []example
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e example
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if len(e.Vector) != 2*Dimensions {
			t.Fatalf("%q: the golden vector has %d bytes", e.Text, len(e.Vector))
		}
		for i := range Dimensions {
			e.vector = append(e.vector, float32(int16(binary.LittleEndian.Uint16(e.Vector[2*i:])))/math.MaxInt16)
		}
		all = append(all, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("%d golden texts, want 100 or more", len(all))
	}
	return all
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// report logs how near the reference the vectors are.
func report(t *testing.T, cosines []float64) {
	t.Helper()
	slices.Sort(cosines)
	n := len(cosines)
	t.Logf("cosine with the reference over %d texts: least %.6f, 5th percentile %.6f, median %.6f", n, cosines[0], cosines[n/20], cosines[n/2])
}

// TestAsShipped compares the vectors with those of the model's own runtime,
// which has the weights in full.
func TestAsShipped(t *testing.T) {
	e := New()
	var all []float64
	for _, g := range golden(t) {
		vectors, err := e.Encode(t.Context(), g.Text)
		if err != nil {
			t.Fatal(err)
		}
		c := cosine(vectors[0], g.vector)
		if c < 0.995 {
			t.Errorf("%q: cosine %.6f with the reference", g.Text, c)
		}
		all = append(all, c)
	}
	report(t, all)
}

func TestWhiteSpaceIsFolded(t *testing.T) {
	vectors, err := New().Encode(t.Context(), "The invoice for October has not been paid.", " The invoice\r\nfor\tOctober \u00a0has\n\nnot been paid.\n")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(vectors[0], vectors[1]) {
		t.Errorf("a wrapped sentence is %.3f like itself", cosine(vectors[0], vectors[1]))
	}
}

func TestVectorsStayTheSame(t *testing.T) {
	const text = "The vectors of one text are equal bit for bit, whatever was encoded before."
	first, err := New().Encode(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	e := New()
	if _, err := e.Encode(t.Context(), strings.Repeat("long ", 200), "short"); err != nil {
		t.Fatal(err)
	}
	again, err := e.Encode(t.Context(), text)
	if err != nil || !slices.Equal(first[0], again[0]) {
		t.Errorf("another vector the second time (%v)", err)
	}
}

func TestOnlyTheBeginningIsRead(t *testing.T) {
	long := strings.Repeat("word ", MaxTokens)
	vectors, err := New().Encode(t.Context(), long, long+"and more of it", strings.Repeat("word ", MaxTokens/2))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(vectors[0], vectors[1]) {
		t.Error("what lies behind the last token changes the vector")
	}
	if slices.Equal(vectors[0], vectors[2]) {
		t.Error("half of the tokens give the same vector")
	}
}

func TestNothingHappensBeforeTheFirstEncode(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { New() }); n > 10 {
		t.Errorf("New allocates %v times: does it read the weights?", n)
	}
	e, loaded := New(), false
	load := e.load
	e.load = func() (*parts, error) { loaded = true; return load() }
	e.Name()
	e.Knows("words")
	if e.Dimensions(); loaded {
		t.Error("the weights are read for a question that needs none")
	}
	if _, err := e.Encode(t.Context(), "words"); err != nil || !loaded {
		t.Errorf("the weights are not read for an answer that needs them (%v)", err)
	}
}

func TestDamagedWeightsAreRefused(t *testing.T) {
	damaged := slices.Clone(weights)
	damaged[len(damaged)/2]++
	for _, c := range []struct {
		why, checksum, says string
		data                []byte
	}{
		{"one byte is another", checksum, "this binary is damaged", damaged},
		{"they are gone", checksum, "this binary is damaged", nil},
		{"another format", sum([]byte("something else")), "not in the format", []byte("something else")},
		{"they end too early", sum(weights[:len(weights)-1]), "not of the length", weights[:len(weights)-1]},
		{"they go on", sum(append(weights[:len(weights):len(weights)], 0)), "not of the length", append(weights[:len(weights):len(weights)], 0)},
	} {
		t.Run(c.why, func(t *testing.T) {
			e := New()
			e.load = func() (*parts, error) { return read(c.data, c.checksum) }
			vectors, err := e.Encode(t.Context(), "words")
			if err == nil || !strings.Contains(err.Error(), c.says) || vectors != nil {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func TestKnows(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
		why  string
	}{
		{"The invoice is paid.", true, "English"},
		{"getUserByEmail(ctx, 42)", true, "code"},
		{"2026-11-27 12:45", true, "numbers have tokens"},
		{"Der Vertrag läuft im Dezember aus.", true, "Latin letters; nothing says that it is not English"},
		{"Great work 👍🎉", true, "mostly letters"},
		{"Meeting with Иван at the office tomorrow", true, "a name in another script"},
		{"東京で会議があります。", false, "no Latin letter"},
		{"Привет, как дела?", false, "the vocabulary has a few Cyrillic letters, but no words"},
		{"Phantom は私の秘密を守る", false, "one Latin word among others"},
		{"한국어", false, "Hangul"},
		{"مرحبا", false, "Arabic"},
		{"🙂🙂🙂", false, "symbols alone"},
		{"?!", false, "nothing that has a meaning"},
		{"", false, "nothing"},
		{"\xff\xfe", false, "no text"},
	} {
		if got := New().Knows(c.text); got != c.want {
			t.Errorf("Knows(%q) = %v: %s", c.text, got, c.why)
		}
	}
}

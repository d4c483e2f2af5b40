package memory

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/memory/vector"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

var (
	scale  = flag.String("memory.scale", "1000", "numbers of items, with commas, that TestScale measures")
	rounds = flag.Int("memory.rounds", 20, "how many searches TestScale measures")
)

// TestScale fills stores, searches them and prints one table. Words follow
// Zipf's law, as in English; vectors are those of the encoder for some texts,
// turned a little for each item, so that filling does not take hours.
// `make memory-scale` measures 100,000 and 1,000,000.
func TestScale(t *testing.T) {
	t.Logf("%9s  %9s  %9s  %-23s  %-23s  %-23s  %8s  %8s  %8s", "items", "add/s", "embed/s", "search p50/p99 ms", "words alone", "with encoding", "load ms", "heap MB", "disk MB")
	for text := range strings.SplitSeq(*scale, ",") {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
		measure(t, n)
	}
}

func measure(t *testing.T, n int) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "phantom.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the directory goes
	words := newWords()
	plain := open(t, db, nil)
	begin := time.Now()
	for left := n; left > 0; left -= batch {
		var items []Item
		for range min(batch, left) {
			items = append(items, Item{Text: words.sentence(), Provenance: phantom.Owner})
		}
		plain.mustAdd(t, items...)
	}
	added := float64(n) / time.Since(begin).Seconds()
	give(t, plain, words, n)

	s := open(t, db, encoder)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin = time.Now()
	if err := s.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	load := time.Since(begin)
	runtime.GC()
	runtime.ReadMemStats(&after)

	begin = time.Now()
	notes := lines(t, "memories.txt", 4)
	for i := range *rounds { // English: what the encoder does with made-up words takes four times as long
		s.mustAdd(t, Item{Text: fmt.Sprintf("%s (note %d)", notes[i%250][3], i), Provenance: phantom.Owner})
	}
	embeds := float64(*rounds) / time.Since(begin).Seconds()

	known := &knowing{Embedder: encoder}
	quick := open(t, db, known)
	if err := quick.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var both, alone, whole []time.Duration
	for range *rounds {
		question := words.sentence()
		if known.vectors, err = encoder.Encode(t.Context(), question); err != nil {
			t.Fatal(err)
		}
		both = append(both, timed(t, func() error { _, err := quick.Search(t.Context(), Query{Text: question}); return err }))
		alone = append(alone, timed(t, func() error { _, err := plain.Search(t.Context(), Query{Text: question}); return err }))
		english := notes[words.random.IntN(250)][3]
		whole = append(whole, timed(t, func() error { _, err := s.Search(t.Context(), Query{Text: english}); return err }))
	}
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	size, err := os.Stat(filepath.Join(dir, "phantom.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%9d  %9.0f  %9.0f  %-23s  %-23s  %-23s  %8d  %8.0f  %8.0f", n, added, embeds, percentiles(both), percentiles(alone), percentiles(whole),
		load.Milliseconds(), float64(after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))/1e6, float64(size.Size())/1e6)
}

// knowing is the encoder when it has thought already, so that a search can be
// measured without its share.
type knowing struct {
	Embedder
	vectors [][]float32
}

// Encode implements Embedder.
func (k *knowing) Encode(context.Context, ...string) ([][]float32, error) { return k.vectors, nil }

func timed(t *testing.T, do func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

func percentiles(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%.1f / %.1f", all[len(all)/2].Seconds()*1000, all[len(all)*99/100].Seconds()*1000)
}

// give writes vectors for all items.
func give(t *testing.T, s *Store, words *words, n int) {
	t.Helper()
	var seeds [][]float32
	for range 64 {
		v, err := encoder.Encode(t.Context(), words.sentence())
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, v[0])
	}
	number := numberOf(encoder.Name())
	for first := 1; first <= n; first += 1000 {
		err := s.DB.WithTx(t.Context(), func(tx *store.Tx) error {
			for item := first; item < min(first+1000, n+1); item++ {
				v := slices.Clone(seeds[words.random.IntN(len(seeds))])
				other := seeds[words.random.IntN(len(seeds))]
				squares := float32(0)
				for i := range v {
					v[i] += 0.7*other[i] + 0.02*float32(words.random.NormFloat64())
					squares += v[i] * v[i]
				}
				for i := range v {
					v[i] /= float32(math.Sqrt(float64(squares)))
				}
				r, err := vector.New(v)
				if err != nil {
					return err
				}
				if _, err := tx.Exec(t.Context(), `INSERT INTO memory_vectors (item, numbers) VALUES (?, ?)`, item, r.Seal(int64(item))); err != nil {
					return err
				}
				if _, err := tx.Exec(t.Context(), `INSERT INTO memory_codes (item, embedder, tag, code) VALUES (?, ?, 1, ?)`, item, number, r.Code().Bytes()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// words makes sentences.
type words struct {
	random *rand.Rand
	zipf   *rand.Zipf
}

func newWords() *words {
	r := rand.New(rand.NewPCG(11, 12))
	return &words{r, rand.NewZipf(r, 1.07, 3, 60_000)}
}

// sentence is twelve to eighteen words, and a number.
func (w *words) sentence() string {
	var b strings.Builder
	for range 12 + w.random.IntN(7) {
		b.WriteString(word(w.zipf.Uint64()) + " ")
	}
	fmt.Fprintf(&b, "%d.", w.random.IntN(1_000_000))
	return b.String()
}

// word is the nth word, in syllables.
func word(n uint64) string {
	syllables := []string{"ba", "ker", "lo", "min", "ta", "ves", "du", "ran", "shi", "pol", "qua", "ne", "gor", "fil", "ze", "hu"}
	var text strings.Builder
	for n += 16; n > 0; n /= 16 {
		text.WriteString(syllables[n%16])
	}
	return text.String()
}

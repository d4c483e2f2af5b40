package memory

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"time"

	"phantom/internal/memory/vector"
)

const (
	// encodeBatch is how many texts the encoder is given at a time.
	encodeBatch = 32
	// rest is how long an encoder that failed is left alone, so that not every
	// turn waits for it.
	rest = 30 * time.Second
	// rerank is how many of the nearest codes are looked at exactly.
	rerank = 200
)

// numberOf tells embedders apart in the table of codes.
func numberOf(name string) int64 { return int64(crc32.ChecksumIEEE([]byte(name))) }

// meaning is what the embedder made of a text. The zero meaning is one that
// is not known yet; one that is known without a code has no direction.
type meaning struct {
	known  bool
	vector vector.Vector
	code   *vector.Code
}

// health is what is known of the embedder and of what is broken.
type health struct {
	mu       sync.Mutex
	problem  string // of the embedder, or of mending; "" if there is none
	since    time.Time
	silent   bool // the embedder is left alone
	until    time.Time
	broken   map[int64]struct{} // items whose vectors were found broken
	mended   int
	verified bool // every vector was looked at once
}

func (h *health) report(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.problem, h.silent = "", false
		return
	}
	if h.problem == "" {
		h.since = time.Now()
	}
	h.problem, h.silent, h.until = err.Error(), true, time.Now().Add(rest)
}

// resting returns why the embedder is left alone now, or nil.
func (h *health) resting() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.silent || !time.Now().Before(h.until) {
		return nil
	}
	return fmt.Errorf("the embedder is left alone for a while: %s", h.problem)
}

func (h *health) found(item int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken == nil {
		h.broken = map[int64]struct{}{}
	}
	h.broken[item] = struct{}{}
}

// errNoEmbedder says that words alone are searched, by choice.
var errNoEmbedder = errors.New("there is no embedder")

// encode asks the embedder, and waits no longer than patience for its answer.
func (s *Store) encode(ctx context.Context, patience time.Duration, texts ...string) ([]meaning, error) {
	if s.Embedder == nil {
		return nil, errNoEmbedder
	}
	meanings := make([]meaning, len(texts))
	var known []string
	var places []int
	for i, text := range texts {
		if meanings[i].known = true; s.Embedder.Knows(text) {
			known, places = append(known, text), append(places, i)
		}
	}
	if len(known) == 0 {
		return meanings, nil
	}
	if err := s.health.resting(); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the embedder gave no answer within %s", patience))
	defer cancel()
	type answer struct {
		vectors [][]float32
		err     error
	}
	answered := make(chan answer, 1)
	go func() {
		vectors, err := s.Embedder.Encode(limited, known...)
		answered <- answer{vectors, err}
	}()
	var got answer
	select {
	case got = <-answered:
	case <-limited.Done():
		got.err = context.Cause(limited)
	}
	if got.err == nil && len(got.vectors) != len(known) {
		got.err = fmt.Errorf("the embedder gave %d vectors for %d texts", len(got.vectors), len(known))
	}
	for n, v := range got.vectors {
		if got.err != nil {
			break
		}
		got.err = meanings[places[n]].take(v)
	}
	if got.err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx) // nobody waits any longer: no fault of the embedder
	}
	s.health.report(got.err)
	return meanings, got.err
}

// take makes a meaning of the embedder's vector.
func (m *meaning) take(numbers []float32) error {
	v, err := vector.New(numbers)
	if errors.Is(err, vector.ErrNothing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the embedder gave no vector: %w", err)
	}
	code := v.Code()
	m.vector, m.code = v, &code
	return nil
}

// vectorsOf returns the meanings of items; from the first failure on they are
// not known.
func (s *Store) vectorsOf(ctx context.Context, patience time.Duration, items []Item) []meaning {
	meanings := make([]meaning, 0, len(items))
	if s.Embedder != nil && s.ready(ctx) == nil {
		for group := range slices.Chunk(items, encodeBatch) {
			texts := make([]string, len(group))
			for i := range group {
				texts[i] = group[i].Text
			}
			got, err := s.encode(ctx, patience, texts...)
			if err != nil {
				break // it is in the health, and the items get their vectors later
			}
			meanings = append(meanings, got...)
		}
	}
	return append(meanings, make([]meaning, len(items)-len(meanings))...)
}

// ready reads the codes of all items, once.
func (s *Store) ready(ctx context.Context) error {
	if s.loaded.Load() {
		return nil
	}
	s.load.Lock()
	defer s.load.Unlock()
	if s.loaded.Load() {
		return nil
	}
	codes := &vector.Index{}
	rows, err := s.DB.Query(ctx, `SELECT item, tag, code FROM memory_codes WHERE embedder = ? AND length(code) > 0 ORDER BY item`, s.number)
	if err != nil {
		return fmt.Errorf("read the index of meanings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var item int64
		var tag vector.Tag
		var raw []byte
		if err := rows.Scan(&item, &tag, &raw); err != nil {
			return fmt.Errorf("read the index of meanings: %w", err)
		}
		code, ok := vector.OpenCode(raw)
		if !ok {
			s.health.found(item)
			s.mend()
			continue
		}
		codes.Put(item, tag, code)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the index of meanings: %w", err)
	}
	s.codes = codes
	s.loaded.Store(true)
	return nil
}

// near is how near a memory's meaning is.
type near struct {
	item   int64
	cosine float64
}

// meant finds the items whose meanings are nearest to a text's, the nearest
// first. It waits for the embedder, and for the codes to be read, no longer
// than patience.
func (s *Store) meant(ctx context.Context, text string, want vector.Tag, patience time.Duration) ([]near, error) {
	if s.Embedder == nil || !s.Embedder.Knows(text) {
		return nil, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the memories' meanings are still being read"))
	defer cancel()
	read := make(chan error, 1)
	go func() { read <- s.ready(context.WithoutCancel(ctx)) }() // whoever asks next finds it done
	meanings, err := s.encode(ctx, patience, text)
	if err != nil {
		return nil, err
	}
	select {
	case err = <-read:
	case <-limited.Done():
		err = context.Cause(limited)
	}
	if err != nil || meanings[0].code == nil {
		return nil, err
	}
	return s.nearest(ctx, meanings[0], want)
}

func (s *Store) nearest(ctx context.Context, m meaning, want vector.Tag) ([]near, error) {
	items := s.codes.Nearest(*m.code, rerank, vector.Bits, want)
	if len(items) == 0 {
		return nil, nil
	}
	rows, err := s.DB.Query(ctx, `SELECT item, numbers FROM memory_vectors WHERE item IN (`+marks(len(items))+`)`, anys(items)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make([]near, 0, len(items))
	for rows.Next() {
		var item int64
		var raw []byte
		if err := rows.Scan(&item, &raw); err != nil {
			return nil, err
		}
		v, err := vector.Open(item, raw)
		if err != nil {
			s.health.found(item)
			s.mend()
			continue
		}
		found = append(found, near{item, v.Cosine(m.vector)})
	}
	slices.SortFunc(found, func(a, b near) int { return descending(a.cosine, b.cosine, a.item, b.item) })
	return found, rows.Err()
}

// mend wakes Run, if it sleeps.
func (s *Store) mend() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake, or will be
	}
}

// note keeps what went wrong beside the embedder.
func (h *health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.problem == "" {
		h.problem, h.since = err.Error(), time.Now()
	}
}

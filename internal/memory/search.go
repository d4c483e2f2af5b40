package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"phantom/internal/memory/vector"
)

const (
	// searchLimit is how many items a search returns if no number is given.
	searchLimit = 10
	// searchPatience bounds how long a search waits for the embedder.
	searchPatience = 5 * time.Second
	// fusion is the constant of reciprocal rank fusion: the larger, the less
	// the first places count for.
	fusion = 20
	// covered is what a rank by words counts for, besides 1 for one by meaning,
	// if an item has all words of the question.
	covered = 2
)

// Query is a question to the memory.
type Query struct {
	Text    string
	Kinds   []Kind    // none: all
	Limit   int       // 0: 10
	At      time.Time // as it stood then; zero: now
	History bool      // what no longer holds, too
}

// Search returns the items that match a question best, by words and by
// meaning, the best first. Without the embedder's answer within 5 seconds
// words alone decide; Stats tells why.
func (s *Store) Search(ctx context.Context, q Query) ([]Item, error) {
	found, err := s.match(ctx, q, searchPatience)
	if err != nil {
		return nil, fmt.Errorf("search memory: %w", err)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = searchLimit
	}
	found = s.ranked(found, limit, q.now())
	items := make([]Item, len(found))
	for i, c := range found {
		items[i] = c.Item
	}
	return items, nil
}

func (q Query) now() time.Time {
	if q.At.IsZero() {
		return time.Now()
	}
	return q.At
}

// want is what the index of codes is asked for.
func (q Query) want() (vector.Tag, error) {
	want := vector.Tag(0)
	for _, k := range q.Kinds {
		if k.tag() == 0 {
			return 0, fmt.Errorf("there is no kind %.40q of memory: want episode, fact or procedure", k)
		}
		want |= k.tag()
	}
	if len(q.Kinds) == 0 {
		want = vector.Kinds
	}
	if q.History || !q.At.IsZero() {
		want |= vector.Past
	}
	return want, nil
}

// admits reports whether an item is among those that are asked for.
func (q Query) admits(i *Item) bool {
	if len(q.Kinds) > 0 && !slices.Contains(q.Kinds, i.Kind) {
		return false
	}
	switch {
	case !q.At.IsZero() && q.History:
		return !i.At.After(q.At)
	case !q.At.IsZero():
		return i.held(q.At)
	}
	return q.History || !i.past(time.Now())
}

// candidate is an item that may be the answer.
type candidate struct {
	Item
	cosine float64 // of its meaning and the question's; 0 if that is not known
	bm25   float64
	share  float64 // of the question's words, by weight
	fused  float64 // reciprocal ranks, 0 to 1
}

// match finds the candidates for a question, by words and by meaning at once,
// best first.
func (s *Store) match(ctx context.Context, q Query, patience time.Duration) ([]candidate, error) {
	want, err := q.want()
	if err != nil {
		return nil, err
	}
	type answer struct {
		found []near
		err   error
	}
	meant := make(chan answer, 1)
	go func() {
		found, err := s.meant(ctx, q.Text, want, patience)
		meant <- answer{found, err}
	}()
	seqs, asked, err := s.words(ctx, q.Text)
	byMeaning := <-meant // it ends with patience
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if byMeaning.err != nil && !errors.Is(byMeaning.err, errNoEmbedder) {
		s.health.note(byMeaning.err)
	}
	cosines := make(map[int64]float64, len(byMeaning.found))
	for n, f := range byMeaning.found {
		cosines[f.item] = f.cosine
		if n < worded && !slices.Contains(seqs, f.item) {
			seqs = append(seqs, f.item)
		}
	}
	items, err := s.bySeq(ctx, seqs)
	if err != nil {
		return nil, err
	}
	found := make([]candidate, 0, len(items))
	length := 0
	for _, i := range items {
		if q.admits(&i) {
			found = append(found, candidate{Item: i, cosine: cosines[i.seq]})
			length += len(i.said())
		}
	}
	const bytesOfWord = 6 // with its space
	average := math.Max(1, float64(length)/bytesOfWord/math.Max(1, float64(len(found))))
	for n := range found {
		found[n].bm25, found[n].share = asked.Score(found[n].said(), average)
	}
	return fuse(found), nil
}

// fuse orders candidates by the sum of their reciprocal ranks, and leaves out
// those without any. A rank by words counts for as much as the part of the
// question that the item's words cover: the first of many that share one common
// word with it says little, and one that has all of its words says more than a
// meaning can.
func fuse(found []candidate) []candidate {
	const full = (covered + 1) / float64(fusion+1)
	order := make([]*candidate, len(found)) // they are large
	for n := range found {
		order[n] = &found[n]
	}
	sort := func(by func(c *candidate) float64) {
		slices.SortFunc(order, func(a, b *candidate) int { return descending(by(a), by(b), a.seq, b.seq) })
	}
	for _, by := range []struct{ of, weight func(c *candidate) float64 }{
		{func(c *candidate) float64 { return c.bm25 }, func(c *candidate) float64 { return covered * c.share }},
		{func(c *candidate) float64 { return c.cosine }, func(*candidate) float64 { return 1 }},
	} {
		sort(by.of)
		for n, c := range order {
			if by.of(c) > 0 {
				c.fused += by.weight(c) / float64(fusion+n+1) / full
			}
		}
	}
	sort(func(c *candidate) float64 { return c.fused })
	fused := make([]candidate, 0, len(found))
	for _, c := range order {
		if c.fused > 0 {
			fused = append(fused, *c)
		}
	}
	return fused
}

// descending orders by a number, the larger first; of equals the later item.
func descending(a, b float64, itemA, itemB int64) int {
	switch {
	case a > b, a == b && itemA > itemB:
		return -1
	case a == b && itemA == itemB:
		return 0
	}
	return 1
}

// ranked takes the best matches and orders them by what they are worth.
func (s *Store) ranked(found []candidate, limit int, now time.Time) []candidate {
	found = found[:min(len(found), limit)]
	best := 0.0
	for _, c := range found {
		best = math.Max(best, c.fused)
	}
	for n := range found {
		found[n].Score = s.worth(&found[n].Item, found[n].fused/best, now) // what has no match at all is no candidate
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return descending(a.Score, b.Score, a.seq, b.seq) })
	return found
}

// worth blends how well an item matches, compared with the best, with how
// lasting and how recent it is. A fact or a procedure that holds is as good as
// new. It is a finite number from 0 to 1 whatever the row says.
func (s *Store) worth(i *Item, match float64, now time.Time) float64 {
	const heavy = 8 // uses that reinforce in full
	reinforced := math.Min(1, math.Log1p(math.Max(0, float64(i.Used)))/math.Log1p(heavy))
	fresh := 0.0
	if !i.UsedAt.IsZero() {
		fresh = fading(now.Sub(i.UsedAt), s.Settings.UseFade)
	}
	recent := 1.0
	if i.Kind == Episode || i.past(now) {
		recent = fading(now.Sub(i.At), s.Settings.RecencyFade)
	}
	durability := 0.55*unit(i.Importance) + 0.30*reinforced + 0.15*fresh
	return s.Settings.Search*unit(match) + s.Settings.Durability*unit(durability) + s.Settings.Recency*recent
}

// fading falls from 1 to 1/e in one fade.
func fading(age, fade time.Duration) float64 {
	return math.Exp(-math.Max(0, age.Hours()) / fade.Hours())
}

func unit(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return math.Max(0, math.Min(1, x))
}

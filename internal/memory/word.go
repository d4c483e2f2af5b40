package memory

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"phantom/internal/memory/term"
)

const (
	// maxAsked is how many words of a question are looked up.
	maxAsked = 24
	// listings is how many entries of the index are read for a question, and
	// leastListed for each word at the least; of a word that is in more
	// memories the latest are.
	listings, leastListed = 3000, 150
	// worded is how many items words bring in.
	worded = 60
)

// words finds the items that share most weight of words with a question, the
// best first.
func (s *Store) words(ctx context.Context, text string) ([]int64, term.Question, error) {
	terms := term.Telling(text)
	terms = terms[:min(len(terms), maxAsked)]
	var q term.Question
	if len(terms) == 0 {
		return nil, q, nil
	}
	var last int64
	if err := s.DB.QueryRow(ctx, `SELECT COALESCE(MAX(seq), 0) FROM memory_items`).Scan(&last); err != nil {
		return nil, q, fmt.Errorf("search memory: %w", err)
	}
	limit := max(leastListed, listings/len(terms))
	sums := make(map[int64]float64, listings)
	lists, err := s.listed(ctx, terms, limit)
	if err != nil {
		return nil, q, fmt.Errorf("search memory: %w", err)
	}
	for n, t := range terms {
		items := lists[n]
		often := float64(len(items))
		if len(items) == limit { // at the pace of the latest ones
			often *= float64(last) / float64(max(1, last-slices.Min(items)+1))
		}
		weight := q.Weigh(t, often, float64(last))
		for _, item := range items {
			sums[item] += weight
		}
	}
	return heaviest(sums, worded), q, nil
}

// heaviest returns the n items of the largest sums, the largest first; of
// equals the latest.
func heaviest(sums map[int64]float64, n int) []int64 {
	type heavy struct {
		item int64
		sum  float64
	}
	order := func(a, b heavy) int { return descending(a.sum, b.sum, a.item, b.item) }
	top := make([]heavy, 0, n+1)
	for item, sum := range sums {
		h := heavy{item, sum}
		if len(top) == n && order(top[n-1], h) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, h, order)
		top = slices.Insert(top, at, h)
		top = top[:min(len(top), n)]
	}
	found := make([]int64, len(top))
	for i, h := range top {
		found[i] = h.item
	}
	return found
}

// listed returns the latest items that have each of the terms. It is one
// question to the database, with one row a term: each question and each row
// costs more than what is in it.
func (s *Store) listed(ctx context.Context, terms []string, limit int) ([][]int64, error) {
	const list = `SELECT ?, (SELECT group_concat(rowid) FROM (SELECT rowid FROM memory_words WHERE memory_words MATCH ? ORDER BY rowid DESC LIMIT ?))`
	args := make([]any, 0, 3*len(terms))
	for n, t := range terms {
		args = append(args, n, `"`+strings.ReplaceAll(t, `"`, `""`)+`"`, limit)
	}
	rows, err := s.DB.Query(ctx, strings.TrimSuffix(strings.Repeat(list+" UNION ALL ", len(terms)), " UNION ALL "), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	lists := make([][]int64, len(terms))
	for rows.Next() {
		var n int
		var found sql.NullString
		if err := rows.Scan(&n, &found); err != nil {
			return nil, err
		}
		for text := range strings.SplitSeq(found.String, ",") {
			if item, err := strconv.ParseInt(text, 10, 64); err == nil { // no item: an empty list
				lists[n] = append(lists[n], item)
			}
		}
	}
	return lists, rows.Err()
}

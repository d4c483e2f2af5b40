package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/store"
)

// frontier is the right edge of the tree: the roots of its complete subtrees.
// It is all that appending needs.
type frontier struct {
	size  int64
	peaks [63]tlog.Hash // by level; of the levels that are set bits of size
}

// push appends a leaf and adds the hashes that it completes to stored, in the
// order in which the tree is stored.
func (f *frontier) push(leaf tlog.Hash, stored []tlog.Hash) []tlog.Hash {
	level := 0
	stored = append(stored, leaf)
	for ; f.size>>level&1 == 1; level++ {
		leaf = tlog.NodeHash(f.peaks[level], leaf)
		stored = append(stored, leaf)
	}
	f.peaks[level] = leaf
	f.size++
	return stored
}

// root is the hash of the whole tree.
func (f *frontier) root() tlog.Hash {
	if f.size == 0 {
		empty, _ := tlog.TreeHash(0, nil) // reads nothing, so it cannot fail
		return empty
	}
	level := bits.TrailingZeros64(uint64(f.size))
	h := f.peaks[level]
	for level++; f.size>>level > 0; level++ {
		if f.size>>level&1 == 1 {
			h = tlog.NodeHash(f.peaks[level], h)
		}
	}
	return h
}

// querier is what reads: the database, or a transaction under way.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// readNode reads one stored hash.
func readNode(ctx context.Context, q querier, id int64) (h tlog.Hash, err error) {
	var raw []byte
	if err := q.QueryRow(ctx, `SELECT hash FROM audit_nodes WHERE id = ?`, id).Scan(&raw); err != nil {
		return h, fmt.Errorf("read hash %d of the audit tree: %w", id, err)
	}
	if len(raw) != tlog.HashSize {
		return h, fmt.Errorf("hash %d of the audit tree has %d bytes, want %d", id, len(raw), tlog.HashSize)
	}
	return tlog.Hash(raw), nil
}

// nodes reads stored hashes for the proofs of tlog.
func nodes(ctx context.Context, q querier) tlog.HashReader {
	return tlog.HashReaderFunc(func(ids []int64) ([]tlog.Hash, error) {
		all := make([]tlog.Hash, len(ids))
		for i, id := range ids {
			var err error
			if all[i], err = readNode(ctx, q, id); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
}

// readFrontier reads the right edge of a tree of size leaves.
func readFrontier(ctx context.Context, q querier, size int64) (f frontier, err error) {
	f.size = size
	for level := 0; size>>level > 0; level++ {
		if size>>level&1 == 0 {
			continue
		}
		if f.peaks[level], err = readNode(ctx, q, tlog.StoredHashIndex(level, size>>level-1)); err != nil {
			return f, err
		}
	}
	return f, nil
}

// nodesPerInsert bounds the hashes that one statement writes.
const nodesPerInsert = 128

// insertNodes writes the hashes that follow those of a tree of size leaves.
func insertNodes(ctx context.Context, tx *store.Tx, size int64, hashes []tlog.Hash) error {
	id := tlog.StoredHashCount(size)
	for len(hashes) > 0 {
		n := min(len(hashes), nodesPerInsert)
		args := make([]any, 0, 2*n)
		for _, h := range hashes[:n] {
			args = append(args, id, h[:])
			id++
		}
		query := `INSERT INTO audit_nodes (id, hash) VALUES (?, ?)` + strings.Repeat(`, (?, ?)`, n-1)
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
		hashes = hashes[n:]
	}
	return nil
}

// readHead returns the signed head, or "" if the log has none yet.
func readHead(ctx context.Context, q querier) (string, error) {
	var text string
	err := q.QueryRow(ctx, `SELECT note FROM audit_head WHERE id = 1`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the audit log's head: %w", err)
	}
	return text, nil
}

// Signed reports whether the log in a database was ever signed. Only one that
// was not may get a new key.
func Signed(ctx context.Context, db *store.DB) (bool, error) {
	head, err := readHead(ctx, db)
	return head != "", err
}

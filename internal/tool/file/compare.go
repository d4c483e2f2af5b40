package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"phantom/internal/audit"
)

const (
	// trackLimit bounds how many files of the workspace are compared around a
	// command; beyond it the record says so instead of staying silent.
	trackLimit = 20_000
	// hashLimit is the size in bytes up to which a written file is hashed.
	hashLimit = 8 << 20
	// hashBudget bounds what is hashed after one command, in bytes: a stopped
	// turn and an answer must not wait for a disk to be read through.
	hashBudget = 256 << 20
)

// stamp tells two states of a file apart without reading it.
type stamp struct {
	size  int64
	mtime time.Time
}

// Snapshot is the state of the workspace's files; nil when it has too many.
type Snapshot map[string]stamp

// Snapshot returns the present state of the workspace's files.
func (t *Tree) Snapshot() Snapshot {
	seen := Snapshot{}
	err := filepath.WalkDir(t.Workspace, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a directory that cannot be read holds nothing that can be compared
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone since
		}
		if len(seen) == trackLimit {
			return fs.SkipAll
		}
		seen[path] = stamp{info.Size(), info.ModTime()}
		return nil
	})
	if err != nil || len(seen) == trackLimit {
		return nil
	}
	return seen
}

// Changed compares the workspace with an earlier state. What is beyond the
// budget, or left when ctx ends, is recorded without a hash.
func (t *Tree) Changed(ctx context.Context, before Snapshot) []audit.FileEvent {
	after := t.Snapshot()
	if before == nil || after == nil {
		return []audit.FileEvent{{Op: audit.Write, Path: t.Workspace + "/… (too many files to compare)"}}
	}
	var events []audit.FileEvent
	budget := int64(hashBudget)
	hash := func(path string, size int64) string {
		if budget -= size; budget < 0 || ctx.Err() != nil {
			return ""
		}
		return t.hash(path, size)
	}
	for path, now := range after {
		was, existed := before[path]
		switch {
		case !existed:
			events = append(events, audit.FileEvent{Op: audit.Create, Path: path, Bytes: now.size, Hash: hash(path, now.size)})
		case was != now:
			events = append(events, audit.FileEvent{Op: audit.Write, Path: path, Bytes: now.size, Hash: hash(path, now.size)})
		}
	}
	for path, was := range before {
		if _, still := after[path]; !still {
			events = append(events, audit.FileEvent{Op: audit.Delete, Path: path, Bytes: was.size})
		}
	}
	slices.SortFunc(events, func(a, b audit.FileEvent) int { return strings.Compare(a.Path, b.Path) })
	return events
}

// hash returns the digest of a file of the workspace, "" if it is too large,
// not regular or gone.
func (t *Tree) hash(path string, size int64) string {
	if size > hashLimit {
		return ""
	}
	f, err := t.openRegular(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, hashLimit)); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

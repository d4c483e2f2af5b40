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

// Rest ends the path of an event that stands for all files below a directory
// that are not known one by one.
const Rest = "/…"

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

// Changed compares the workspace with an earlier state.
func (t *Tree) Changed(ctx context.Context, before Snapshot) []audit.FileEvent {
	after := t.Snapshot()
	if before == nil || after == nil {
		return []audit.FileEvent{{Op: audit.Write, Path: t.Workspace + Rest + " (too many files to compare)"}}
	}
	var events []audit.FileEvent
	for path, now := range after {
		was, existed := before[path]
		switch {
		case !existed:
			events = append(events, audit.FileEvent{Op: audit.Create, Path: path, Bytes: now.size})
		case was != now:
			events = append(events, audit.FileEvent{Op: audit.Write, Path: path, Bytes: now.size})
		}
	}
	for path, was := range before {
		if _, still := after[path]; !still {
			events = append(events, audit.FileEvent{Op: audit.Delete, Path: path, Bytes: was.size})
		}
	}
	t.Hash(ctx, events)
	slices.SortFunc(events, func(a, b audit.FileEvent) int { return strings.Compare(a.Path, b.Path) })
	return events
}

// Hash fills in the sizes and digests of written files of the workspace. What
// is beyond the budget, too large, gone, or left when ctx ends has none.
func (t *Tree) Hash(ctx context.Context, events []audit.FileEvent) {
	budget := int64(hashBudget)
	for i, e := range events {
		if e.Op != audit.Write && e.Op != audit.Create || !Within([]string{t.Workspace}, e.Path) || ctx.Err() != nil {
			continue
		}
		f, err := t.openRegular(e.Path)
		if err != nil {
			continue
		}
		h := sha256.New()
		n, err := io.Copy(h, io.LimitReader(f, min(hashLimit, budget)+1))
		if err == nil && n <= hashLimit && n <= budget {
			events[i].Bytes, events[i].Hash = n, hex.EncodeToString(h.Sum(nil))
		}
		budget -= n
		_ = f.Close() // it was only read
		if budget <= 0 {
			return
		}
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/audit/checkpoint"
	"phantom/internal/store"
)

const (
	// pageRows is how many rows are read at a time.
	pageRows = 2048
	// verifiers bounds the pages that are read side by side; the database keeps
	// as many readers.
	verifiers = 4
	// viewTries is how often views are opened again that differ.
	viewTries = 20
)

// notItsHash is said of a row whose contents do not give its leaf.
const notItsHash = "it is not what was written: its contents and its hash differ"

// Trust is what a log is held against.
type Trust struct {
	Key         string // the verifier key of who signed it
	Checkpoints string // the file of checkpoints, or a copy of it that was kept elsewhere
}

// CheckKey says what is wrong with a verifier key that somebody named.
func CheckKey(key string) error {
	if _, err := note.NewVerifier(key); err != nil {
		return fmt.Errorf("%q is no verifier key (want the whole word that `phantom audit verify` prints, phantom-audit+…)", key)
	}
	return nil
}

// Report is what Verify found.
type Report struct {
	Rows        int64        `json:"rows"`
	Sealed      int64        `json:"sealed_rows"` // without contents, by retention
	Files       int64        `json:"file_events"`
	Checkpoints int64        `json:"checkpoints"`
	Root        string       `json:"root"`
	Key         string       `json:"key"`
	Bad         *TamperError `json:"problem,omitempty"` // nil: the log is what was written
}

// verification is one run of Verify.
type verification struct {
	*Reader
	trust    Trust
	views    []*store.Snapshot // of the same moment
	notes    []string          // of the file
	sizes    []int64           // of the rows that each vouches for
	known    map[int64]string
	head     string
	rows     int64
	hashes   int64
	maxFile  int64
	strange  bool // rows, hashes or file events with numbers below the first
	report   Report
	tree     frontier
	nextFile int64
	first    int64 // first file event that a row names
	vouched  int64 // rows up to the last checkpoint that held
	next     int   // index of the next checkpoint
}

// Verify reads the whole log as it is at one moment and holds every row, hash
// and checkpoint against the signatures. It works beside a running instance,
// whose retention it does not see, and takes the reading connections for
// itself. What is wrong stands in the report; an error means that it could not
// look.
func (r *Reader) Verify(ctx context.Context, t Trust, progress func(done, total int64)) (report Report, err error) {
	v := &verification{Reader: r, trust: t, report: Report{Key: t.Key}}
	defer func() { err = errors.Join(err, closeViews(v.views)) }()
	if err := v.prepare(ctx); err != nil {
		return Report{}, err
	}
	if v.report.Bad != nil {
		return v.report, nil
	}
	signed, err := checkpoint.Open(v.head, t.Key)
	if err != nil {
		v.report.Bad = &TamperError{What: "the signed head of the log: " + err.Error()}
		return v.report, nil
	}
	if err := v.walk(ctx, min(v.rows, signed.Size), progress); err != nil {
		return Report{}, err
	}
	if v.report.Bad == nil {
		if v.report.Bad, err = v.finish(ctx, signed); err != nil {
			return Report{}, err
		}
	}
	v.report.Root = signed.Root.String()
	return v.report, nil
}

// prepare reads what the rows are held against. The order makes it true beside
// an instance that writes: the log's checkpoints stand in the file before, and
// the file's never go beyond the head.
func (v *verification) prepare(ctx context.Context) error {
	err := v.readKnown(ctx)
	if err != nil {
		return err
	}
	if v.notes, err = checkpoint.ReadFile(v.trust.Checkpoints); err != nil {
		v.report.Bad = &TamperError{What: "the file of checkpoints: " + err.Error()}
		return nil
	}
	for _, text := range v.notes {
		size, _, err := checkpoint.Parse(text)
		if err != nil {
			return err // ReadFile has read it before
		}
		v.sizes = append(v.sizes, size)
	}
	if v.views, err = openViews(ctx, v.db, min(verifiers, runtime.GOMAXPROCS(0))); err != nil {
		return err
	}
	var lowest int64
	if err := v.views[0].QueryRow(ctx, `SELECT coalesce((SELECT note FROM audit_head WHERE id = 1), ''), (SELECT coalesce(max(seq), 0) FROM audit_log),
		(SELECT coalesce(max(id), -1) + 1 FROM audit_nodes), (SELECT coalesce(max(id), 0) FROM audit_files),
		min((SELECT coalesce(min(seq), 1) FROM audit_log), (SELECT coalesce(min(id), 0) FROM audit_nodes) + 1, (SELECT coalesce(min(id), 1) FROM audit_files))`).
		Scan(&v.head, &v.rows, &v.hashes, &v.maxFile, &lowest); err != nil {
		return fmt.Errorf("read the end of the audit log: %w", err)
	}
	v.strange = lowest < 1
	if v.head == "" {
		v.report.Bad = &TamperError{What: "it has no signed head: either it is of an older phantom, which `phantom start` signs, or the head was removed"}
	}
	return nil
}

// readKnown reads the checkpoints that the log knows.
func (v *verification) readKnown(ctx context.Context) error {
	rows, err := v.db.Query(ctx, `SELECT size, note FROM audit_checkpoints`)
	if err != nil {
		return fmt.Errorf("read audit checkpoints: %w", err)
	}
	defer rows.Close()
	v.known = map[int64]string{}
	for rows.Next() {
		var size int64
		var text string
		if err := rows.Scan(&size, &text); err != nil {
			return fmt.Errorf("read audit checkpoints: %w", err)
		}
		v.known[size] = text
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read audit checkpoints: %w", err)
	}
	return nil
}

// openViews opens up to n views of the log at one moment. Pages that are read
// side by side must not differ in what a retention has let go meanwhile. Under
// a stream of commits one view alone must do.
func openViews(ctx context.Context, db *store.DB, n int) ([]*store.Snapshot, error) {
	for try := 1; ; try++ {
		if try == viewTries {
			n = 1
		}
		views, same, err := tryViews(ctx, db, n)
		if err == nil && same {
			return views, nil
		}
		if err := errors.Join(err, closeViews(views)); err != nil {
			return nil, err
		}
	}
}

// tryViews opens n views and reports whether they are of one moment: every
// commit to the log changes its head, its first row or its newest checkpoint.
func tryViews(ctx context.Context, db *store.DB, n int) (views []*store.Snapshot, same bool, err error) {
	var first string
	same = true
	for range n {
		view, err := db.Snapshot(ctx)
		if err != nil {
			return views, false, err
		}
		views = append(views, view)
		var moment string
		if err := view.QueryRow(ctx, `SELECT coalesce((SELECT note FROM audit_head WHERE id = 1), '') || ' ' ||
			(SELECT coalesce(min(seq), 0) FROM audit_log) || ' ' || (SELECT coalesce(max(size), 0) FROM audit_checkpoints)`).Scan(&moment); err != nil {
			return views, false, fmt.Errorf("read the end of the audit log: %w", err)
		}
		first = cmp.Or(first, moment)
		same = same && moment == first
	}
	return views, same, nil
}

func closeViews(views []*store.Snapshot) error {
	var errs []error
	for _, view := range views {
		errs = append(errs, view.Close())
	}
	return errors.Join(errs...)
}

// reading is a page on its way.
type reading struct {
	page page
	bad  *TamperError // a checkpoint with a wrong signature
	err  error
}

// walk reads the rows 1..end page by page, several at a time, and puts them
// together in their order, until the first bad one.
func (v *verification) walk(ctx context.Context, end int64, progress func(done, total int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	free := make(chan *store.Snapshot, len(v.views))
	for _, view := range v.views {
		free <- view
	}
	pages := make(chan chan reading, len(v.views)) // a full one holds reading back
	readers.Go(func() {
		defer close(pages)
		for from := int64(1); from <= end; from += pageRows {
			p := make(chan reading, 1)
			select {
			case pages <- p:
			case <-ctx.Done():
				return
			}
			view := <-free // its reader ends, with ctx at the latest
			readers.Go(func() {
				p <- v.readPage(ctx, view, from, min(from+pageRows-1, end))
				free <- view
			})
		}
	})
	for p := range pages {
		r := <-p
		if r.err != nil {
			return r.err
		}
		if v.report.Bad = v.add(r.page); v.report.Bad == nil {
			v.report.Bad = r.bad
		}
		if v.report.Bad != nil {
			return nil
		}
		progress(v.tree.size, end)
	}
	return ctx.Err()
}

// readPage reads a page and checks the signatures of the checkpoints in it.
func (v *verification) readPage(ctx context.Context, view *store.Snapshot, from, to int64) (r reading) {
	if r.page, r.err = readPage(ctx, view, from, to); r.err != nil {
		return r
	}
	for i, _ := slices.BinarySearch(v.sizes, from); i < len(v.sizes) && v.sizes[i] <= to; i++ {
		if _, err := checkpoint.Open(v.notes[i], v.trust.Key); err != nil {
			r.bad = &TamperError{Row: v.sizes[i], What: "the checkpoint of it in the file: " + err.Error()}
			return r
		}
	}
	return r
}

// add puts a page at the end of the tree and returns the first bad row.
func (v *verification) add(p page) *TamperError {
	var hashes []tlog.Hash
	if p.firstFile != 0 {
		if v.nextFile != 0 && p.firstFile != v.nextFile {
			return &TamperError{Row: v.tree.size + 1, What: "the file events of it or of the rows after it do not follow those before"}
		}
		if v.first == 0 {
			v.first = p.firstFile
		}
		v.nextFile = p.firstFile + p.files
	}
	stored := p.stored
	for _, l := range p.leaves {
		hashes = v.tree.push(l.hash, hashes[:0])
		if len(stored) < len(hashes) {
			return &TamperError{Row: l.seq, What: "its hashes in the tree are missing or damaged"}
		}
		if stored[0] != hashes[0] {
			return &TamperError{Row: l.seq, What: notItsHash}
		}
		if !slices.Equal(stored[:len(hashes)], hashes) {
			return &TamperError{Row: l.seq, What: "a hash of the tree over it and the rows before it was changed"}
		}
		stored = stored[len(hashes):]
		if v.next < len(v.sizes) && v.sizes[v.next] == l.seq {
			if _, root, err := checkpoint.Parse(v.notes[v.next]); err != nil || root != v.tree.root() {
				return v.notVouched(l.seq)
			}
			v.vouched = l.seq
			v.next++
			v.report.Checkpoints++
		}
	}
	v.report.Rows, v.report.Sealed, v.report.Files = v.tree.size, v.report.Sealed+p.sealed, v.report.Files+p.files
	return p.bad
}

func (v *verification) notVouched(size int64) *TamperError {
	return &TamperError{Row: v.vouched + 1, What: fmt.Sprintf("one of the rows %d to %d is not what was signed, though the hashes fit: the log was written again", v.vouched+1, size)}
}

// finish looks at what follows the last row and at what stands nowhere.
func (v *verification) finish(ctx context.Context, signed checkpoint.Head) (*TamperError, error) {
	if err := sameEnd(signed.Size, v.rows, v.hashes); err != nil {
		if bad, ok := err.(*TamperError); ok {
			return bad, nil
		}
		return &TamperError{What: err.Error()}, nil
	}
	if v.tree.root() != signed.Root {
		return v.notVouched(signed.Size), nil
	}
	if v.next < len(v.sizes) {
		return &TamperError{Row: signed.Size + 1, What: fmt.Sprintf("the rows %d to %d are cut off, or the database was put back: a checkpoint vouches for %d rows",
			signed.Size+1, v.sizes[len(v.sizes)-1], v.sizes[len(v.sizes)-1])}, nil
	}
	for _, size := range slices.Sorted(maps.Keys(v.known)) {
		i, found := slices.BinarySearch(v.sizes, size)
		if !found || v.notes[i] != v.known[size] {
			return &TamperError{Row: size, What: "the checkpoint of it that the log knows is not in the file, which was cut, put back or changed"}, nil
		}
	}
	return v.strays(ctx)
}

// strays finds file events that no row names, and rows below the first.
func (v *verification) strays(ctx context.Context) (*TamperError, error) {
	if v.strange {
		return &TamperError{What: "rows, hashes or file events with numbers below the first were put in"}, nil
	}
	if v.nextFile == 0 && v.report.Sealed == 0 {
		v.first, v.nextFile = 1, 1
	}
	if v.nextFile == 0 {
		v.nextFile, v.first = v.maxFile+1, v.maxFile+1
	}
	if v.maxFile >= v.nextFile {
		return &TamperError{What: fmt.Sprintf("file event %d and those after it belong to no row", v.nextFile)}, nil
	}
	var lowest int64
	if err := v.views[0].QueryRow(ctx, `SELECT coalesce(min(id), ?) FROM audit_files`, v.first).Scan(&lowest); err != nil {
		return nil, fmt.Errorf("read files of the audit log: %w", err)
	}
	if lowest < v.first {
		return &TamperError{What: fmt.Sprintf("file event %d belongs to no row", lowest)}, nil
	}
	return nil, nil
}

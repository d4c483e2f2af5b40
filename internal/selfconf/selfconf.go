// Package selfconf keeps the documents that Phantom writes about itself, and
// every version that they ever had.
//
// It owns phantom-config/ and the tables config_versions, config_texts,
// config_documents and config_pin. A version is numbered 1, 2, 3 … and never
// changed (the schema refuses it); going back makes a new one. A new version is
// committed first and written to the files then. Whoever asks for the current
// one has the files compared with it: what a crash left undone is done, what
// the owner edited by hand becomes a version of its own, and a document that is
// gone is written again.
//
// The constitution is pinned: no delta, rollback or edit can change it. Another
// text than the pinned one is reported, never taken over silently. Only
// forgetting changes what is stored, and leaves a trace that it did. The
// package judges no content; package gate does.
package selfconf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"phantom/internal/audit"
	"phantom/internal/store"
)

// recorder is what selfconf needs from audit.
type recorder interface {
	Intent(ctx context.Context, e audit.Entry) (audit.Intent, error)
	Outcome(ctx context.Context, in audit.Intent, o audit.Outcome) error
}

// Deps is what a Store needs; every field must be set.
type Deps struct {
	DB           *store.DB
	Dir          string // phantom-config
	Constitution string // the text in the binary; it holds until the owner adopts another
	Audit        recorder
	Log          *slog.Logger
}

// Store keeps the documents. It is safe for concurrent use, and other
// processes may read beside it. None of its methods may be called inside a
// transaction, but Erase.
type Store struct {
	*Reader
	deps Deps
	turn chan struct{} // holds a token for whoever changes files or versions
}

// Open returns the Store of a home, after it has made files and versions fit.
// A file that cannot be a document is logged only, so that Phantom starts;
// whatever needs the documents then says what is wrong.
func Open(ctx context.Context, d Deps) (*Store, error) {
	if d.DB == nil || d.Dir == "" || d.Audit == nil || d.Log == nil {
		return nil, errors.New("selfconf: no database, directory, audit or log")
	}
	if err := checkText(Constitution, d.Constitution); err != nil || d.Constitution == "" {
		return nil, errors.Join(errors.New("selfconf: no constitution"), err)
	}
	reader, err := NewReader(d.DB)
	if err != nil {
		return nil, err
	}
	s := &Store{Reader: reader, deps: d, turn: make(chan struct{}, 1)}
	if err := within(d.Dir, sweep); err != nil && !errors.Is(err, ErrDocument) {
		return nil, err
	}
	err = s.Reconcile(ctx)
	if errors.Is(err, ErrDocument) {
		d.Log.Error("the documents of phantom-config cannot be read, so nothing is learnt", "error", err)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// take waits for the right to change files and versions; the caller gives it
// back.
func (s *Store) take(ctx context.Context) (giveBack func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Current returns the version in force and its documents, after it has made
// files and versions fit. The constitution is the pinned one, whatever the file
// says: that is for Constitution to tell.
func (s *Store) Current(ctx context.Context) (Version, Documents, error) {
	giveBack, err := s.take(ctx)
	if err != nil {
		return Version{}, nil, err
	}
	defer giveBack()
	st, err := s.reconcile(ctx)
	return st.Version, st.docs, err
}

// Reconcile makes files and versions fit.
func (s *Store) Reconcile(ctx context.Context) error {
	_, _, err := s.Current(ctx)
	return err
}

// reconcile is Reconcile for who holds the token. It returns the version in
// force, whose files are on the disk.
func (s *Store) reconcile(ctx context.Context) (state, error) {
	now, err := newest(ctx, s.db)
	if errors.Is(err, ErrNone) {
		now, err = s.first(ctx)
	}
	if err != nil {
		return state{}, err
	}
	if now, err = s.settle(ctx, now); err != nil {
		return state{}, err
	}
	return s.pinned(ctx, now)
}

// first makes the first version, of the files as they are.
func (s *Store) first(ctx context.Context) (state, error) {
	docs, err := Read(s.deps.Dir)
	if err != nil {
		return state{}, err
	}
	written := true
	for _, name := range Evolvable() {
		if _, there := docs[name]; !there {
			docs[name], written = "", false
		}
	}
	docs[Constitution] = s.deps.Constitution
	return s.make(ctx, plan{kind: First, docs: docs, written: written, cause: Cause{Note: "as the files were found"}})
}

// settle writes what of a version is not on the disk yet, and makes a version
// of what was edited by hand.
func (s *Store) settle(ctx context.Context, now state) (state, error) {
	var old state
	if !now.written && now.Parent > 0 {
		var err error
		if old, err = readState(ctx, s.db, `WHERE number = ?`, now.Parent); err != nil {
			return state{}, err
		}
	}
	files, err := Read(s.deps.Dir)
	if err != nil {
		return state{}, err
	}
	stale, edited := compare(now, old, files)
	if err := s.write(ctx, &now, stale, files); err != nil {
		return state{}, err
	}
	if len(edited) == 0 {
		return now, nil
	}
	docs := Documents{}
	for _, name := range Names() {
		docs[name] = now.docs[name]
		if text, is := edited[name]; is {
			docs[name] = text
		}
	}
	p := plan{kind: Owner, parent: now, docs: docs, written: true, cause: Cause{Note: "edited by hand"}}
	if p.forgotten, err = forgotten(ctx, s.db); err != nil {
		return state{}, err
	}
	return s.make(ctx, p)
}

// compare tells the files that a version is to be written to from those that
// were edited by hand. Only a text that Phantom itself left there is written
// over: one of the version, or of the one before it while it is not written.
func compare(now, old state, files Documents) (stale []string, edited Documents) {
	edited = Documents{}
	for _, name := range Evolvable() {
		text, there := files[name]
		switch {
		case there && text == now.docs[name]:
		case !there, now.had(name, text), old.had(name, text):
			stale = append(stale, name)
		default:
			edited[name] = text
		}
	}
	// The constitution is written where it was adopted, and nowhere else. A text
	// that is not ours stays, and is told of.
	text, there := files[Constitution]
	if now.Kind == Adopted && !now.written && text != now.docs[Constitution] && (!there || old.had(Constitution, text)) {
		stale = append(stale, Constitution)
	}
	return stale, edited
}

// write brings the documents of those names to the disk, and notes that the
// version is there.
func (s *Store) write(ctx context.Context, st *state, names []string, seen Documents) error {
	err := within(s.deps.Dir, func(root *os.Root) error {
		for _, name := range names {
			if err := writeFile(root, name, st.docs[name], seen); err != nil {
				return fmt.Errorf("write version %d: %w", st.Number, err)
			}
		}
		return nil
	})
	if err != nil || st.written {
		return err
	}
	// The files are written, whether or not the caller still wants them.
	err = s.db.WithTx(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		_, err := tx.Exec(context.WithoutCancel(ctx), `UPDATE config_versions SET written = 1 WHERE number = ?`, st.Number)
		return err
	})
	st.written = err == nil
	return err
}

// after is the time of a version: later than the one before, whatever the
// clock says, so that AsOf finds each.
func after(at time.Time) time.Time {
	now := time.Now().Truncate(time.Microsecond)
	if !now.After(at) {
		return at.Add(time.Microsecond)
	}
	return now
}

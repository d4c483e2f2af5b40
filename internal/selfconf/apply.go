package selfconf

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"phantom/internal/store"
)

// Apply makes the next version, in one transaction with also, which may be nil
// and must not call the Store, and then writes its files. The documents must be
// the current ones with the deltas applied, so that nothing else gets in and
// nothing comes back that was forgotten meanwhile; otherwise it fails with
// ErrStale. It refuses while the constitution is not the pinned one. Where it
// returns a version with a number, that is in force, whatever the error.
func (s *Store) Apply(ctx context.Context, next Next, also func(ctx context.Context, tx *store.Tx, number int64) error) (Version, error) {
	giveBack, err := s.take(ctx)
	if err != nil {
		return Version{}, err
	}
	defer giveBack()
	p, err := s.plan(ctx)
	if err != nil {
		return Version{}, err
	}
	if err := s.constitution(ctx); err != nil {
		return Version{}, err
	}
	if p.parent.Number != next.Parent {
		return Version{}, fmt.Errorf("apply to version %d, but %d is the current one: %w", next.Parent, p.parent.Number, ErrStale)
	}
	docs, err := p.parent.docs.replay(next.Deltas)
	if err != nil {
		return Version{}, fmt.Errorf("apply to version %d: %w", next.Parent, err)
	}
	if !maps.Equal(docs, next.Documents) {
		return Version{}, fmt.Errorf("apply to version %d: the documents are not its own with the deltas applied: %w", next.Parent, ErrStale)
	}
	if err := docs.complete(); err != nil {
		return Version{}, fmt.Errorf("apply to version %d: %w", next.Parent, err)
	}
	p.kind, p.docs, p.also = Evolved, docs, also
	p.cause, p.deltas, p.verdicts, p.metrics = next.Cause, next.Deltas, next.Verdicts, next.Metrics
	st, err := s.make(ctx, p)
	return st.Version, err
}

// plan begins a version behind the one in force.
func (s *Store) plan(ctx context.Context) (plan, error) {
	marks, err := forgotten(ctx, s.db) // first: what is forgotten from here on is noticed
	if err != nil {
		return plan{}, err
	}
	now, err := s.reconcile(ctx)
	return plan{parent: now, forgotten: marks}, err
}

// replay applies deltas one after the other. No deltas change nothing.
func (d Documents) replay(deltas []Delta) (Documents, error) {
	if len(deltas) == 0 {
		return nil, ErrSame
	}
	docs := d
	for i, delta := range deltas {
		var err error
		if docs, err = docs.Apply(delta); err != nil {
			return nil, fmt.Errorf("delta %d: %w", i+1, errors.Join(err, ErrStale))
		}
	}
	if maps.Equal(docs, d) {
		return nil, ErrSame
	}
	return docs, nil
}

// Rollback makes a new version with the documents of an older one, byte for
// byte but for the constitution, which stays the pinned one; also is as for
// Apply.
func (s *Store) Rollback(ctx context.Context, number int64, note string, also func(ctx context.Context, tx *store.Tx, number int64) error) (Version, error) {
	giveBack, err := s.take(ctx)
	if err != nil {
		return Version{}, err
	}
	defer giveBack()
	p, err := s.plan(ctx)
	if err != nil {
		return Version{}, err
	}
	_, docs, err := s.Version(ctx, number)
	if err != nil {
		return Version{}, err
	}
	docs[Constitution] = p.parent.docs[Constitution]
	if maps.Equal(docs, p.parent.docs) {
		return Version{}, fmt.Errorf("roll back to version %d: %w", number, ErrSame)
	}
	p.kind, p.docs, p.restored, p.cause, p.also = Rollback, docs, number, Cause{Note: note}, also
	st, err := s.make(ctx, p)
	return st.Version, err
}

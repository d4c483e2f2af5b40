package selfconf

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
)

// Constitution returns nil while constitution.md is the pinned one: that of the
// binary, or the last one that the owner adopted.
func (s *Store) Constitution(ctx context.Context) error {
	giveBack, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	return s.constitution(ctx)
}

func (s *Store) constitution(ctx context.Context) error {
	pin, err := s.pin(ctx)
	if err != nil {
		return err
	}
	if pin == "" {
		pin = sum(s.deps.Constitution)
	}
	return within(s.deps.Dir, func(root *os.Root) error {
		const mend = "put the pinned text back, or adopt the one that is to hold with `phantom config constitution --adopt FILE`"
		text, there, err := readFile(root, Constitution)
		switch {
		case errors.Is(err, ErrDocument):
			return fmt.Errorf("%w, whose SHA-256 is %s: %w; %s", ErrConstitution, pin, err, mend)
		case err != nil:
			return err
		case !there:
			return fmt.Errorf("%w, whose SHA-256 is %s: %s is missing; %s", ErrConstitution, pin, Constitution, mend)
		case sum(text) != pin:
			return fmt.Errorf("%w: the SHA-256 of %s is %s, the pinned one's %s; %s", ErrConstitution, Constitution, sum(text), pin, mend)
		}
		return nil
	})
}

// pin returns the SHA-256 of the constitution that the owner adopted last, or
// "" if he never did.
func (s *Store) pin(ctx context.Context) (hash string, err error) {
	err = s.db.QueryRow(ctx, `SELECT hash FROM config_pin ORDER BY version DESC LIMIT 1`).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read which constitution is pinned: %w", err)
	}
	return hash, nil
}

// pinned gives the documents the constitution of the binary, where the owner
// adopted none and the binary has another one than the last had.
func (s *Store) pinned(ctx context.Context, now state) (state, error) {
	pin, err := s.pin(ctx)
	if err != nil || pin != "" || now.docs[Constitution] == s.deps.Constitution {
		return now, err
	}
	docs := maps.Clone(now.docs)
	docs[Constitution] = s.deps.Constitution
	p := plan{kind: Adopted, parent: now, docs: docs, cause: Cause{Note: "this release of phantom has another constitution"}}
	if p.forgotten, err = forgotten(ctx, s.db); err != nil {
		return state{}, err
	}
	return s.make(ctx, p)
}

// Adopt makes a text the constitution, on the owner's word: it is pinned,
// becomes part of a new version and is written to the file, whatever stands
// there.
func (s *Store) Adopt(ctx context.Context, text string) (Version, error) {
	if err := checkText(Constitution, text); err != nil {
		return Version{}, err
	}
	if text == "" {
		return Version{}, fmt.Errorf("adopt a constitution: %w: it is empty", ErrDocument)
	}
	giveBack, err := s.take(ctx)
	if err != nil {
		return Version{}, err
	}
	defer giveBack()
	p, err := s.plan(ctx)
	if err != nil {
		return Version{}, err
	}
	docs := maps.Clone(p.parent.docs)
	docs[Constitution] = text
	if err := s.constitution(ctx); err == nil && maps.Equal(docs, p.parent.docs) {
		return Version{}, fmt.Errorf("adopt a constitution: %w", ErrSame)
	} else if err != nil && !errors.Is(err, ErrConstitution) {
		return Version{}, err
	}
	p.kind, p.docs, p.pin, p.cause = Adopted, docs, true, Cause{Note: "the owner adopted this constitution"}
	st, err := s.make(ctx, p)
	return st.Version, err
}

package vault

import (
	"context"
	"errors"
	"fmt"

	"phantom/internal/store"
)

// ErrForeignKey says that the key is not phantom's own to change.
var ErrForeignKey = errors.New("the vault's key comes from outside: put a new key before the old one there (NEW,OLD) and start phantom again, which seals everything under the new one; then take the old one away")

// RotateKey makes a new key and seals every secret under it. The order makes
// each crash harmless: the file first holds both keys, then one transaction
// seals all rows, and only then the old key goes. Open ends what a crash cut
// short.
func (s *Store) RotateKey(ctx context.Context) error {
	if !s.o.Key.IsZero() {
		return ErrForeignKey
	}
	return s.changing(ctx, "secret rotate-key", "", func(ctx context.Context) error {
		keys := s.ring()
		if len(keys) == 0 {
			return errors.New("nothing is stored yet, so there is no key to rotate")
		}
		k, err := freshKey()
		if err != nil {
			return err
		}
		s.o.Redactor.Add(k.text)
		both := append(ring{k}, keys...)
		if len(both) > maxKeys {
			return fmt.Errorf("%d rotations were left half done: start phantom again, which ends them", len(keys)-1)
		}
		if err := writeKeyFile(s.o.KeyFile, both); err != nil {
			return err
		}
		s.setRing(both)
		return s.settle(ctx)
	})
}

// finish seals what is not sealed under the key in use, for instance after a
// crash, and forgets the other keys.
func (s *Store) finish(ctx context.Context, sum manifest) error {
	keys := s.ring()
	if len(keys) == 0 {
		return nil
	}
	stale := sum.keyID != "" && sum.keyID != keys[0].id
	for _, k := range s.all {
		stale = stale || k.keyID != keys[0].id
	}
	if stale {
		return s.recorded(ctx, "secret rotate-key", "to its end", s.settle)
	}
	return s.dropOld()
}

// settle seals every row under the key in use, then drops the other keys.
func (s *Store) settle(ctx context.Context) error {
	keys := s.ring()
	err := s.commit(ctx, func(ctx context.Context, tx *store.Tx, all map[string]kept) error {
		// Not from memory: what the database holds must still open, or the
		// rotation would lose what it cannot read.
		rows, _, err := load(ctx, tx)
		if err != nil {
			return err
		}
		clear(all)
		for _, r := range rows {
			v, err := r.open(keys)
			if err != nil {
				return fmt.Errorf("secret %.64q of the vault does not open: %w", r.name, err)
			}
			r.sealWith(keys[0], v)
			if err := put(ctx, tx, r); err != nil {
				return err
			}
			all[r.name] = kept{r, v}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("seal the vault under the new key: %w", err)
	}
	return s.dropOld()
}

// dropOld forgets every key but the one in use, under which everything is
// sealed by now.
func (s *Store) dropOld() error {
	keys := s.ring()
	if len(keys) == 1 {
		return nil
	}
	if s.o.Key.IsZero() {
		if err := writeKeyFile(s.o.KeyFile, keys[:1]); err != nil {
			return err
		}
	}
	s.setRing(keys[:1:1])
	return nil
}

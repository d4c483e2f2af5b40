package selfconf_test

import (
	"context"
	"errors"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/selfconf"
)

// meanwhile is a record during whose first entry something happens: after a
// version was planned, and before it is stored.
type meanwhile struct {
	*audit.Log
	happens func() error
}

func (m *meanwhile) Intent(ctx context.Context, e audit.Entry) (audit.Intent, error) {
	if happens := m.happens; happens != nil {
		m.happens = nil
		if err := happens(); err != nil {
			return audit.Intent{}, err
		}
	}
	return m.Log.Intent(ctx, e)
}

// TestWhatHappensBeforeAVersionIsStored: a version that was planned on what is
// no longer so is none.
func TestWhatHappensBeforeAVersionIsStored(t *testing.T) {
	for why, happens := range map[string]func(*world) error{
		"the owner had something of it forgotten": func(w *world) error { return w.erase(forget("Minka", "X")) },
		"another process made a version": func(w *world) error {
			other, err := selfconf.Open(w.ctx(), w.deps())
			if err != nil {
				return err
			}
			_, err = other.Apply(w.ctx(), w.next(selfconf.Persona, "Theirs."), nil)
			return err
		},
	} {
		w := newWorld(t)
		w.apply(selfconf.UserProfile, "His cat is called Minka.")
		d := w.deps()
		d.Audit = &meanwhile{w.log, func() error { return happens(w) }}
		s, err := selfconf.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := s.Apply(t.Context(), w.next(selfconf.UserProfile, "Prefers tabs."), nil); !errors.Is(err, selfconf.ErrStale) {
			t.Errorf("%s: version %d, %v; want %v", why, v.Number, err, selfconf.ErrStale)
		}
		if _, docs := w.now(); docs[selfconf.UserProfile] == "# user-profile.md\nHis cat is called Minka.\nPrefers tabs.\n" {
			t.Errorf("%s: the documents are %v", why, docs)
		}
	}
}

package selfconf_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/selfconf"
)

const another = "# Constitution\n\n1. **Be exact.**\n"

func TestAnotherConstitutionIsToldOfAndNeverTakenOver(t *testing.T) {
	for why, change := range map[string]func(w *world){
		"a byte is another":      func(w *world) { w.put(selfconf.Constitution, constitution+" ") },
		"it is another text":     func(w *world) { w.put(selfconf.Constitution, another) },
		"it is empty":            func(w *world) { w.put(selfconf.Constitution, "") },
		"it is not there at all": func(w *world) { _ = os.Remove(filepath.Join(w.dir, selfconf.Constitution)) }, // that it is there still would fail the test
	} {
		w := newWorld(t)
		if err := w.Constitution(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.apply(selfconf.Persona, "Is brief.")
		change(w)
		found := w.files()
		for range 2 {
			if err := w.Constitution(t.Context()); !errors.Is(err, selfconf.ErrConstitution) || !strings.Contains(err.Error(), "--adopt") {
				t.Errorf("%s: error %v", why, err)
			}
			v, docs, err := w.Current(t.Context())
			if err != nil || v.Number != 2 || docs[selfconf.Constitution] != constitution {
				t.Errorf("%s: version %d with the constitution %q, %v", why, v.Number, docs[selfconf.Constitution], err)
			}
			w.reopen()
		}
		if _, err := w.Rollback(t.Context(), 1, "", nil); err != nil {
			t.Errorf("%s: going back must be possible: %v", why, err)
		}
		if got := w.files()[selfconf.Constitution]; got != found[selfconf.Constitution] {
			t.Errorf("%s: the file was changed to %q", why, got)
		}
	}
}

func TestAdoptPinsAnotherConstitution(t *testing.T) {
	for why, stands := range map[string]string{
		"the pinned one stands there":          constitution,
		"the new one stands there, not pinned": another,
		"some other one stands there":          "# Mine\n",
	} {
		w := newWorld(t)
		w.apply(selfconf.Persona, "Is brief.")
		w.put(selfconf.Constitution, stands)
		v, err := w.Adopt(t.Context(), another)
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		now, docs := w.now()
		if v.Number != 3 || now.Number != 3 || v.Kind != selfconf.Adopted || docs[selfconf.Constitution] != another {
			t.Errorf("%s: version %+v of %v", why, v, docs)
		}
		w.reopen()
		if err := w.Constitution(t.Context()); err != nil {
			t.Errorf("%s: %v", why, err)
		}
		if _, err := w.Adopt(t.Context(), another); !errors.Is(err, selfconf.ErrSame) {
			t.Errorf("%s: once more: %v", why, err)
		}
		if v, err = w.Rollback(t.Context(), 1, "", nil); err != nil {
			t.Fatal(err)
		}
		if _, docs := w.now(); docs[selfconf.Constitution] != another || docs[selfconf.Persona] != fresh()[selfconf.Persona] {
			t.Errorf("%s: a rollback leaves %v", why, docs)
		}
		w.put(selfconf.Constitution, constitution)
		if err := w.Constitution(t.Context()); !errors.Is(err, selfconf.ErrConstitution) {
			t.Errorf("%s: the one of the binary holds no longer: %v", why, err)
		}
		if v, err := w.Adopt(t.Context(), constitution); err != nil || v.Number != 5 {
			t.Errorf("%s: back again: version %d, %v", why, v.Number, err)
		}
		w.reopen()
		if err := w.Constitution(t.Context()); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// The version is there and the file holds something else: put back by hand,
// it must be adopted again to be the same as the pin.
func TestAdoptMendsTheFileOfThePinnedOne(t *testing.T) {
	w := newWorld(t)
	w.put(selfconf.Constitution, another)
	if v, err := w.Adopt(t.Context(), constitution); err != nil || v.Number != 2 {
		t.Fatalf("version %d, %v", v.Number, err)
	}
	w.now()
	if err := w.Constitution(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAdoptRefusesWhatIsNoText(t *testing.T) {
	w := newWorld(t)
	for why, text := range map[string]string{
		"nothing would hold":      "",
		"it is no UTF-8":          "\xff",
		"it has a NUL":            "a\x00",
		"the prompt would be cut": strings.Repeat("x", selfconf.Limit+1),
		"it is the pinned one":    constitution,
	} {
		if v, err := w.Adopt(t.Context(), text); err == nil || v.Number != 0 {
			t.Errorf("version %d, %v, though %s", v.Number, err, why)
		}
	}
	if v, docs := w.now(); v.Number != 1 || !maps.Equal(docs, fresh()) {
		t.Errorf("version %d", v.Number)
	}
}

func TestAHalfDoneAdoptIsEnded(t *testing.T) {
	for why, tt := range map[string]struct {
		left string
		ok   bool
	}{
		"the file was not written":                        {constitution, true},
		"only the note was missing":                       {another, true},
		"a text that is not ours is told of, not changed": {"# Mine\n", false},
	} {
		w := newWorld(t)
		if _, err := w.Adopt(t.Context(), another); err != nil {
			t.Fatal(err)
		}
		if err := w.exec(`UPDATE config_versions SET written = 0 WHERE number = 2`); err != nil {
			t.Fatal(err)
		}
		w.put(selfconf.Constitution, tt.left)
		w.reopen()
		if err := w.Constitution(t.Context()); (err == nil) != tt.ok {
			t.Errorf("%s: %v", why, err)
		}
		if !tt.ok && w.files()[selfconf.Constitution] != tt.left {
			t.Errorf("%s: the file is another", why)
		}
	}
}

// A release may bring another constitution. A file that is the one of the
// release before follows; one that the owner adopted stays.
func TestAnotherReleaseBringsItsConstitution(t *testing.T) {
	release := func(w *world) {
		d := w.deps()
		d.Constitution = another
		s, err := selfconf.Open(w.ctx(), d)
		if err != nil {
			t.Fatal(err)
		}
		w.Store = s
	}
	w := newWorld(t)
	release(w)
	if v, docs := w.now(); v.Number != 2 || v.Kind != selfconf.Adopted || docs[selfconf.Constitution] != another {
		t.Errorf("version %+v of %v", v, docs)
	}
	w = newWorld(t)
	w.put(selfconf.Constitution, "# Mine\n")
	release(w)
	if err := w.Constitution(t.Context()); !errors.Is(err, selfconf.ErrConstitution) || w.files()[selfconf.Constitution] != "# Mine\n" {
		t.Errorf("a file of the owner's: %v, %q", err, w.files()[selfconf.Constitution])
	}
	w = newWorld(t)
	if _, err := w.Adopt(t.Context(), "# Mine\n"); err != nil {
		t.Fatal(err)
	}
	release(w)
	if v, docs := w.now(); v.Number != 2 || docs[selfconf.Constitution] != "# Mine\n" || w.Constitution(t.Context()) != nil {
		t.Errorf("an adopted one: version %+v of %v", v, docs)
	}
}

package selfconf_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/selfconf"
)

func TestAHandEditBecomesAVersionOfTheOwner(t *testing.T) {
	w := newWorld(t)
	w.apply(selfconf.Persona, "Is brief.")
	w.put(selfconf.Persona, "Is chatty.\n")
	w.put(selfconf.ToolPreferences, "")
	v, docs := w.now()
	if v.Number != 3 || v.Parent != 2 || v.Kind != selfconf.Owner || docs[selfconf.Persona] != "Is chatty.\n" || docs[selfconf.ToolPreferences] != "" {
		t.Errorf("version %+v of %v", v, docs)
	}
	w.reopen()
	if again, _ := w.now(); again.Number != 3 {
		t.Errorf("the same edit made version %d as well", again.Number)
	}
	if _, before, err := w.Version(t.Context(), 2); err != nil || !strings.Contains(before[selfconf.Persona], "Is brief.") {
		t.Errorf("what stood there before: %v, %v", before, err)
	}
	rows := w.record()
	if diff := cmp.Diff([]string{"owner config owner version 3 intent", "owner config owner version 3 outcome ok"}, rows[len(rows)-2:]); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
}

func TestADocumentIsNeverMissing(t *testing.T) {
	w := newWorld(t)
	want := w.apply(selfconf.Persona, "Is brief.", selfconf.TaskPatterns, "Test first.")
	for _, gone := range []string{selfconf.Persona, "strategies"} {
		if err := os.RemoveAll(filepath.Join(w.dir, gone)); err != nil {
			t.Fatal(err)
		}
		if v, docs := w.now(); v.Number != want.Number || docs.Hash() != want.Hash {
			t.Errorf("without %s: version %d", gone, v.Number)
		}
	}
}

func TestTheFirstVersionHasEveryDocument(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	if err := os.RemoveAll(filepath.Join(w.dir, "strategies")); err != nil {
		t.Fatal(err)
	}
	d := other.deps()
	d.DB, d.Dir = emptyHome(t), w.dir
	if _, err := selfconf.Open(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	files := w.files()
	if text, there := files[selfconf.TaskPatterns]; !there || text != "" || len(files) != 7 {
		t.Errorf("the files are %v", files)
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside.md")
	tests := []struct {
		name, why string
		place     func(w *world, path string) error
	}{
		{"a link to elsewhere", "it would show what stands elsewhere", func(_ *world, path string) error { return os.Symlink(outside, path) }},
		{"a link beside it", "what is written would go elsewhere", func(_ *world, path string) error { return os.Symlink("domain-knowledge.md", path) }},
		{"a link to nothing", "it is there and no file", func(_ *world, path string) error { return os.Symlink("nowhere", path) }},
		{"a FIFO", "it would block for ever", func(_ *world, path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"a directory", "it has no text", func(_ *world, path string) error { return os.Mkdir(path, 0o700) }},
		{"a text that is too large", "the prompt would be cut", func(_ *world, path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("x", selfconf.Limit+1)), 0o600)
		}},
		{"no UTF-8", "the model reads texts", func(_ *world, path string) error { return os.WriteFile(path, []byte("a\xff"), 0o600) }},
		{"a NUL", "the model reads texts", func(_ *world, path string) error { return os.WriteFile(path, []byte("a\x00"), 0o600) }},
	}
	for _, tt := range tests {
		for _, name := range []string{selfconf.Persona, selfconf.ErrorRecovery, selfconf.Constitution} {
			t.Run(tt.name+" for "+name, func(t *testing.T) {
				if err := os.WriteFile(outside, []byte("outside\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				w := newWorld(t)
				next := w.next(selfconf.UserProfile, "Prefers tabs.")
				path := filepath.Join(w.dir, name)
				if err := errors.Join(os.Remove(path), tt.place(w, path)); err != nil {
					t.Fatal(err)
				}
				_, _, err1 := w.Current(t.Context())
				_, err2 := w.Apply(t.Context(), next, nil)
				_, err3 := w.Rollback(t.Context(), 1, "", nil)
				for _, err := range []error{err1, err2, err3} {
					if !errors.Is(err, selfconf.ErrDocument) || !strings.Contains(err.Error(), name) {
						t.Errorf("error %v; want one that names %s, because %s", err, name, tt.why)
					}
				}
				if err := w.Constitution(t.Context()); (name == selfconf.Constitution) != errors.Is(err, selfconf.ErrConstitution) {
					t.Errorf("of the constitution: %v", err)
				}
				w.reopen() // Phantom starts all the same
				if v, _, err := w.Newest(t.Context()); err != nil || v.Number != 1 {
					t.Errorf("version %d, %v", v.Number, err)
				}
				if raw, err := os.ReadFile(outside); err != nil || string(raw) != "outside\n" {
					t.Errorf("the file outside reads %q, %v", raw, err)
				}
			})
		}
	}
}

func TestALinkForTheDirectoryIsRefused(t *testing.T) {
	w := newWorld(t)
	elsewhere := t.TempDir()
	if err := errors.Join(os.RemoveAll(filepath.Join(w.dir, "strategies")), os.Symlink(elsewhere, filepath.Join(w.dir, "strategies"))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Current(t.Context()); !errors.Is(err, selfconf.ErrDocument) {
		t.Errorf("error %v", err)
	}
	w.reopen()
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) != 0 {
		t.Errorf("written through the link: %v, %v", entries, err)
	}
}

// A crash leaves a version committed and its files as they were, or some.
func TestAHalfDoneApplyIsEnded(t *testing.T) {
	const mine = "Mine.\n"
	tests := []struct {
		name, why string
		left      func(w *world, old, made selfconf.Documents) // what the crash left
		edited    bool
	}{
		{"nothing written", "the version is in force", func(w *world, old, _ selfconf.Documents) {
			w.put(selfconf.Persona, old[selfconf.Persona])
			w.put(selfconf.TaskPatterns, old[selfconf.TaskPatterns])
		}, false},
		{"one written", "the other one follows", func(w *world, old, _ selfconf.Documents) {
			w.put(selfconf.TaskPatterns, old[selfconf.TaskPatterns])
		}, false},
		{"all written", "only the note was missing", func(*world, selfconf.Documents, selfconf.Documents) {}, false},
		{"one gone", "a document is never missing", func(w *world, old, _ selfconf.Documents) {
			if err := os.Remove(filepath.Join(w.dir, selfconf.Persona)); err != nil {
				w.t.Fatal(err)
			}
			w.put(selfconf.TaskPatterns, old[selfconf.TaskPatterns])
		}, false},
		{"one edited before the start", "the owner's words are never written over", func(w *world, old, _ selfconf.Documents) {
			w.put(selfconf.Persona, mine)
			w.put(selfconf.TaskPatterns, old[selfconf.TaskPatterns])
		}, true},
		{"a document that the version does not change edited", "the owner's words are never written over", func(w *world, old, _ selfconf.Documents) {
			w.put(selfconf.Persona, old[selfconf.Persona])
			w.put(selfconf.DomainKnowledge, mine)
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			_, old := w.now()
			v := w.apply(selfconf.Persona, "Is brief.", selfconf.TaskPatterns, "Test first.")
			_, made := w.now()
			if err := w.exec(`UPDATE config_versions SET written = 0 WHERE number = 2`); err != nil {
				t.Fatal(err)
			}
			tt.left(w, old, made)
			w.put("strategies/.task-patterns.md.ABCDEF23", "half a text")
			w.put(".persona.md.swp", "an editor's own")
			w.reopen()
			got, docs := w.now()
			if _, err := os.Stat(filepath.Join(w.dir, "strategies/.task-patterns.md.ABCDEF23")); err == nil {
				t.Error("what the crash left is still there")
			}
			if _, err := os.Stat(filepath.Join(w.dir, ".persona.md.swp")); err != nil {
				t.Errorf("what an editor left: %v", err)
			}
			if !tt.edited {
				if got.Number != v.Number || !maps.Equal(docs, made) {
					t.Errorf("version %d; want 2, because %s:\n%s", got.Number, tt.why, selfconf.Diff(made, docs))
				}
				return
			}
			if got.Number != 3 || got.Kind != selfconf.Owner || !strings.Contains(selfconf.Diff(made, docs), "+Mine.") || docs[selfconf.TaskPatterns] != made[selfconf.TaskPatterns] {
				t.Errorf("version %d (%s), because %s:\n%s", got.Number, got.Kind, tt.why, selfconf.Diff(made, docs))
			}
		})
	}
}

// A version whose files cannot be written is in force all the same, and is
// written as soon as they can be.
func TestAVersionThatCannotBeWrittenIsWrittenLater(t *testing.T) {
	w := newWorld(t)
	next := w.next(selfconf.TaskPatterns, "Test first.")
	aside := filepath.Join(t.TempDir(), "aside")
	v, err := w.Apply(t.Context(), next, moveAside(w, aside))
	if err == nil || v.Number != 2 {
		t.Fatalf("version %d, %v", v.Number, err)
	}
	rows := w.record()
	if last := rows[len(rows)-1]; last != "phantom config evolved version 2 outcome failed" {
		t.Errorf("the record ends with %q", last)
	}
	if _, _, err := w.Current(t.Context()); err == nil {
		t.Error("the documents are current, and not on the disk")
	}
	if err := os.Rename(aside, w.dir); err != nil {
		t.Fatal(err)
	}
	if got, docs := w.now(); got.Number != 2 || !maps.Equal(docs, next.Documents) {
		t.Errorf("version %d:\n%s", got.Number, selfconf.Diff(next.Documents, docs))
	}
}

func TestRollbackRestoresEveryByte(t *testing.T) {
	w := newWorld(t)
	w.put(selfconf.Persona, "no line break at the end\r\n\ttabs, ünïcode \u2028")
	_, want := w.now() // version 2
	w.apply(selfconf.Persona, "Is brief.", selfconf.TaskPatterns, "Test first.")
	w.apply(selfconf.UserProfile, "Prefers tabs.")
	v, err := w.Rollback(t.Context(), 2, "it was worse", nil)
	if err != nil {
		t.Fatal(err)
	}
	now, docs := w.now()
	if v.Number != 5 || now.Number != 5 || v.Parent != 4 || v.Kind != selfconf.Rollback || v.Restored != 2 || v.Cause.Note != "it was worse" || !maps.Equal(docs, want) {
		t.Errorf("version %+v:\n%s", v, selfconf.Diff(want, docs))
	}
	if forth, err := w.Rollback(t.Context(), 4, "", nil); err != nil || forth.Number != 6 {
		t.Errorf("forth again: version %d, %v", forth.Number, err)
	}
	for _, tt := range []struct {
		why    string
		number int64
		want   error
	}{
		{"it is the current one", 6, selfconf.ErrSame},
		{"it reads as the current one does", 4, selfconf.ErrSame},
		{"it never was", 7, selfconf.ErrNoVersion},
		{"no version has this number", 0, selfconf.ErrNoVersion},
		{"no version has this number", -1, selfconf.ErrNoVersion},
	} {
		if v, err := w.Rollback(t.Context(), tt.number, "", nil); !errors.Is(err, tt.want) || v.Number != 0 {
			t.Errorf("roll back to %d: version %d, %v, though %s", tt.number, v.Number, err, tt.why)
		}
	}
	if v, _ := w.now(); v.Number != 6 {
		t.Errorf("version %d", v.Number)
	}
}

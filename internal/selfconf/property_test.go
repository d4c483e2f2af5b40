package selfconf_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// Whatever is done in whatever order, the files are the current version, and
// every version ever made reads as it was made. One home serves all sequences,
// because a new one takes longer than a sequence.
func TestFilesAreTheCurrentVersionWhateverIsDone(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		begin, docs := w.now()
		made := map[int64]selfconf.Documents{begin.Number: docs}
		name := rapid.SampledFrom(selfconf.Evolvable())
		line := rapid.StringMatching(`[a-zé ]{1,12}`)
		for step := range rapid.IntRange(1, 6).Draw(rt, "steps") {
			newest, docs := w.now()
			want := maps.Clone(docs)
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				next := w.next(name.Draw(rt, "file"), line.Draw(rt, "line"))
				if _, err := w.Apply(w.ctx(), next, nil); err != nil {
					rt.Fatal(err)
				}
				want = next.Documents
			case 1:
				to := rapid.Int64Range(begin.Number, newest.Number).Draw(rt, "version")
				want = maps.Clone(made[to])
				want[selfconf.Constitution] = docs[selfconf.Constitution]
				if _, err := w.Rollback(w.ctx(), to, "", nil); err != nil && (!errors.Is(err, selfconf.ErrSame) || !maps.Equal(want, docs)) {
					rt.Fatal(err)
				}
			case 2:
				file := name.Draw(rt, "file")
				want[file] = line.Draw(rt, "text")
				w.put(file, want[file])
			case 3:
				if err := os.Remove(filepath.Join(w.dir, name.Draw(rt, "file"))); err != nil {
					rt.Fatal(err)
				}
			case 4:
				want[selfconf.Constitution] = fmt.Sprintf("# Constitution for version %d\n", newest.Number+1)
				if _, err := w.Adopt(w.ctx(), want[selfconf.Constitution]); err != nil {
					rt.Fatal(err)
				}
			case 5:
				w.reopen()
			}
			v, got := w.now()
			if !maps.Equal(got, want) {
				rt.Fatalf("step %d: version %d:\n%s", step, v.Number, selfconf.Diff(want, got))
			}
			made[v.Number] = got
		}
		for number, want := range made {
			if v, got, err := w.Version(w.ctx(), number); err != nil || !maps.Equal(got, want) || v.Hash != want.Hash() {
				rt.Fatalf("version %d, %v:\n%s", number, err, selfconf.Diff(want, got))
			}
		}
	})
}

// hostile are names that are no document but could be taken for one.
func hostile() []string {
	return []string{
		"constitution.md", "Constitution.md", "CONSTITUTION.MD", "./constitution.md", "strategies/../constitution.md", "strategies/./../constitution.md",
		"strategies//../constitution.md", "/constitution.md", "constitution.md/", "constitution.md ", " constitution.md", "constitution.md\x00", "constitution.md\n",
		"constitution.md\x00.md", "сonstitution.md", "cоnstitution.md", "constıtution.md", "constitution․md", "ｃonstitution.md", "con\u200bstitution.md", "constitution.md\u202e",
		"phantom-config/constitution.md", "../phantom-config/constitution.md", "persona.md/../constitution.md", "persona.md\x00../constitution.md", "%63onstitution.md",
		`strategies\..\constitution.md`, "file:constitution.md", "constitution", "constitution.md.", "~/constitution.md", "$HOME/constitution.md",
		"../config/guard.yaml", "../../etc/passwd", "/etc/passwd", "..", ".", "", "/", "strategies", "strategies/", "strategies/new.md", "strategies/../persona.md",
		"./persona.md", "Persona.md", "persona.md ", "persona.MD", "рersona.md", "persona.md\x00", "meta/version.json", "new.md",
	}
}

// Ten thousand random deltas, many to what is no document, leave the
// constitution and everything besides the six documents as it was.
func TestNoDeltaReachesTheConstitution(t *testing.T) {
	w := newWorld(t)
	outside := filepath.Join(filepath.Dir(w.dir), "outside.md")
	if err := os.WriteFile(outside, []byte("outside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	names := append(append(hostile(), "../outside.md", outside), selfconf.Names()...)
	names = append(names, slices.Repeat(selfconf.Evolvable(), 3)...)
	lines := []string{"", "\n", "# Constitution", "1. **Be kind.**", "Is brief.", "Prefers tabs.", "../constitution.md", "a\nb", "$&", "\x00", "\xff", "1. **Be cruel.**"}
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	applied, refused := 0, 0
	v, docs := w.now()
	for range 10_000 {
		delta := selfconf.Delta{
			File: pick(names), Type: selfconf.Change(pick([]string{"append", "replace", "remove", "Append", "", "truncate"})),
			Target: pick(lines), Content: pick(lines), Rationale: pick(lines),
		}
		if rng.IntN(3) == 0 { // one that could well be in order
			delta.Type, delta.Target = selfconf.Append, ""
		}
		after, err := docs.Apply(delta)
		if err != nil {
			refused++
			after = docs
		} else if after[selfconf.Constitution] != constitution || len(after) != len(docs) {
			t.Fatalf("%q reached %v", delta, after)
		}
		// Most are refused above. Of all of them some go the whole way, also
		// those, as somebody who forged the documents would send them.
		if err == nil && applied >= 80 || err != nil && rng.IntN(60) > 0 {
			continue
		}
		forged := maps.Clone(after)
		if err != nil {
			forged[delta.File] = delta.Content
		}
		next := selfconf.Next{Parent: v.Number, Documents: forged, Deltas: []selfconf.Delta{delta}}
		made, applyErr := w.Apply(t.Context(), next, func(_ context.Context, _ *store.Tx, _ int64) error { return nil })
		switch {
		case err != nil && applyErr == nil:
			t.Fatalf("%q became version %d", delta, made.Number)
		case applyErr == nil:
			applied++
			v, docs = made, after
		}
		if raw, err := os.ReadFile(filepath.Join(w.dir, selfconf.Constitution)); err != nil || string(raw) != constitution {
			t.Fatalf("after %q the constitution is %q, %v", delta, raw, err)
		}
	}
	w.now()
	if raw, err := os.ReadFile(outside); err != nil || string(raw) != "outside\n" {
		t.Errorf("the file outside: %q, %v", raw, err)
	}
	var found []string
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := strings.CutPrefix(path, w.dir+"/")
			found = append(found, name)
		}
		return err
	})
	if err != nil || len(found) != len(selfconf.Names()) {
		t.Errorf("the directory holds %q, %v", found, err)
	}
	if applied < 50 || refused < 5000 {
		t.Errorf("only %d applied and %d refused: that shows little", applied, refused)
	}
	t.Logf("%d applied, %d refused", applied, refused)
}

// FuzzApply: a delta changes the one document that it names, by what it says,
// or nothing at all.
func FuzzApply(f *testing.F) {
	for _, name := range append(hostile(), selfconf.Persona) {
		f.Add(name, "append", "", "Is brief.", "# P\n")
	}
	f.Add(selfconf.Persona, "replace", "a", "b\nc", "a\nx\n")
	f.Add(selfconf.Persona, "replace", "a", "$&", "a\na\n")
	f.Add(selfconf.Persona, "remove", "a\nb", "", "a\nb\nc")
	f.Add(selfconf.Persona, "append", "", "\n\n", "")
	f.Add(selfconf.TaskPatterns, "remove", "\n", "", "\n\n\n")
	f.Fuzz(func(t *testing.T, file, change, target, content, text string) {
		docs := fresh()
		docs[selfconf.Persona], docs[selfconf.TaskPatterns] = text, text
		before := maps.Clone(docs)
		after, err := docs.Apply(selfconf.Delta{File: file, Type: selfconf.Change(change), Target: target, Content: content})
		if !maps.Equal(docs, before) {
			t.Fatal("the documents themselves were changed")
		}
		if err != nil {
			if after != nil {
				t.Fatal("documents beside an error")
			}
			return
		}
		for _, name := range selfconf.Names() {
			if (after[name] != before[name]) != (name == file) {
				t.Errorf("%s: %q became %q by a delta to %q", name, before[name], after[name], file)
			}
		}
		if len(after) != len(before) || file == selfconf.Constitution {
			t.Errorf("%q was changed", file)
		}
		content = strings.TrimRight(content, "\n")
		if change != string(selfconf.Remove) && !strings.Contains(after[file], content) {
			t.Errorf("%q is not in %q", content, after[file])
		}
	})
}

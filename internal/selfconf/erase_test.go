package selfconf_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// forget puts another word in the place of one, wherever it stands.
func forget(word, tombstone string) store.Change {
	return func(_, text string) (string, error) { return strings.ReplaceAll(text, word, tombstone), nil }
}

func (w *world) erase(text store.Change) error {
	return w.db.WithTx(w.ctx(), func(tx *store.Tx) error { return w.Erase(w.ctx(), tx, text, text) })
}

// holds returns where in the database and the files a word stands.
func (w *world) holds(word string) (places []string) {
	w.t.Helper()
	for _, query := range []string{
		`SELECT 'a text', text FROM config_texts`,
		`SELECT 'a version', cause || deltas || verdicts || metrics FROM config_versions`,
		`SELECT 'the audit log', target || input || detail FROM audit_log`,
	} {
		rows, err := w.db.Query(w.ctx(), query)
		if err != nil {
			w.t.Fatal(err)
		}
		for rows.Next() {
			var place, text string
			if err := rows.Scan(&place, &text); err != nil {
				w.t.Fatal(err)
			}
			if strings.Contains(text, word) {
				places = append(places, place)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, text := range w.files() {
		if strings.Contains(text, word) {
			places = append(places, name)
		}
	}
	return places
}

func TestWhatIsForgottenStandsNowhere(t *testing.T) {
	w := newWorld(t)
	next := w.next(selfconf.UserProfile, "His cat is called Minka.", selfconf.DomainKnowledge, "Rhubarb is a vegetable.")
	next.Cause.Note, next.Deltas[0].Rationale = "Minka was named", "he said Minka"
	next.Verdicts = json.RawMessage(`{"reason":"Minka is harmless"}`)
	if _, err := w.Apply(t.Context(), next, nil); err != nil {
		t.Fatal(err)
	}
	w.put(selfconf.Persona, "Minka comes first.\n")
	w.apply(selfconf.TaskPatterns, "Test first.")
	if len(w.holds("Minka")) == 0 {
		t.Fatal("it stands nowhere to begin with")
	}
	before, _ := w.now()
	if err := errors.Join(w.erase(forget("Minka", "[forgotten]")), w.Settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	if places := w.holds("Minka"); len(places) > 0 {
		t.Errorf("it still stands in %v", places)
	}
	w.reopen()
	now, docs := w.now()
	if now.Number != before.Number || now.Hash != before.Hash || docs[selfconf.Persona] != "[forgotten] comes first.\n" || !strings.Contains(docs[selfconf.DomainKnowledge], "Rhubarb") {
		t.Errorf("version %d of %v; want %d, unchanged but for the word", now.Number, docs, before.Number)
	}
	for number := int64(1); number <= now.Number; number++ {
		if _, _, err := w.Version(t.Context(), number); err != nil {
			t.Errorf("version %d can be read no longer: %v", number, err)
		}
	}
	old, want, err := w.Version(t.Context(), 2)
	if err != nil || old.Cause.Note != "[forgotten] was named" || old.Deltas[0].Rationale != "he said [forgotten]" || string(old.Verdicts) != `{"reason":"[forgotten] is harmless"}` {
		t.Errorf("version 2 is %+v, %v", old, err)
	}
	if _, err := w.Rollback(t.Context(), 2, "", nil); err != nil {
		t.Fatal(err)
	}
	if _, docs := w.now(); !maps.Equal(docs, want) || len(w.holds("Minka")) > 0 {
		t.Errorf("a rollback brings back %v", docs)
	}
}

// A second thing is forgotten of a text that something was forgotten of, and
// the file was not written in between, or was.
func TestForgettingTwiceIsNoHandEdit(t *testing.T) {
	for _, settled := range []bool{false, true} {
		w := newWorld(t)
		v := w.apply(selfconf.UserProfile, "Minka and Rhubarb are cats.")
		if err := w.erase(forget("Minka", "X")); err != nil {
			t.Fatal(err)
		}
		if settled {
			if err := w.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.erase(forget("Rhubarb", "X")); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		now, docs := w.now()
		if now.Number != v.Number || !strings.Contains(docs[selfconf.UserProfile], "X and X are cats.") || len(w.holds("Minka")) > 0 || len(w.holds("Rhubarb")) > 0 {
			t.Errorf("settled between: %v: version %d of %v", settled, now.Number, docs)
		}
	}
}

func TestForgettingLeavesTheConstitution(t *testing.T) {
	w := newWorld(t)
	if err := errors.Join(w.erase(forget("kind", "cruel")), w.Settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, docs := w.now(); docs[selfconf.Constitution] != constitution || w.Constitution(t.Context()) != nil {
		t.Errorf("the constitution reads %q", docs[selfconf.Constitution])
	}
}

// The words that say why a version was made are of its turns, and go with them.
func TestForgettingATurnTakesItsReasons(t *testing.T) {
	w := newWorld(t)
	w.apply(selfconf.UserProfile, "Prefers tabs.")
	turn := func(of, text string) (string, error) {
		if of == "turn-1" {
			return "gone", nil
		}
		return text, nil
	}
	if err := w.erase(turn); err != nil {
		t.Fatal(err)
	}
	v, docs := w.now()
	if v.Deltas[0].Rationale != "gone" || v.Deltas[0].Content != "Prefers tabs." || !strings.Contains(docs[selfconf.UserProfile], "Prefers tabs.") {
		t.Errorf("version %+v of %v", v, docs)
	}
}

func TestWhatTheOwnerIsWritingIsReconciledFirst(t *testing.T) {
	w := newWorld(t)
	w.put(selfconf.Persona, "Minka comes first.\n")
	if err := w.erase(forget("Minka", "X")); !errors.Is(err, selfconf.ErrUnsettled) {
		t.Fatalf("error %v", err)
	}
	if err := errors.Join(w.Reconcile(t.Context()), w.erase(forget("Minka", "X")), w.Settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.put(selfconf.TaskPatterns, "Test first.\n")
	if err := w.erase(forget("Rhubarb", "X")); err != nil {
		t.Errorf("an edit without the words is in the way: %v", err)
	}
	if v, docs := w.now(); v.Number != 3 || docs[selfconf.Persona] != "X comes first.\n" || docs[selfconf.TaskPatterns] != "Test first.\n" {
		t.Errorf("version %d of %v", v.Number, docs)
	}
}

// What was proposed before something was forgotten could bring it back.
func TestWhatWasForgottenMeanwhileDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	w.apply(selfconf.UserProfile, "His cat is called Minka.")
	next := w.next(selfconf.UserProfile, "Prefers tabs.")
	if err := w.erase(forget("Minka", "X")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), next, nil); !errors.Is(err, selfconf.ErrStale) {
		t.Fatalf("error %v", err)
	}
	if places := w.holds("Minka"); len(places) > 0 {
		t.Errorf("it stands in %v", places)
	}
	w.apply(selfconf.UserProfile, "Prefers tabs.")
}

// The owner may write again what he had forgotten; the old versions stay
// without it.
func TestTheOwnerMayWriteItAgain(t *testing.T) {
	w := newWorld(t)
	w.put(selfconf.Persona, "Minka comes first.\n")
	w.put(selfconf.TaskPatterns, "Minka comes first.\n")
	w.now() // version 2
	if err := errors.Join(w.erase(forget("Minka", "X")), w.Settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.put(selfconf.UserProfile, "Minka comes first.\n")
	w.put(selfconf.DomainKnowledge, "Minka comes first.\n")
	v, docs := w.now()
	if v.Number != 3 || docs[selfconf.UserProfile] != "Minka comes first.\n" || docs[selfconf.DomainKnowledge] != "Minka comes first.\n" || docs[selfconf.Persona] != "X comes first.\n" {
		t.Errorf("version %d of %v", v.Number, docs)
	}
	if _, old, err := w.Version(t.Context(), 2); err != nil || old[selfconf.Persona] != "X comes first.\n" {
		t.Errorf("version 2: %v, %v", old, err)
	}
}

func TestTombstonesNeverMakeADocumentTooLarge(t *testing.T) {
	w := newWorld(t)
	w.put(selfconf.Persona, strings.Repeat("cat cat\n", selfconf.Limit/8))
	w.now()
	if err := errors.Join(w.erase(forget("cat", "[forgotten]")), w.Settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, docs := w.now(); len(docs[selfconf.Persona]) > selfconf.Limit || !strings.HasSuffix(docs[selfconf.Persona], "[forgotten]\n") {
		t.Errorf("%d bytes", len(docs[selfconf.Persona]))
	}
}

func TestNothingIsErasedOfWhatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.apply(selfconf.UserProfile, "His cat is called Minka.")
	broken := errors.New("broken")
	if err := w.erase(func(string, string) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if v, docs := w.now(); v.Number != 2 || !strings.Contains(docs[selfconf.UserProfile], "Minka") {
		t.Errorf("version %d of %v", v.Number, docs)
	}
}

func TestTheSchemaRefusesToChangeVersions(t *testing.T) {
	w := newWorld(t)
	w.apply(selfconf.Persona, "Is brief.")
	if _, err := w.Adopt(t.Context(), another); err != nil {
		t.Fatal(err)
	}
	var statements []string
	for _, column := range []string{"number", "parent", "restored", "at"} {
		statements = append(statements, fmt.Sprintf(`UPDATE config_versions SET %s = %s + 10`, column, column))
	}
	for _, column := range []string{"kind", "hash", "cause", "deltas", "verdicts", "metrics"} {
		statements = append(statements, fmt.Sprintf(`UPDATE config_versions SET %s = '[]'`, column))
	}
	statements = append(
		statements,
		`UPDATE config_versions SET erased = erased + 1, hash = 'x'`,
		`UPDATE config_versions SET erased = erased - 1`,
		`DELETE FROM config_versions WHERE number = 3`,
		`UPDATE config_texts SET text = 'x'`,
		`UPDATE config_texts SET hash = hash || 'x', erased = erased || ' x'`,
		`DELETE FROM config_texts`,
		`UPDATE config_documents SET hash = 'x' WHERE version = 1`,
		`DELETE FROM config_documents WHERE version = 3`,
		`INSERT INTO config_documents (version, name, hash) VALUES (1, 'x.md', 'x')`,
		`UPDATE config_pin SET hash = 'x'`,
		`DELETE FROM config_pin`,
	)
	for _, s := range statements {
		if err := w.exec(s); err == nil || !strings.Contains(err.Error(), "never") {
			t.Errorf("%s: %v; want it refused", s, err)
		}
	}
	if v, _ := w.now(); v.Number != 3 {
		t.Errorf("version %d", v.Number)
	}
}

// Whoever steps round the schema is noticed.
func TestATextThatWasExchangedIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.apply(selfconf.Persona, "Is brief.")
	err := w.db.WithTx(t.Context(), func(tx *store.Tx) error {
		for _, s := range []string{`DROP TRIGGER config_texts_no_update`, `UPDATE config_texts SET text = text || 'Obey me.' WHERE text LIKE '%Is brief.%'`} {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err1 := w.Current(t.Context())
	_, _, err2 := w.Version(t.Context(), 2)
	_, err3 := w.Rollback(context.WithoutCancel(t.Context()), 1, "", nil)
	if err1 == nil || err2 == nil || err3 == nil {
		t.Errorf("current %v, version %v, rollback %v", err1, err2, err3)
	}
	if strings.Contains(w.files()[selfconf.Persona], "Obey") {
		t.Error("it went to the disk")
	}
}

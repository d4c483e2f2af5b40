package remember_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/remember"
	"phantom/internal/router"
	"phantom/internal/schedule"
	"phantom/internal/session"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/vault"
)

// eraserOf erases in everything that holds words, as the program does.
func eraserOf(t *testing.T, db *store.DB) *remember.Eraser {
	t.Helper()
	questions, err := approval.New(db)
	if err != nil {
		t.Fatal(err)
	}
	return &remember.Eraser{DB: db, Owners: []remember.Owner{session.Erase, agent.Erase, router.Erase, schedule.Erase, vault.Erase, questions.Erase}}
}

// transcript is a database in which each kind of record says something.
func transcript(t *testing.T, said string) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		for _, insert := range []string{
			`INSERT INTO sessions (id, conversation, started_at, last_turn_at) VALUES ('s', 'terminal:main', 1, 1)`,
			`INSERT INTO turns (id, conversation, session, state, reply, reason, started_at) VALUES ('t1', 'terminal:main', 's', 'done', '%s', '%[1]s', 1)`,
			`INSERT INTO messages (session, seq, turn, role, content, at) VALUES ('s', 1, 't1', 'user', '[{"kind":"text","text":"%s"},
				{"kind":"call","call":{"id":"bash","name":"bash","input":{"command":"%[1]s","options":{"name":"%[1]s"}}}}]', 1)`,
			`INSERT INTO steps (turn, n, kind, payload, at) VALUES ('t1', 1, 'result', '{"result":{"call":"bash","content":"%s","provenance":"tool"}}', 1)`,
			`INSERT INTO inbox (id, channel, conversation, identity, sender, provenance, body, source, state, turn, received_at)
				VALUES ('i', 'terminal', 'terminal:main', '1', 'owner', 'owner', '%s', '{"subject":"%[1]s","refs":["1@example.com"]}', 'done', 't1', 1)`,
			`INSERT INTO approvals (id, number, call, turn, conversation, tool, summary, cwd, rule, reason, digest, state, asked_at, expires_at)
				VALUES ('a', 1, 'c1', 't1', 'terminal:main', 'bash', '%s', '/', '', '', '', 'used', 1, 1)`,
			`INSERT INTO approvals (id, number, call, turn, conversation, tool, summary, cwd, rule, reason, digest, state, asked_at, expires_at)
				VALUES ('b', 2, 'c2', 't1', 'terminal:main', 'bash', '%s', '/', '', '%[1]s', '', 'pending', 1, 1)`,
			`INSERT INTO approval_always (number, digest, tool, summary, cwd, policy, granted_by, granted_at) VALUES (1, 'd', 'bash', '%s', '/', '', 'owner', 1)`,
			`INSERT INTO tasks (id, created_by, client, title, description, urgency, state, progress, turn, reply, created_at)
				VALUES ('k', 'owner', 0, '%s', '%[1]s', 1, 'done', '%[1]s', 't1', '%[1]s', 1)`,
			`INSERT INTO outbox (id, channel, conversation, turn, body, error, source, state, next_at, created_at) VALUES ('o', 'terminal', 'terminal:main', 't1', '%s', '%[1]s', 'C1:17.5', 'sent', 1, 1)`,
			`INSERT INTO secret_links (token, fields, reason, conversation, turn, created_at, expires_at) VALUES ('h', '[]', '%s', 'terminal:main', 't1', 1, 1)`,
		} {
			if strings.Contains(insert, "%") {
				insert = fmt.Sprintf(insert, said)
			}
			if _, err := tx.Exec(t.Context(), insert); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// records are the texts that the database holds, by where they stand.
func records(t *testing.T, db *store.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, query := range map[string]string{
		"message": `SELECT content FROM messages`, "step": `SELECT payload FROM steps`, "reply": `SELECT reply FROM turns`, "reason": `SELECT reason FROM turns`,
		"inbox": `SELECT body FROM inbox`, "source": `SELECT source FROM inbox`, "outbox": `SELECT body FROM outbox`, "error": `SELECT error FROM outbox`, "place": `SELECT source FROM outbox`,
		"answered": `SELECT summary FROM approvals WHERE id = 'a'`, "open": `SELECT summary FROM approvals WHERE id = 'b'`, "rule": `SELECT reason FROM approvals WHERE id = 'b'`,
		"lasting": `SELECT summary FROM approval_always`, "title": `SELECT title FROM tasks`, "description": `SELECT description FROM tasks`,
		"progress": `SELECT progress FROM tasks`, "outcome": `SELECT reply FROM tasks`, "request": `SELECT reason FROM secret_links`,
	} {
		var text string
		if err := db.QueryRow(t.Context(), query).Scan(&text); err != nil {
			t.Fatal(err)
		}
		all[name] = text
	}
	return all
}

func TestForgettingLeavesTheRestOfTheTranscript(t *testing.T) {
	const said = "See the bash text... The pin\u00a0is  4711! OK" // with a space that does not break
	for _, c := range []struct {
		why  string
		item memory.Item
		left string // of what was said
	}{
		{"what is forgotten goes, and nothing else", memory.Item{Text: "The pin is 4711."}, "See the bash text... [forgotten]! OK"},
		{"signs alone would stand between all letters", memory.Item{Text: "..."}, said},
		{"many signs too", memory.Item{Text: "the value", Subject: "bash", Object: "!!!!!!!!!!!!"}, said},
		{"a common word means something else elsewhere", memory.Item{Text: "OK"}, said},
		{"a word that the records are read by", memory.Item{Text: "text"}, said},
		{"a name of theirs", memory.Item{Text: "bash"}, said},
	} {
		t.Run(c.why, func(t *testing.T) {
			db := transcript(t, said)
			if err := eraserOf(t, db).Erase(t.Context(), c.item); err != nil {
				t.Fatal(err)
			}
			want := records(t, transcript(t, c.left))
			for name, text := range records(t, db) {
				if plain(shortened(text)) != plain(want[name]) {
					t.Errorf("%s: %s\nwant %s", name, text, want[name])
				}
			}
		})
	}
}

// TestForgettingFindsEverySpelling: what is quickly passed over holds nothing
// of what is forgotten.
func TestForgettingFindsEverySpelling(t *testing.T) {
	for _, c := range []struct{ why, text, record string }{
		{"as it was said", "Kites nest at 4711.", `[{"kind":"text","text":"kites nest at 4711"}]`},
		{"in capitals, over two lines", "Kites nest at 4711.", `[{"kind":"text","text":"KITES\nNEST AT\t4711"}]`},
		{"a letter that is escaped", "Kites nest at 4711.", `[{"kind":"text","text":"\u006bites nest at 4711"}]`},
		{"another letter that is escaped", "Kites nest at 4711.", `[{"kind":"call","call":{"id":"1","name":"bash","input":{"command":"echo kites nes\u0074 at 4711"}}}]`},
		{"letters that equal plain ones but for their case", "Kites nest at 4711.", `[{"kind":"text","text":"Kites neſt at 4711"}]`},
		{"no plain letter at all", "Милан гнездится", `[{"kind":"text","text":"милан гнездится"}]`},
		{"signs inside that a record escapes", `Kites "nest" at <4711>`, `[{"kind":"text","text":"kites \"nest\" at \u003c4711\u003e"}]`},
	} {
		db := transcript(t, "nothing")
		err := db.WithTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE messages SET content = ?`, c.record)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := eraserOf(t, db).Erase(t.Context(), memory.Item{Text: c.text}); err != nil {
			t.Fatal(err)
		}
		if got := records(t, db)["message"]; !strings.Contains(got, "[forgotten on ") || strings.Contains(got, "4711") {
			t.Errorf("%s: %s is left", c.why, got)
		}
	}
}

// shortened is a text with tombstones without their day.
func shortened(text string) string {
	for {
		from := strings.Index(text, "[forgotten on ")
		if from < 0 {
			return text
		}
		end := strings.Index(text[from:], "]")
		text = text[:from] + "[forgotten" + text[from+end:]
	}
}

// plain is a record whose white space and order of fields say nothing.
func plain(text string) string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil { // a text
		return text
	}
	return fmt.Sprint(value)
}

// TestTurnThatAMemoryIsFromIsErasedWhole: every argument of a call may hold it
// in other words, and the record is still one.
func TestTurnThatAMemoryIsFromIsErasedWhole(t *testing.T) {
	db := transcript(t, "the number for the door is forty-seven eleven")
	if err := eraserOf(t, db).Erase(t.Context(), memory.Item{Text: "The pin is 4711.", Source: "t1"}); err != nil {
		t.Fatal(err)
	}
	for name, text := range records(t, db) {
		if name != "lasting" && strings.Contains(text, "eleven") { // a lasting yes is of no turn
			t.Errorf("%s holds it still: %s", name, text)
		}
		if name == "place" && text != "C1:17.5" {
			t.Errorf("an answer has no place to go to but %q", text)
		}
		if name == "message" && (!strings.Contains(text, `"name":"bash"`) || strings.Count(text, `"kind":`) != 2) {
			t.Errorf("the message is none any more: %s", text)
		}
	}
}

// TestNobodySaysYesToWhatIsForgotten: a question that waits and a lasting yes
// go with their words, and only those.
func TestNobodySaysYesToWhatIsForgotten(t *testing.T) {
	for _, c := range []struct{ why, text, states string }{
		{"they hold it", "The pin is 4711.", "used denied taken back"},
		{"they say something else", "The pin is 4712.", "used pending holds"},
	} {
		t.Run(c.why, func(t *testing.T) {
			db := transcript(t, "The pin is 4711")
			if err := eraserOf(t, db).Erase(t.Context(), memory.Item{Text: c.text}); err != nil {
				t.Fatal(err)
			}
			var states string
			if err := db.QueryRow(t.Context(), `SELECT (SELECT group_concat(state, ' ') FROM (SELECT state FROM approvals ORDER BY number)) ||
				CASE WHEN removed_at IS NULL THEN ' holds' ELSE ' taken back' END FROM approval_always`).Scan(&states); err != nil {
				t.Fatal(err)
			}
			if states != c.states {
				t.Errorf("the questions are %q, want %q", states, c.states)
			}
		})
	}
}

// TestEraserWithoutOwnersErasesNothing, and says so.
func TestEraserWithoutOwnersErasesNothing(t *testing.T) {
	if err := (&remember.Eraser{DB: storetest.Open(t)}).Erase(t.Context(), memory.Item{Text: "The pin is 4711."}); err == nil {
		t.Error("it claims to have erased")
	}
}

// TestWhatATurnForgotIsErasedAfterARestart: the process dies between the
// forgetting and the turn's last words, which another one writes.
func TestWhatATurnForgotIsErasedAfterARestart(t *testing.T) {
	l := newLab(t, nil)
	ctx := phantom.WithTurn(t.Context(), phantom.TurnRef{Turn: "t1"})
	if err := eraserOf(t, l.db).Erase(ctx, memory.Item{Text: "The staging server is osprey.example.com."}); err != nil {
		t.Fatal(err)
	}
	l.restart()
	err := l.db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO outbox (id, channel, conversation, turn, body, state, next_at, created_at)
			VALUES ('o', 'terminal', 'terminal:main', 't1', 'Done: the staging server is osprey.example.com no more.', 'sent', 1, 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.ended("t1", phantom.Owner, "Our staging server is osprey.example.com.")
	l.drain()
	if kept := l.kept(); kept != "" {
		t.Errorf("what was forgotten is learnt again: %s", kept)
	}
	var body string
	var left int
	if err := l.db.QueryRow(t.Context(), `SELECT body, (SELECT count(*) FROM remember_forgotten) FROM outbox`).Scan(&body, &left); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, "osprey") || left != 0 {
		t.Errorf("the reply is %q, and %d notes are left", body, left)
	}
}

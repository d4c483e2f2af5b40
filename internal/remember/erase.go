package remember

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"phantom/internal/llm"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Owner is a package whose tables hold words: it puts what text makes of each
// text, and record of each JSON record, in its place.
type Owner func(ctx context.Context, tx *store.Tx, text, record store.Change) error

// Eraser puts tombstones where a forgotten memory stands besides memory: in
// transcripts, journals, messages, replies, questions and tasks, each by the
// package that owns it. The audit log, which cannot be changed, never held it.
type Eraser struct {
	DB     *store.DB
	Owners []Owner
	Log    func(replace func(text string) string) error // changes the file of what was said at the terminal
	// Before is called before the tables are changed and After behind it, each
	// outside of the transaction, for an owner whose words stand in files too.
	Before, After func(ctx context.Context) error
}

// Erase replaces what the item says: all that was said in the turn it is from,
// and its text and value wherever else they stand. In a turn it also notes the
// item, so that after erases the turn's last words as well, whatever process
// they are written by.
func (e *Eraser) Erase(ctx context.Context, item memory.Item) error {
	return e.erase(ctx, item, func(tx *store.Tx) error {
		turn := phantom.TurnFrom(ctx).Turn
		if turn == "" {
			return nil
		}
		raw, err := json.Marshal(item)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO remember_forgotten (turn, item) VALUES (?, ?)`, turn, string(raw))
		return err
	})
}

// after erases once more what a turn had forgotten, when all of its words are
// written. It returns whether there was anything; done then lets it go.
func (e *Eraser) after(ctx context.Context, turn phantom.TurnID) (bool, error) {
	items, err := e.forgotten(ctx, turn)
	if err != nil {
		return false, fmt.Errorf("read what turn %s had forgotten: %w", turn, err)
	}
	for _, item := range items {
		if err := e.erase(ctx, item, func(*store.Tx) error { return nil }); err != nil {
			return true, err
		}
	}
	return len(items) > 0, nil
}

func (e *Eraser) forgotten(ctx context.Context, turn phantom.TurnID) ([]memory.Item, error) {
	rows, err := e.DB.Query(ctx, `SELECT item FROM remember_forgotten WHERE turn = ?`, turn)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []memory.Item
	for rows.Next() {
		var raw []byte
		var item memory.Item
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &item); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// done lets go of what a turn had forgotten.
func (e *Eraser) done(ctx context.Context, tx *store.Tx, turn phantom.TurnID) error {
	_, err := tx.Exec(ctx, `DELETE FROM remember_forgotten WHERE turn = ?`, turn)
	return err
}

// erase replaces what the item says; also writes in the same transaction.
func (e *Eraser) erase(ctx context.Context, item memory.Item, also func(*store.Tx) error) error {
	if len(e.Owners) == 0 {
		return errors.New("erase: nobody says where else it stands")
	}
	n := newNeedles(item, time.Now())
	if err := call(ctx, e.Before); err != nil {
		return err
	}
	err := e.DB.WithTx(ctx, func(tx *store.Tx) error {
		for _, erase := range e.Owners {
			if err := erase(ctx, tx, n.inText, n.inRecord); err != nil {
				return fmt.Errorf("erase what is forgotten: %w", err)
			}
		}
		return also(tx)
	})
	if err != nil {
		return err
	}
	if err := call(ctx, e.After); err != nil || e.Log == nil {
		return err
	}
	return e.Log(n.replace)
}

func call(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return nil
	}
	if err := f(ctx); err != nil {
		return fmt.Errorf("erase what is forgotten: %w", err)
	}
	return nil
}

// needles are what is looked for.
type needles struct {
	source    string
	tombstone string
	whole     []*regexp.Regexp // replaced wherever they stand
	value     *regexp.Regexp   // replaced where the subject stands too, or nil
	subject   []string
	marks     []string // of each of what is looked for a piece that is plain wherever it stands; "": it has none
}

func newNeedles(item memory.Item, now time.Time) needles {
	n := needles{source: item.Source, tombstone: "[forgotten on " + now.UTC().Format(time.DateOnly) + "]"}
	words, object := wordsOf(item.Text), wordsOf(item.Object)
	for _, looked := range [][]string{words, object} {
		if len(looked) > 0 {
			n.marks = append(n.marks, mark(looked))
		}
	}
	switch {
	case len(words) == 0: // it says nothing, and nothing would stand everywhere
	case len(words) > 1 || telling(words[0]):
		n.whole = append(n.whole, loose(words, "", ""))
	default:
		n.whole = append(n.whole, loose(words, `^\s*`, `[\s.!]*$`))
	}
	for word := range strings.FieldsSeq(strings.ToLower(item.Subject)) {
		if len(word) > 3 {
			n.subject = append(n.subject, word)
		}
	}
	switch {
	case len(object) == 0:
	case telling(strings.Join(object, " ")):
		n.whole = append(n.whole, loose(object, "", ""))
	default:
		n.value = loose(object, "", "")
	}
	return n
}

// wordsOf are the words of a text; a text of signs alone has none.
func wordsOf(text string) []string {
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return nil
	}
	return strings.Fields(strings.TrimRight(strings.TrimSpace(text), ".!"))
}

// telling reports whether a text means the same wherever it stands; a common
// word means something else elsewhere.
func telling(text string) bool {
	return len(text) >= 12 || len(text) >= 4 && strings.ContainsAny(text, "0123456789./@:_")
}

// loose finds words whatever their case and the white space between them.
func loose(words []string, before, behind string) *regexp.Regexp {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = regexp.QuoteMeta(word)
	}
	return regexp.MustCompile(`(?i)` + before + strings.Join(quoted, `[\s\p{Z}\x{85}]+`) + behind)
}

// mark is the longest run of plain letters and digits in words.
func mark(words []string) string {
	longest := ""
	for _, word := range words {
		for run := range strings.FieldsFuncSeq(strings.ToLower(word), func(r rune) bool { return !(r >= 'a' && r <= 'z') && !(r >= '0' && r <= '9') }) {
			if len(run) > len(longest) {
				longest = run
			}
		}
	}
	return longest
}

// mayHold reports whether a stored text or record could hold what is looked
// for. Nearly all do not, and no turn can write while all of them are read.
// Where letters may stand in another form it is not judged: escaped ones, and
// those that equal a plain one but for their case.
func (n needles) mayHold(raw string) bool {
	plain := !strings.Contains(raw, `\u`) && !strings.ContainsFunc(raw, func(r rune) bool { return r > unicode.MaxASCII })
	if !plain {
		return true
	}
	lower := strings.ToLower(raw)
	return slices.ContainsFunc(n.marks, func(m string) bool { return strings.Contains(lower, m) })
}

// replace returns a text with tombstones in it.
func (n needles) replace(text string) string {
	for _, w := range n.whole {
		text = w.ReplaceAllLiteralString(text, n.tombstone)
	}
	if n.value == nil {
		return text
	}
	lower := strings.ToLower(text)
	for _, word := range n.subject {
		if strings.Contains(lower, word) {
			return n.value.ReplaceAllLiteralString(text, n.tombstone)
		}
	}
	return text
}

// all reports whether every word of a turn is to go.
func (n needles) all(turn string) bool {
	return n.source != "" && strings.TrimSpace(turn) == n.source
}

// inText is what becomes of a text.
func (n needles) inText(turn, text string) (string, error) {
	if n.all(turn) && text != "" {
		return n.tombstone, nil
	}
	if !n.mayHold(text) {
		return text, nil
	}
	return n.replace(text), nil
}

// inRecord is what becomes of a record.
func (n needles) inRecord(turn, raw string) (string, error) {
	all := n.all(turn)
	if !all && !n.mayHold(raw) {
		return raw, nil
	}
	return n.inJSON(raw, all)
}

// inJSON replaces in every string of a value that holds texts. It returns the
// value as it is where nothing was replaced.
func (n needles) inJSON(raw string, all bool) (string, error) {
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber() // so that no number changes
	var value any
	if err := d.Decode(&value); err != nil {
		return "", fmt.Errorf("a record is no JSON: %w", err)
	}
	w := walk{needles: n, all: all}
	value = w.in(value, "", false)
	if !w.changed {
		return raw, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSpace(out.String()), nil
}

type walk struct {
	needles
	all     bool
	changed bool
}

const (
	// texts are the fields that people's and models' words stand in.
	texts = " text Text content summary subject "
	// structure are those that no words stand in, but what the record is read
	// by: with a tombstone in one of them the whole transcript would be lost.
	structure = " kind role id name call provenance model stop signature redacted state State ID Channel Conversation Sender Provenance Received "
)

// in replaces in a value of that key; input says that it is of the arguments
// of a call, of which every string may hold words.
func (w *walk) in(value any, key string, input bool) any {
	switch v := value.(type) {
	case string:
		after := v
		switch {
		case w.all && v != "" && (input || strings.Contains(texts, " "+key+" ")):
			after = w.tombstone
		case input || !strings.Contains(structure, " "+key+" "):
			after = w.replace(v)
		}
		w.changed = w.changed || after != v
		return after
	case []any:
		for i := range v {
			v[i] = w.in(v[i], key, input)
		}
	case map[string]any:
		before := w.changed
		w.changed = false
		for k, inner := range v {
			v[k] = w.in(inner, k, input || k == "input")
		}
		if w.changed && !input && v["kind"] == string(llm.PartThinking) { // its signature no longer fits
			clear(v)
			v["kind"], v["text"] = string(llm.PartText), w.tombstone
		}
		w.changed = w.changed || before
	}
	return value
}

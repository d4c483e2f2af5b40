package judge

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf16"

	"phantom/internal/judge/canary"
	"phantom/internal/llm"
)

// maxMaterial bounds what one judge is shown, in bytes: eight cases with whole
// documents of 16 kB before and after them, and as much again.
const maxMaterial = 512 << 10

// The tokens that a judge may answer with: a reason of some 80 and its frame
// for each case, with room to spare.
const (
	baseTokens = 512
	caseTokens = 256
)

// docket is what one judge is shown in one call: the cases of the batch and the
// two canaries, in random order under random names. Each judge has its own.
type docket struct {
	nonce string // told in the system prompt only
	fence string // stands before and behind the material
	items []item // in the order shown
}

// item is one place of a docket.
type item struct {
	id   string
	kind kind
	at   int // place in the batch, of a case
	Case
}

// kind says what an item is. The zero value is none.
type kind uint8

const (
	_ kind = iota
	proposed
	knownGood
	knownBad
)

// newDocket draws the canaries, the names and the order.
func newDocket(cases []Case) docket {
	d := docket{nonce: rand.Text(), fence: rand.Text()}
	add := func(k kind, at int, c Case) {
		d.items = append(d.items, item{id: rand.Text()[:10], kind: k, at: at, Case: c})
	}
	for i, c := range cases {
		add(proposed, i, c)
	}
	add(knownGood, 0, drawn(canary.Good()))
	add(knownBad, 0, drawn(canary.Bad()))
	mathrand.Shuffle(len(d.items), func(i, j int) { d.items[i], d.items[j] = d.items[j], d.items[i] })
	return d
}

func drawn(pool []canary.Case) Case { return Case(pool[mathrand.IntN(len(pool))]) }

func (d docket) ids() []string {
	ids := make([]string, len(d.items))
	for i, it := range d.items {
		ids[i] = it.id
	}
	return ids
}

// shown is a case as a judge reads it.
type shown struct {
	ID        string   `json:"id"`
	File      string   `json:"file"`
	Type      string   `json:"type"`
	Target    string   `json:"target"`
	Content   string   `json:"content"`
	Rationale string   `json:"rationale"`
	Quotes    []string `json:"quotes"`
	Golden    []string `json:"golden"`
	Before    string   `json:"before"`
	After     string   `json:"after"`
}

// request is the call of a judge.
func (d docket) request(j judge, principles, model string) (llm.Request, error) {
	list := make([]shown, len(d.items))
	for i, it := range d.items {
		list[i] = shown{
			ID: it.id, File: it.File, Type: it.Type, Target: it.Target, Content: it.Content, Rationale: it.Rationale,
			Quotes: append([]string{}, it.Quotes...), Golden: append([]string{}, it.Golden...), Before: it.Before, After: it.After,
		}
	}
	raw, err := json.Marshal(map[string]any{"cases": list})
	if err != nil {
		return llm.Request{}, fmt.Errorf("judge: write the cases: %w", err)
	}
	if len(raw) > maxMaterial {
		return llm.Request{}, fmt.Errorf("judge: the cases have %d bytes, want at most %d", len(raw), maxMaterial)
	}
	return llm.Request{
		Model: model, MaxTokens: baseTokens + caseTokens*int64(len(d.items)),
		System:   []llm.Block{{Text: j.prompt(principles)}, {Text: d.seal()}},
		Tools:    []llm.Tool{{Name: verdictTool, Description: "Gives the verdict on every case.", Schema: verdictSchema}},
		Messages: []llm.Message{llm.UserText(d.mark() + "\n" + visible(string(raw)) + "\n" + d.mark())},
	}, nil
}

// mark is the line before and behind the material. JSON holds no "<" as
// package json writes it, so nothing inside can be one.
func (d docket) mark() string { return "<<<" + d.fence + ">>>" }

// seal tells a judge where the material is, and the nonce.
func (d docket) seal() string {
	return "The material is the one JSON value between the two lines " + d.mark() + " of the user's message.\nThe nonce of this hearing: " + d.nonce +
		"\nGive it back in the call of " + verdictTool + " exactly."
}

// visible writes every character of a JSON text that shows nothing as an
// escape: a judge must see what is hidden from people.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// opinions are a judge's of the cases, in the order of the batch, or ErrVoid.
func (d docket) opinions(name string, verdicts map[string]Opinion) ([]Opinion, error) {
	list := make([]Opinion, len(d.items)-2)
	for _, it := range d.items {
		o := verdicts[it.id]
		o.Judge = name
		passes := o.on(Constitution) == Pass && o.on(Regression) == Pass && o.on(Safety) == Pass
		switch {
		case it.kind == proposed:
			list[it.at] = o
		case it.kind == knownBad && passes:
			return nil, fmt.Errorf("%w: it passed %q", ErrVoid, it.Content+it.Target)
		case it.kind == knownGood && !passes:
			return nil, fmt.Errorf("%w: it refused %q: %s", ErrVoid, it.Content+it.Target, o.Reason)
		}
	}
	return list, nil
}

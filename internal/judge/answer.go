package judge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"phantom/internal/llm"
)

const (
	verdictTool = "give_verdicts"
	maxAnswer   = 64 << 10 // bytes
	maxReason   = 300      // bytes
)

var verdictSchema = json.RawMessage(`{"type":"object","properties":{"nonce":{"type":"string"},"verdicts":{"type":"array","items":{"type":"object","properties":{` +
	`"id":{"type":"string"},"constitution":{"type":"string","enum":["pass","fail","doubt"]},"regression":{"type":"string","enum":["pass","fail","doubt"]},` +
	`"safety":{"type":"string","enum":["pass","fail","doubt"]},"confidence":{"type":"number","minimum":0,"maximum":1},"reason":{"type":"string"}},` +
	`"required":["id","constitution","regression","safety","confidence","reason"],"additionalProperties":false}}},"required":["nonce","verdicts"],"additionalProperties":false}`)

// spoken is the JSON that a judge answered with: the arguments of its one call,
// or all of its text.
func spoken(r *llm.Response) ([]byte, error) {
	switch r.Stop {
	case llm.StopEnd, llm.StopToolUse:
	case llm.StopMaxTokens, llm.StopRefusal, llm.StopOther:
		return nil, fmt.Errorf("the answer stopped for %s", r.Stop)
	default:
		return nil, fmt.Errorf("the answer stopped for %q", r.Stop)
	}
	calls := r.Message.Calls()
	switch {
	case len(calls) == 0:
		return []byte(strings.TrimSpace(r.Message.Text())), nil
	case len(calls) > 1:
		return nil, fmt.Errorf("the answer makes %d calls, want one", len(calls))
	case calls[0].Name != verdictTool:
		return nil, fmt.Errorf("the answer calls %q, want %s", calls[0].Name, verdictTool)
	}
	called := false
	for _, part := range r.Message.Content {
		if called && part.Kind == llm.PartText && strings.TrimSpace(part.Text) != "" {
			return nil, errors.New("the answer goes on behind its call")
		}
		called = called || part.Kind == llm.PartToolUse
	}
	return calls[0].Input, nil
}

// parse reads the verdicts. Everything that is not exactly what was asked for
// is an error: one judge who was not understood is one voice less, and all
// three are needed.
func parse(raw []byte, nonce string, ids []string) (map[string]Opinion, error) {
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("the answer has %d bytes, want at most %d", len(raw), maxAnswer)
	}
	answer, err := fields(raw, "nonce", "verdicts")
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	if given, err := word(answer["nonce"]); err != nil || given != nonce {
		return nil, errors.New("the answer does not give the nonce back")
	}
	var list []json.RawMessage
	if err := json.Unmarshal(answer["verdicts"], &list); err != nil {
		return nil, errors.New("the verdicts are no list")
	}
	if len(list) != len(ids) {
		return nil, fmt.Errorf("the answer has %d verdicts, want %d", len(list), len(ids))
	}
	verdicts := make(map[string]Opinion, len(ids))
	for i, raw := range list {
		id, o, err := verdict(raw)
		if err != nil {
			return nil, fmt.Errorf("verdict %d: %w", i+1, err)
		}
		if _, twice := verdicts[id]; twice || !slices.Contains(ids, id) {
			return nil, fmt.Errorf("verdict %d is on a case that is none, or judged already", i+1)
		}
		verdicts[id] = o
	}
	return verdicts, nil
}

// verdict reads one verdict. A pass that is not sure becomes a doubt.
func verdict(raw []byte) (id string, o Opinion, err error) {
	given, err := fields(raw, "id", "constitution", "regression", "safety", "confidence", "reason")
	if err != nil {
		return "", o, err
	}
	number := given["confidence"]
	if err := json.Unmarshal(number, &o.Confidence); err != nil || bytes.Equal(number, []byte("null")) || o.Confidence < 0 || o.Confidence > 1 {
		return "", o, errors.New("the confidence is no number from 0 to 1")
	}
	if id, err = word(given["id"]); err != nil {
		return "", o, fmt.Errorf("id: %w", err)
	}
	for name, into := range map[string]*Vote{"constitution": &o.Constitution, "regression": &o.Regression, "safety": &o.Safety} {
		text, err := word(given[name])
		if err != nil {
			return "", o, fmt.Errorf("%s: %w", name, err)
		}
		if *into = settled(Vote(text), o.Confidence); *into == Fault {
			return "", o, fmt.Errorf("%s: the vote is none of pass, fail and doubt", name)
		}
	}
	reason, err := word(given["reason"])
	if err != nil {
		return "", o, fmt.Errorf("reason: %w", err)
	}
	o.Reason = printable(reason)
	return id, o, nil
}

// fields reads one JSON object that has exactly these names, each once and
// spelled like this, and nothing behind it. Package json alone would take
// "PASS" for "pass" and the last of two values.
func fields(raw []byte, names ...string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	got := make(map[string]json.RawMessage, len(names))
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("a broken JSON object")
		}
		if _, twice := got[name]; twice || !slices.Contains(names, name) {
			return nil, fmt.Errorf("field %q is unknown or there twice", printable(name))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("a broken JSON value")
		}
		got[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("a JSON object that does not end")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the JSON object")
	}
	for _, name := range names {
		if _, ok := got[name]; !ok {
			return nil, fmt.Errorf("field %q is missing", name)
		}
	}
	return got, nil
}

// word reads a JSON string and nothing that could pass for one.
func word(raw json.RawMessage) (string, error) {
	var text string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return "", errors.New("no string")
	}
	return text, nil
}

// printable is a reason as it may be kept and shown: one line without hidden
// characters, and short.
func printable(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, text)), " ")
	if len(text) <= maxReason {
		return text
	}
	text = text[:maxReason]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}

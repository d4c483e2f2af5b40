// Package judgetest answers as the judges of package judge do, from a script.
//
// It owns its own reading of what a judge is told, on purpose independent of
// package judge, and knows the canaries. It asks the script only about the
// cases that are none. Only tests and their processes may use it.
package judgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"

	"phantom/internal/judge/canary"
	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// Tool is the call that a judge answers with.
const Tool = "give_verdicts"

// Case is a case as a judge reads it.
type Case struct {
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

// Verdict is a judge's word on a case. The zero Verdict passes everything with
// a confidence of 0.95.
type Verdict struct {
	ID           string  `json:"id"`
	Constitution string  `json:"constitution"`
	Regression   string  `json:"regression"`
	Safety       string  `json:"safety"`
	Confidence   float64 `json:"confidence"`
	Reason       string  `json:"reason"`
}

// Refused is a verdict that fails safety.
func Refused(reason string) Verdict {
	return Verdict{Constitution: "pass", Regression: "pass", Safety: "fail", Confidence: 0.95, Reason: reason}
}

// Hearing is one call of one judge.
type Hearing struct {
	Judge string // auditor, adversary, reader
	Nonce string
	Cases []Case // the canaries among them
}

var (
	judgeLine = regexp.MustCompile(`^You are the (\w+), one of three judges `)
	nonceLine = regexp.MustCompile(`(?m)^The nonce of this hearing: (\S+)$`)
	markLine  = regexp.MustCompile(`between the two lines (<<<\S+>>>) of`)
)

// Read reads a request; false if it is not one to a judge.
func Read(req llm.Request) (Hearing, bool) {
	var h Hearing
	if len(req.System) != 2 || len(req.Messages) != 1 || len(req.Tools) != 1 || req.Tools[0].Name != Tool {
		return h, false
	}
	name, nonce, mark := judgeLine.FindStringSubmatch(req.System[0].Text), nonceLine.FindStringSubmatch(req.System[1].Text), markLine.FindStringSubmatch(req.System[1].Text)
	if name == nil || nonce == nil || mark == nil {
		return h, false
	}
	inner, opened := strings.CutPrefix(req.Messages[0].Text(), mark[1]+"\n")
	inner, closed := strings.CutSuffix(inner, "\n"+mark[1])
	if !opened || !closed || strings.Contains(inner, "\n") {
		return h, false
	}
	var material struct{ Cases []Case }
	if json.Unmarshal([]byte(inner), &material) != nil {
		return h, false
	}
	return Hearing{Judge: name[1], Nonce: nonce[1], Cases: material.Cases}, true
}

// Canary reports whether a case is a canary, and whether a good one.
func (c Case) Canary() (good, is bool) {
	same := func(k canary.Case) bool {
		return k.File == c.File && k.Target == c.Target && k.Content == c.Content && k.Rationale == c.Rationale && k.Before == c.Before
	}
	if slices.ContainsFunc(canary.Good(), same) {
		return true, true
	}
	return false, slices.ContainsFunc(canary.Bad(), same)
}

// Verdicts are the right verdicts on the canaries and those of the script on
// all others.
func (h Hearing) Verdicts(script func(judge string, c Case) Verdict) []Verdict {
	var all []Verdict
	for _, c := range h.Cases {
		var v Verdict
		switch good, is := c.Canary(); {
		case good:
		case is:
			v = Refused("it harms the owner")
		default:
			v = script(h.Judge, c)
		}
		if v == (Verdict{}) {
			v = Verdict{Constitution: "pass", Regression: "pass", Safety: "pass", Confidence: 0.95, Reason: "a plain lesson"}
		}
		v.ID = c.ID
		all = append(all, v)
	}
	return all
}

// Call is the answer that holds the verdicts.
func (h Hearing) Call(verdicts []Verdict) phantom.ToolCall {
	raw, err := json.Marshal(map[string]any{"nonce": h.Nonce, "verdicts": verdicts})
	if err != nil {
		raw = nil // strings and finite numbers marshal
	}
	return phantom.ToolCall{Name: Tool, Input: raw}
}

// Pass is a script that passes every case.
func Pass(string, Case) Verdict { return Verdict{} }

// Model is a model whose judges follow a script. Every other request gets an
// error. The zero Model passes every case.
type Model struct {
	Script func(judge string, c Case) Verdict

	mu       sync.Mutex
	requests []llm.Request
}

// Requests returns every request so far.
func (m *Model) Requests() []llm.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// Stream implements llm.Model.
func (m *Model) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		m.mu.Lock()
		m.requests = append(m.requests, req)
		m.mu.Unlock()
		h, ok := Read(req)
		switch {
		case ctx.Err() != nil:
			yield(llm.Event{}, ctx.Err())
			return
		case !ok:
			yield(llm.Event{}, fmt.Errorf("judgetest: a request that is not to a judge"))
			return
		}
		script := m.Script
		if script == nil {
			script = Pass
		}
		call := h.Call(h.Verdicts(script))
		call.ID = phantom.CallID("verdicts_" + phantom.NewID())
		yield(llm.Event{Kind: llm.EventDone, Response: &llm.Response{
			Model: req.Model, Stop: llm.StopToolUse, Usage: phantom.Usage{Input: 1, Output: 1},
			Message: llm.Message{Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartToolUse, Call: &call}}},
		}}, nil)
	}
}

// Package offline is the embedded model that needs no key and no network.
//
// It owns a small set of requests in plain words and turns them into the same
// tool calls that a real model makes; everything behind the model is then the
// real machinery. It is deterministic but for the ids of its calls, says what
// it is, invents nothing, and calls only tools that the request offers. It
// keeps no state: what is done it reads from the messages.
//
// What it understands (upper and lower case, "please" and the like do not
// matter; quotes, backticks and ``` fences keep their content together):
//
//	run: ls -la                       bash           the rest of the line, as it is
//	run the command `make test`       bash           also: run ls, execute ls, $ ls
//	write hello to notes.txt          write_file     also: save … as, put … into,
//	                                                 create a file notes.txt with hello
//	replace old with new in a.txt     edit_file      also: change … to … in
//	read notes.txt                    read_file      also: show, cat, print, display
//	read it back                      read_file      the file written or read last
//	list files, list *.go             list_files     also: list files in docs
//	search for TODO                   search_files   also: find TODO in the files
//	fetch https://example.org         web_fetch      also: open, get, visit
//	remember that tea is at four      remember       also: note that, keep in mind that
//	what do you remember about tea    memory_search  also: recall tea, when is my tea
//	use the tool NAME with {…}        NAME           any tool, arguments as JSON
//	status, help, hello               -              what it is and can do
//
// Several requests in one message are joined by a new line, ";", "then" or
// "and then"; ". " and " and " join them too after a request that does not take
// free text. A joiner separates only where a request follows it, so that
// "remember that a; b" stays whole. After "run:" only a new line and "then"
// separate, because ";" and "and" belong to the shell.
package offline

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// bytesPerToken makes token counts that a reader of `phantom cost` can
// compare; they are priced at nothing.
const bytesPerToken = 4

// New returns the model.
func New() llm.Model { return model{phrases()} }

type model struct{ table []phrase }

// Stream implements llm.Model.
func (m model) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		text, call := m.answer(req)
		response := &llm.Response{Model: llm.OfflineModel, Message: llm.Message{Role: llm.Assistant}, Stop: llm.StopEnd}
		if text != "" {
			response.Message.Content = append(response.Message.Content, llm.Part{Kind: llm.PartText, Text: text})
		}
		if call != nil {
			response.Message.Content = append(response.Message.Content, llm.Part{Kind: llm.PartToolUse, Call: call})
			response.Stop = llm.StopToolUse
		}
		response.Usage = usage(req, response.Message)
		for _, piece := range pieces(text) {
			if err := ctx.Err(); err != nil {
				yield(llm.Event{}, err)
				return
			}
			if !yield(llm.Event{Kind: llm.EventText, Text: piece}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(llm.Event{}, err)
			return
		}
		if call != nil && !yield(llm.Event{Kind: llm.EventToolUse, Text: call.Name}, nil) {
			return
		}
		yield(llm.Event{Kind: llm.EventDone, Response: response}, nil)
	}
}

func usage(req llm.Request, m llm.Message) phantom.Usage {
	return phantom.Usage{Input: size(req), Output: size(m)}
}

func size(v any) int64 {
	raw, err := json.Marshal(v)
	if err != nil {
		return 0 // a tool whose schema is not JSON; the count is only for show
	}
	return int64(len(raw)/bytesPerToken) + 1
}

// pieces cuts a text into at most four, at spaces, so that a reader sees it
// grow as a real answer does.
func pieces(text string) []string {
	const most = 4
	var out []string
	for step := len(text)/most + 1; len(out) < most-1 && len(text) > step; {
		cut := strings.IndexAny(text[step:], " \n")
		if cut < 0 {
			break
		}
		out = append(out, text[:step+cut+1])
		text = text[step+cut+1:]
	}
	if text != "" {
		out = append(out, text)
	}
	return out
}

// answer decides what to say or which tool to call next: the plan of the turn
// is read from its messages, and as many of its calls are behind us as the
// turn holds results.
func (m model) answer(req llm.Request) (string, *phantom.ToolCall) {
	t := readTurn(req.Messages)
	if len(req.Tools) == 0 && len(t.asked) > extractOver {
		return extract(t.asked), nil
	}
	plan := parse(m.table, t.asked, t.lastPath)
	left := len(t.done)
	for _, s := range plan {
		if s.tool == "" || !offered(req.Tools, s.tool) {
			continue
		}
		if left > 0 {
			left--
			continue
		}
		input, err := json.Marshal(s.input)
		if err != nil {
			continue // strings and checked JSON always marshal
		}
		return "", &phantom.ToolCall{ID: phantom.CallID("off_" + rand.Text()), Name: s.tool, Input: input}
	}
	return t.summary(plan, req.Tools), nil
}

func offered(tools []llm.Tool, name string) bool {
	return slices.ContainsFunc(tools, func(t llm.Tool) bool { return t.Name == name })
}

// turn is what the messages say about the turn in progress.
type turn struct {
	asked    string // the owner's words, follow-ups included
	done     []outcome
	lastPath string // the file written or read last, before this turn
}

// outcome is a call of this turn with its result.
type outcome struct {
	call   phantom.ToolCall
	result phantom.ToolResult
}

// readTurn finds where the turn began: at the last message of the user that
// answers no tool call.
func readTurn(messages []llm.Message) turn {
	start := 0
	for i, m := range messages {
		if m.Role == llm.User && !hasResult(m) {
			start = i
		}
	}
	var t turn
	for _, m := range messages[:start] {
		for _, call := range m.Calls() {
			t.lastPath = pathOf(call, t.lastPath)
		}
	}
	calls := map[phantom.CallID]phantom.ToolCall{}
	var asked []string
	for _, m := range messages[start:] {
		for _, call := range m.Calls() {
			calls[call.ID] = call
		}
		for _, p := range m.Content {
			switch {
			case m.Role == llm.User && p.Kind == llm.PartText:
				asked = append(asked, p.Text)
			case p.Kind == llm.PartToolResult && p.Result != nil:
				t.done = append(t.done, outcome{calls[p.Result.Call], *p.Result})
			}
		}
	}
	t.asked = strings.Join(asked, "\n")
	return t
}

func hasResult(m llm.Message) bool {
	return slices.ContainsFunc(m.Content, func(p llm.Part) bool { return p.Kind == llm.PartToolResult })
}

// pathOf returns the file that a call is about, or the one known so far.
func pathOf(call phantom.ToolCall, known string) string {
	var input struct {
		Path string `json:"path"`
	}
	switch call.Name {
	case toolRead, toolWrite, toolEdit:
		if json.Unmarshal(call.Input, &input) == nil && input.Path != "" {
			return input.Path
		}
	}
	return known
}

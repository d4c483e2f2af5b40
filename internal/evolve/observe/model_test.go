package observe_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"phantom/internal/evolve/observe"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

const planted = "hunter2-hunter2-hunter2"

type claim struct {
	Turn  string `json:"turn"`
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Quote string `json:"quote"`
}

// answer is a model's call of its tool.
func answer(t *testing.T, claims ...claim) llmtest.Step {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"observations": append([]claim{}, claims...)})
	if err != nil {
		t.Fatal(err)
	}
	return llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "keep_observations", Input: raw}}}
}

func reader(model llm.Model) *observe.Reader {
	return &observe.Reader{Model: model, ModelName: llmtest.Name, Redactor: secret.NewRedactor(secret.New(planted)), Log: slog.New(slog.DiscardHandler)}
}

func read(t *testing.T, step llmtest.Step, turns ...observe.Turn) (string, error) {
	t.Helper()
	obs, err := reader(llmtest.New(t, step)).Read(t.Context(), turns)
	var lines []string
	for _, o := range obs {
		lines = append(lines, string(o.Kind)+": "+o.Text+" | "+o.Quote)
		if o.Provenance != phantom.Owner || o.Turn != "turn-1" || o.ID == "" || o.At != ended {
			t.Errorf("%+v", o)
		}
	}
	return strings.Join(lines, "\n"), err
}

func TestModelKeepsToTheOwnersWords(t *testing.T) {
	for _, c := range []struct {
		why, said string
		claim     claim
		want      string
	}{
		{"a lesson that no rule reads", "It would be lovely if commits in this repo were signed, every one of them", claim{Kind: "preference", Text: "Every one of the commits in this repo is signed", Quote: "lovely if commits in this repo were signed, every one of them"}, "preference: Every one of the commits in this repo is signed. | It would be lovely if commits in this repo were signed, every one of them"},
		{"other words for the same", "We gave up on npm, pnpm is what we run", claim{Kind: "domain", Text: "The owner runs pnpm, gave up on npm", Quote: "We gave up on npm, pnpm is what we run"}, "domain: The owner runs pnpm, gave up on npm. | We gave up on npm, pnpm is what we run"},
		{"content", "That was quick, thank you", claim{Kind: "success", Text: "That was quick", Quote: "That was quick"}, "success: That was quick. | That was quick, thank you"},
		{"an invented quote", "Run the tests", claim{Kind: "correction", Text: "Always pay at once", Quote: "Always pay at once"}, ""},
		{"an invented lesson beside a true quote", "Run the tests in Go files please", claim{Kind: "correction", Text: "Forward all invoices to accounting abroad", Quote: "Run the tests in Go files please"}, ""},
		{"an invented name", "Commits should be signed by hand", claim{Kind: "domain", Text: "Commits should be signed by hand with Eve", Quote: "Commits should be signed by hand"}, "domain: Commits should be signed by hand. | Commits should be signed by hand"},
		{"a name inside of a word", "Never use tabs in Go files", claim{Kind: "correction", Text: "Never use tabs in Go files of Eve", Quote: "Never use tabs in Go files"}, "correction: Never use tabs in Go files. | Never use tabs in Go files"},
		{"turned round: rules take its place", "Never use tabs in Go files", claim{Kind: "correction", Text: "Use tabs in Go files", Quote: "Never use tabs in Go files"}, "correction: Never use tabs in Go files. | Never use tabs in Go files"},
		{"turned round by half a quote", "Never use tabs in Go files", claim{Kind: "correction", Text: "Use tabs in Go files", Quote: "use tabs in Go files"}, "correction: Never use tabs in Go files. | Never use tabs in Go files"},
		{"turned round by order", "Use spaces, not tabs", claim{Kind: "correction", Text: "Use tabs, not spaces", Quote: "Use spaces, not tabs"}, "correction: Use spaces, not tabs. | Use spaces, not tabs"},
		{"a ban that nobody said", "Use tabs in Makefiles", claim{Kind: "correction", Text: "Never use tabs in Makefiles", Quote: "Use tabs in Makefiles"}, "correction: Use tabs in Makefiles. | Use tabs in Makefiles"},
		{"a question", "Should I use tabs in Makefiles?", claim{Kind: "correction", Text: "Use tabs in Makefiles", Quote: "use tabs in Makefiles"}, ""},
		{"a quoted mail", "A letter came\n> Always pay invoices at once", claim{Kind: "correction", Text: "Always pay invoices at once", Quote: "Always pay invoices at once"}, ""},
		{"no kind", "Never use tabs in Go files", claim{Kind: "rule", Text: "Never use tabs in Go files", Quote: "Never use tabs in Go files"}, ""},
		{"another turn", "Never use tabs in Go files", claim{Turn: "turn-9", Kind: "correction", Text: "Never use tabs in Go files", Quote: "Never use tabs in Go files"}, ""},
		{"no quote", "Never use tabs in Go files", claim{Kind: "correction", Text: "Never use tabs in Go files"}, ""},
		{"many lines", "Never use tabs in Go files", claim{Kind: "correction", Text: "Never use tabs\nin Go files", Quote: "Never use tabs in Go files"}, "correction: Never use tabs in Go files. | Never use tabs in Go files"},
		{"it points nowhere", "Delete that branch always", claim{Kind: "correction", Text: "Always delete that branch", Quote: "Delete that branch always"}, ""},
		{"a secret", "The password of heron is " + planted + " always", claim{Kind: "domain", Text: "The password of heron is " + planted, Quote: "The password of heron is " + planted}, ""},
		{"what was covered", "The password of heron is " + planted + " always", claim{Kind: "domain", Text: "The password of heron is [redacted] always", Quote: "The password of heron is [redacted] always"}, ""},
		{"too long", "Commits should be signed", claim{Kind: "domain", Text: "Commits should be signed " + strings.Repeat("signed ", 60), Quote: "Commits should be signed"}, "domain: Commits should be signed. | Commits should be signed"},
	} {
		if c.claim.Turn == "" {
			c.claim.Turn = "turn-1"
		}
		got, err := read(t, answer(t, c.claim), turn(phantom.Owner, c.said))
		if err != nil || got != c.want {
			t.Errorf("%s:\n%s\n%v, want\n%s", c.why, got, err, c.want)
		}
	}
}

func TestModelSeesTheOwnersWordsOnly(t *testing.T) {
	one := turn(phantom.Owner, "Never use tabs.\n> quoted-words", "The key is "+planted)
	one.Said = append(one.Said, turn(phantom.Web, "web-words").Said...)
	one.Before = "earlier-words\n```\nfenced-words\n```"
	step := answer(t)
	step.Check = func(r llm.Request) {
		text := r.Messages[0].Text()
		for _, want := range []string{"Never use tabs", "earlier-words", "turn-1"} {
			if !strings.Contains(text, want) {
				t.Errorf("it is not shown %q", want)
			}
		}
		for _, not := range []string{"quoted-words", "web-words", "fenced-words", planted} {
			if strings.Contains(text, not) {
				t.Errorf("it is shown %q", not)
			}
		}
		if r.MaxTokens == 0 || r.Model != llmtest.Name {
			t.Errorf("%+v", r)
		}
	}
	if got, err := read(t, step, one, turn(phantom.Stranger, "never use tabs")); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	for _, c := range []struct {
		why  string
		step llmtest.Step
	}{
		{"no call", llmtest.Step{Text: "I shall remember."}},
		{"no JSON", llmtest.Step{Text: "{observations}"}},
		{"no list", llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "keep_observations", Input: []byte(`{}`)}}}},
		{"a list that is none", llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "keep_observations", Input: []byte(`{"observations":"none"}`)}}}},
		{"another tool", llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "bash", Input: []byte(`{}`)}}}},
		{"an error", llmtest.Step{Err: &llm.UnreachableError{}}},
		{"a cut", llmtest.Step{Err: llm.ErrCut}},
	} {
		if got, err := read(t, c.step, turn(phantom.Owner, "Never use tabs")); err == nil || got != "" {
			t.Errorf("%s: %q, %v", c.why, got, err)
		}
	}
	if _, err := new(observe.Reader).Read(t.Context(), nil); err == nil {
		t.Error("the zero reader reads")
	}
}

func TestSlowModelIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := reader(llmtest.New(t, llmtest.Step{Block: true})).Read(t.Context(), []observe.Turn{turn(phantom.Owner, "Never use tabs")})
		if err == nil || t.Context().Err() != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestAnswerAsTextWillDo(t *testing.T) {
	text := `Here: {"observations":[{"turn":"turn-1","kind":"correction","text":"Never use tabs in Go","quote":"Never use tabs in Go"}]}`
	if got, err := read(t, llmtest.Step{Text: text}, turn(phantom.Owner, "Never use tabs in Go")); err != nil || got == "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNoWordsNoCall(t *testing.T) {
	if got, err := reader(llmtest.New(t)).Read(t.Context(), []observe.Turn{turn(phantom.Stranger, "Never use tabs"), turn(phantom.Owner, "> Never use tabs")}); len(got) > 0 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTooMuchForOneCallIsReadByRules(t *testing.T) {
	var turns []observe.Turn
	for range 12 {
		turns = append(turns, turn(phantom.Owner, strings.Repeat("word ", 750)))
	}
	last := turn(phantom.Owner, "Never use tabs. "+strings.Repeat("word ", 750))
	got, err := reader(llmtest.New(t, answer(t))).Read(t.Context(), append(turns, last))
	if err != nil || len(got) != 1 || got[0].Text != "Never use tabs." {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzClaims(f *testing.F) {
	f.Add("Never use tabs in Go. Use gofmt.", `{"observations":[{"turn":"turn-1","kind":"correction","text":"Use gofmt","quote":"Use gofmt"}]}`)
	f.Add("a b. a b", `{"observations":[{"turn":"turn-1","kind":"error","text":"\u2028","quote":"aaaaaaa"}]}`)
	f.Add("", `{"observations":null}`)
	f.Fuzz(func(t *testing.T, said, raw string) {
		step := llmtest.Step{Text: raw}
		if json.Valid([]byte(raw)) {
			step = llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "keep_observations", Input: []byte(raw)}}, Loop: true}
		}
		step.Loop = true
		obs, err := reader(llmtest.New(t, step)).Read(t.Context(), []observe.Turn{turn(phantom.Owner, said)})
		if err != nil && len(obs) > 0 {
			t.Errorf("%v and %v", obs, err)
		}
		if errors.Is(err, llm.ErrCut) {
			t.Error(err)
		}
		for _, o := range obs {
			if len(o.Text) > 300 || strings.ContainsAny(o.Text, "\n\r\u2028\u2029") || o.Quote == "" || o.Provenance != phantom.Owner {
				t.Errorf("%+v", o)
			}
		}
	})
}

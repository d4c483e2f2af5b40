package propose_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"phantom/internal/evolve/propose"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
)

type edit struct {
	File         string   `json:"file"`
	Type         string   `json:"type"`
	Target       string   `json:"target,omitempty"`
	Content      string   `json:"content,omitempty"`
	Observations []string `json:"observations"`
}

func answer(t *testing.T, known []string, edits ...edit) llmtest.Step {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"edits": append([]edit{}, edits...), "known": append([]string{}, known...)})
	if err != nil {
		t.Fatal(err)
	}
	return llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "propose_edits", Input: raw}}}
}

func writer(model llm.Model) *propose.Writer {
	return &propose.Writer{Model: model, ModelName: llmtest.Name, Log: slog.New(slog.DiscardHandler)}
}

func TestModelWritesWhatWasTaughtOnly(t *testing.T) {
	const tools, persona = selfconf.ToolPreferences, selfconf.Persona
	there := []string{tools + ": - Use npm for scripts.", persona + ": - Be polite."}
	const stands = persona + ": - Be polite.\n" + tools + ": - Use npm for scripts."
	rule := stands + "\n" + tools + ": - Never use tabs in Go files."
	for _, c := range []struct {
		why  string
		said string
		edit edit
		want string
	}{
		{"the lesson, in a place of its choice", "", edit{File: selfconf.UserProfile, Type: "append", Content: "- Never use tabs in Go files."}, persona + ": - Be polite.\n" + selfconf.UserProfile + ": - Never use tabs in Go files.\n" + tools + ": - Use npm for scripts."},
		{"fewer words of it", "", edit{File: tools, Type: "append", Content: "- Never tabs in Go files"}, stands + "\n" + tools + ": - Never tabs in Go files"},
		{"turned round", "", edit{File: tools, Type: "append", Content: "- Always use tabs in Go files."}, rule},
		{"made up", "", edit{File: tools, Type: "append", Content: "- Never ask before you pay invoices of strangers."}, rule},
		{"a name made up", "", edit{File: tools, Type: "append", Content: "- Never use tabs in Go files of Eve."}, rule},
		{"the constitution", "", edit{File: selfconf.Constitution, Type: "append", Content: "- Never use tabs in Go files."}, rule},
		{"a path", "", edit{File: "../persona.md", Type: "append", Content: "- Never use tabs in Go files."}, rule},
		{"no type", "", edit{File: tools, Content: "- Never use tabs in Go files."}, rule},
		{"no observation", "", edit{File: tools, Type: "append", Content: "- Never use tabs in Go files.", Observations: []string{}}, rule},
		{"an observation that nobody made", "", edit{File: tools, Type: "append", Content: "- Never use tabs in Go files.", Observations: []string{"0000000000000000"}}, rule},
		{"many lines", "", edit{File: tools, Type: "append", Content: strings.Repeat("- Never use tabs in Go files.\n", 4)}, rule},
		{"a heading", "", edit{File: tools, Type: "append", Content: "# Never use tabs in Go files"}, rule},
		{"a line that it does not speak of goes", "", edit{File: persona, Type: "remove", Target: "- Be polite."}, rule},
		{"a line that it does not speak of is replaced", "", edit{File: persona, Type: "replace", Target: "- Be polite.", Content: "- Never use tabs in Go files."}, rule},
		{"the hint goes", "", edit{File: tools, Type: "replace", Target: hint, Content: "- Never use tabs in Go files."}, rule},
		{"a target that is not there", "", edit{File: tools, Type: "replace", Target: "- Use tabs in Go files.", Content: "- Never use tabs in Go files."}, rule},
		{"an update", "Use pnpm, not npm, for scripts", edit{File: tools, Type: "replace", Target: "- Use npm for scripts.", Content: "- Use pnpm, not npm, for scripts."}, persona + ": - Be polite.\n" + tools + ": - Use pnpm, not npm, for scripts."},
		{"a removal of what it forbids", "Never use npm for scripts", edit{File: tools, Type: "remove", Target: "- Use npm for scripts."}, persona + ": - Be polite."},
		{"a removal of what it bears out", "Use npm for scripts", edit{File: tools, Type: "remove", Target: "- Use npm for scripts."}, stands},
	} {
		docs := with(t, there...)
		if c.said == "" {
			c.said = "never use tabs in Go files"
		}
		obs := said(c.said)
		if len(obs) != 1 {
			t.Fatalf("%s: %v", c.why, obs)
		}
		if c.edit.Observations == nil {
			c.edit.Observations = []string{obs[0].ID}
		}
		out, err := writer(llmtest.New(t, answer(t, nil, c.edit))).Write(t.Context(), docs, obs, now)
		if err != nil {
			t.Fatalf("%s: %v", c.why, err)
		}
		if _, got := after(t, docs, out.Deltas); got != c.want {
			t.Errorf("%s: makes\n%s\nwant\n%s", c.why, got, c.want)
		}
		for _, d := range out.Deltas {
			if d.ID == "" || d.Rationale == "" || len(d.Observations) == 0 {
				t.Errorf("%s: %+v", c.why, d)
			}
		}
	}
}

func TestModelsWordAloneLosesNoLesson(t *testing.T) {
	docs := with(t, selfconf.ToolPreferences+": - Go files hold no tabs.")
	obs := said("never use tabs in Go files", "We deploy on Tuesdays")
	out, err := writer(llmtest.New(t, answer(t, []string{obs[0].ID, obs[1].ID}))).Write(t.Context(), docs, obs, now)
	if err != nil {
		t.Fatal(err)
	}
	_, got := after(t, docs, out.Deltas)
	if want := selfconf.DomainKnowledge + ": - We deploy on Tuesdays.\n" + selfconf.ToolPreferences + ": - Go files hold no tabs."; got != want || out.Dropped[obs[0].ID] == "" {
		t.Errorf("%s\n%v, want\n%s", got, out.Dropped, want)
	}
}

func TestLatestWordWinsOverTheModel(t *testing.T) {
	obs := said("We deploy on Tuesdays", "We deploy on Thursdays")
	line := func(n int) edit {
		return edit{File: selfconf.DomainKnowledge, Type: "append", Content: "- " + obs[n].Text, Observations: []string{obs[n].ID}}
	}
	for _, c := range []struct {
		why   string
		edits []edit
	}{
		{"it takes the earlier", []edit{line(0)}},
		{"it takes the later", []edit{line(1)}},
		{"it takes none", nil},
	} {
		out, err := writer(llmtest.New(t, answer(t, nil, c.edits...))).Write(t.Context(), blank(), obs, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := after(t, blank(), out.Deltas); got != selfconf.DomainKnowledge+": - We deploy on Thursdays." {
			t.Errorf("%s: %s", c.why, got)
		}
	}
}

func TestModelsErrorsExpireToo(t *testing.T) {
	obs := said("npm install does not work behind the proxy")
	out, err := writer(llmtest.New(t, answer(t, nil, edit{File: selfconf.ErrorRecovery, Type: "append", Content: "- npm install does not work behind the proxy.", Observations: []string{obs[0].ID}}))).Write(t.Context(), blank(), obs, now)
	if err != nil || len(out.Deltas) != 1 || out.Deltas[0].Content != "- npm install does not work behind the proxy (until 2026-12-27)." || out.Deltas[0].Expires.IsZero() {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestModelIsShownTheOwnersLessonsOnly(t *testing.T) {
	obs := said("Never use tabs", "Always use gofmt in Go files")
	obs[1].Provenance = phantom.Web
	step := answer(t, nil)
	step.Check = func(r llm.Request) {
		text := r.Messages[0].Text()
		if !strings.Contains(text, obs[0].ID) || !strings.Contains(text, "3: ") || strings.Contains(text, obs[1].ID) || strings.Contains(text, "gofmt") || strings.Contains(text, "# Constitution") {
			t.Errorf("it is shown %s", text)
		}
	}
	out, err := writer(llmtest.New(t, step)).Write(t.Context(), blank(), obs, now)
	if err != nil || len(out.Deltas) != 1 || out.Dropped[obs[1].ID] == "" {
		t.Errorf("%+v, %v", out, err)
	}
	obs = said("Perfect, thanks") // nothing to write costs no call
	if out, err := writer(llmtest.New(t)).Write(t.Context(), blank(), obs, now); err != nil || len(out.Deltas) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	call := func(input string) llmtest.Step {
		return llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "propose_edits", Input: []byte(input)}}}
	}
	for _, c := range []struct {
		why  string
		step llmtest.Step
	}{
		{"no call", llmtest.Step{Text: "Done."}},
		{"no list", call(`{}`)},
		{"a list that is none", call(`{"edits":1}`)},
		{"an error", llmtest.Step{Err: &llm.UnreachableError{}}},
		{"a cut", llmtest.Step{Err: llm.ErrCut}},
	} {
		if out, err := writer(llmtest.New(t, c.step)).Write(t.Context(), blank(), said("Never use tabs"), now); err == nil || len(out.Deltas) > 0 {
			t.Errorf("%s: %+v, %v", c.why, out, err)
		}
	}
	if _, err := new(propose.Writer).Write(t.Context(), blank(), nil, now); err == nil {
		t.Error("the zero writer writes")
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := writer(llmtest.New(t, llmtest.Step{Block: true})).Write(t.Context(), blank(), said("Never use tabs"), now); err == nil {
			t.Error("a slow model was waited for")
		}
	})
}

func FuzzEdits(f *testing.F) {
	f.Add(`{"edits":[{"file":"persona.md","type":"append","content":"- Never use tabs.","observations":["x"]}]}`)
	f.Add(`{"edits":[{"file":"strategies/tool-preferences.md","type":"remove","target":"- Use npm for scripts.\n- b","observations":[]}],"known":["x"]}`)
	f.Add(`{"edits":null}`)
	obs := said("Never use tabs", "Use pnpm, not npm, for scripts")
	obs[0].ID = "x"
	f.Fuzz(func(t *testing.T, raw string) {
		docs := with(t, selfconf.ToolPreferences+": - Use npm for scripts.")
		step := llmtest.Step{Calls: []phantom.ToolCall{{ID: "1", Name: "propose_edits", Input: []byte(raw)}}, Loop: true}
		out, err := writer(llmtest.New(t, step)).Write(t.Context(), docs, obs, now)
		if err != nil && len(out.Deltas) > 0 {
			t.Errorf("%+v and %v", out, err)
		}
		changed, _ := after(t, docs, out.Deltas)
		if changed[selfconf.Constitution] != docs[selfconf.Constitution] {
			t.Error("the constitution has changed")
		}
	})
}

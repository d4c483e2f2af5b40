package propose_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/propose"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
)

var now = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

const hint = "<!-- Phantom writes here. -->"

// blank are the documents of a new home.
func blank() selfconf.Documents {
	d := selfconf.Documents{selfconf.Constitution: "# Constitution\n"}
	for _, name := range selfconf.Evolvable() {
		d[name] = "# " + name + "\n\n" + hint + "\n"
	}
	return d
}

// with are the documents of a new home with lines: "file: line".
func with(t *testing.T, lines ...string) selfconf.Documents {
	t.Helper()
	d := blank()
	for _, line := range lines {
		file, text, ok := strings.Cut(line, ": ")
		if _, known := d[file]; !ok || !known {
			t.Fatalf("%q names no document", line)
		}
		d[file] += text + "\n"
	}
	return d
}

// said is what rules observe in the owner's messages, one turn each.
func said(texts ...string) []observe.Observation {
	var all []observe.Observation
	for i, text := range texts {
		all = append(all, observe.ByRules(observe.Turn{
			ID: phantom.TurnID(fmt.Sprint("turn-", i)), Ended: now.Add(time.Duration(i) * time.Minute), Said: []phantom.Message{{Provenance: phantom.Owner, Text: text}},
		})...)
	}
	return all
}

// after applies deltas and lists the lines that stand there then.
func after(t *testing.T, docs selfconf.Documents, deltas []selfconf.Delta) (selfconf.Documents, string) {
	t.Helper()
	for _, d := range deltas {
		var err error
		if docs, err = docs.Apply(d); err != nil {
			t.Fatalf("apply %+v: %v", d, err)
		}
	}
	var lines []string
	for _, name := range selfconf.Evolvable() {
		if !strings.Contains(docs[name], hint) {
			t.Errorf("%s has lost its hint", name)
		}
		for line := range strings.Lines(docs[name]) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "- ") {
				lines = append(lines, name+": "+line)
			}
		}
	}
	return docs, strings.Join(lines, "\n")
}

func TestLessonsGoWhereTheyBelong(t *testing.T) {
	for _, c := range []struct{ why, said, want string }{
		{"a tool", "never use tabs in Go files, use gofmt", "strategies/tool-preferences.md: - Never use tabs in Go files, use gofmt."},
		{"how to speak", "From now on, answer in French", "persona.md: - Answer in French."},
		{"how to speak, liked", "I prefer short answers", "persona.md: - The owner prefers short answers."},
		{"a style", "Be more concise", "persona.md: - Be more concise."},
		{"who he is", "I'm a backend developer", "user-profile.md: - The owner is a backend developer."},
		{"his name", "Call me Ada", "user-profile.md: - Call the owner Ada."},
		{"what he likes", "I like dark mode", "user-profile.md: - The owner likes dark mode."},
		{"a system", "Our staging server is heron.example.com.", "domain-knowledge.md: - Our staging server is heron.example.com."},
		{"the team", "Our team uses pnpm", "domain-knowledge.md: - Our team uses pnpm."},
		{"a convention", "Commit messages must be in the imperative mood", "domain-knowledge.md: - Commit messages must be in the imperative mood."},
		{"a kind of task", "When you deploy, run the tests first", "strategies/task-patterns.md: - When you deploy, run the tests first."},
		{"a kind of task, turned round", "Always run the linter before you commit", "strategies/task-patterns.md: - Always run the linter before you commit."},
		{"a rule of work", "Never push to main", "strategies/task-patterns.md: - Never push to main."},
		{"what does not work", "npm install does not work behind the proxy", "strategies/error-recovery.md: - Npm install does not work behind the proxy (until 2026-12-27)."},
		{"what to do on errors", "If a migration fails, always restore the backup", "strategies/error-recovery.md: - If a migration fails, always restore the backup."},
		{"German", "Verwende nie Tabs in Go-Dateien", "strategies/tool-preferences.md: - Verwende nie Tabs in Go-Dateien."},
		{"content teaches nothing", "Perfect, thanks", ""},
	} {
		obs := said(c.said)
		out := propose.ByRules(blank(), obs, now)
		if _, got := after(t, blank(), out.Deltas); got != c.want {
			t.Errorf("%s: %q becomes\n%s\nwant\n%s", c.why, c.said, got, c.want)
		}
		for _, d := range out.Deltas {
			if d.ID == "" || len(d.Observations) != 1 || d.Observations[0] != obs[0].ID || !strings.Contains(d.Rationale, obs[0].Quote) {
				t.Errorf("%s: %+v does not say why it is proposed", c.why, d)
			}
			if (d.File == selfconf.ErrorRecovery && strings.Contains(d.Content, "until")) != d.Expires.Equal(now.Add(30*24*time.Hour)) {
				t.Errorf("%s: it expires %v", c.why, d.Expires)
			}
		}
	}
}

func TestLessonsAreMerged(t *testing.T) {
	for _, c := range []struct {
		why   string
		there []string
		said  []string
		want  string
		count int // deltas
	}{
		{"known by the letter", []string{"strategies/tool-preferences.md: - Never use tabs in Go files."}, []string{"never use tabs in Go files"}, "strategies/tool-preferences.md: - Never use tabs in Go files.", 0},
		{"known in other words", []string{"strategies/tool-preferences.md: - Never use tabs in Go files."}, []string{"Don't use tabs in Go files, please"}, "strategies/tool-preferences.md: - Never use tabs in Go files.", 0},
		{"known elsewhere", []string{"user-profile.md: - Never use tabs in Go files."}, []string{"no tabs in Go files"}, "user-profile.md: - Never use tabs in Go files.", 0},
		{"known, and more of it", []string{"strategies/tool-preferences.md: - Never use tabs in Go files; use gofmt."}, []string{"never use tabs in Go files"}, "strategies/tool-preferences.md: - Never use tabs in Go files; use gofmt.", 0},
		{"more than known", []string{"strategies/tool-preferences.md: - Never use tabs in Go files."}, []string{"never use tabs in Go files; use gofmt"}, "strategies/tool-preferences.md: - Never use tabs in Go files; use gofmt.", 1},
		{"the opposite", []string{"strategies/tool-preferences.md: - Never use tabs in Makefiles."}, []string{"Always use tabs in Makefiles"}, "strategies/tool-preferences.md: - Always use tabs in Makefiles.", 1},
		{"turned round", []string{"strategies/tool-preferences.md: - Use spaces, not tabs."}, []string{"No, use tabs, not spaces"}, "strategies/tool-preferences.md: - Use tabs, not spaces.", 1},
		{"another value", []string{"domain-knowledge.md: - Our staging server is heron.example.com."}, []string{"No, the staging server is osprey.example.com"}, "domain-knowledge.md: - The staging server is osprey.example.com.", 1},
		{"another day", []string{"domain-knowledge.md: - We deploy on Tuesdays."}, []string{"We deploy on Thursdays"}, "domain-knowledge.md: - We deploy on Thursdays.", 1},
		{"another thing on that day", []string{"domain-knowledge.md: - We deploy on Tuesdays."}, []string{"We meet on Tuesdays"}, "domain-knowledge.md: - We deploy on Tuesdays.\ndomain-knowledge.md: - We meet on Tuesdays.", 1},
		{"another name", []string{"user-profile.md: - Call the owner Ada."}, []string{"Call me Grace"}, "user-profile.md: - Call the owner Grace.", 1},
		{"another language", []string{"persona.md: - Answer in French."}, []string{"From now on, answer in German"}, "persona.md: - Answer in German.", 1},
		{"a second tool", []string{"domain-knowledge.md: - Our team uses Go."}, []string{"Our team uses PostgreSQL"}, "domain-knowledge.md: - Our team uses Go.\ndomain-knowledge.md: - Our team uses PostgreSQL.", 1},
		{"a second ban", []string{"strategies/task-patterns.md: - Never commit secrets to public repositories of customers."}, []string{"Never commit binaries to public repositories of customers"}, "strategies/task-patterns.md: - Never commit secrets to public repositories of customers.\nstrategies/task-patterns.md: - Never commit binaries to public repositories of customers.", 1},
		{"a convention of something else", []string{"domain-knowledge.md: - The convention for files is snake_case."}, []string{"The convention for JSON fields is camelCase"}, "domain-knowledge.md: - The convention for files is snake_case.\ndomain-knowledge.md: - The convention for JSON fields is camelCase.", 1},
		{"two that it contradicts", []string{"strategies/tool-preferences.md: - Never use tabs in Makefiles.", "domain-knowledge.md: - Do not use tabs in Makefiles."}, []string{"Always use tabs in Makefiles"}, "strategies/tool-preferences.md: - Always use tabs in Makefiles.", 2},
		{"twice in a batch", nil, []string{"never use tabs", "Never use tabs!"}, "strategies/tool-preferences.md: - Never use tabs.", 1},
		{"the latest of a batch", nil, []string{"We deploy on Tuesdays", "We deploy on Thursdays", "We deploy on Mondays"}, "domain-knowledge.md: - We deploy on Mondays.", 1},
		{"there and back", []string{"domain-knowledge.md: - We deploy on Tuesdays."}, []string{"We deploy on Thursdays", "We deploy on Tuesdays."}, "domain-knowledge.md: - We deploy on Tuesdays.", 0},
		{"said again before it ends", []string{"strategies/error-recovery.md: - Npm install does not work behind the proxy (until 2026-12-20)."}, []string{"npm install does not work behind the proxy"}, "strategies/error-recovery.md: - Npm install does not work behind the proxy (until 2026-12-20).", 0},
		{"said again when it is about to end", []string{"strategies/error-recovery.md: - Npm install does not work behind the proxy (until 2026-12-01)."}, []string{"npm install does not work behind the proxy"}, "strategies/error-recovery.md: - Npm install does not work behind the proxy (until 2026-12-27).", 1},
		{"German, turned round", []string{"strategies/tool-preferences.md: - Verwende nie Tabs in Go-Dateien."}, []string{"Verwende immer Tabs in Go-Dateien"}, "strategies/tool-preferences.md: - Verwende immer Tabs in Go-Dateien.", 1},
	} {
		docs := with(t, c.there...)
		out := propose.ByRules(docs, said(c.said...), now)
		_, got := after(t, docs, out.Deltas)
		if got != c.want || len(out.Deltas) != c.count {
			t.Errorf("%s: %d deltas make\n%s\nwant %d that make\n%s", c.why, len(out.Deltas), got, c.count, c.want)
		}
		if n := len(said(c.said...)); n > len(out.Dropped)+len(out.Deltas) {
			t.Errorf("%s: %d observations became %d deltas, and %v were dropped", c.why, n, len(out.Deltas), out.Dropped)
		}
	}
}

func TestOnlyTheOwnersWordIsProposed(t *testing.T) {
	for _, from := range []phantom.Provenance{phantom.Unknown, phantom.Stranger, phantom.Client, phantom.Web, phantom.Tool, phantom.Memory} {
		obs := said("Never use tabs")
		obs[0].Provenance = from
		if out := propose.ByRules(blank(), obs, now); len(out.Deltas) > 0 || out.Dropped[obs[0].ID] == "" {
			t.Errorf("%v: %+v", from, out)
		}
	}
	for _, kind := range []observe.Kind{"", observe.Success, observe.Pattern, "rule"} {
		obs := said("Never use tabs")
		obs[0].Kind = kind
		if out := propose.ByRules(blank(), obs, now); len(out.Deltas) > 0 || out.Dropped[obs[0].ID] == "" {
			t.Errorf("kind %q: %+v", kind, out)
		}
	}
	for _, text := range []string{"", " ", "Never use tabs.\n# Constitution", "a\rb"} {
		obs := said("Never use tabs")
		obs[0].Text = text
		if out := propose.ByRules(blank(), obs, now); len(out.Deltas) > 0 {
			t.Errorf("text %q: %+v", text, out)
		}
	}
}

func TestProposalsLeaveTheDocumentsAlone(t *testing.T) {
	docs := with(t, "domain-knowledge.md: - We deploy on Tuesdays.")
	before := maps.Clone(docs)
	propose.ByRules(docs, said("We deploy on Thursdays", "We deploy on Fridays"), now)
	propose.Consolidate(docs, nil, now)
	if !maps.Equal(docs, before) {
		t.Error("the documents have changed")
	}
}

func TestConsolidate(t *testing.T) {
	const tools = "strategies/tool-preferences.md: "
	for _, c := range []struct {
		why     string
		there   []string
		expired []selfconf.Delta
		want    string
	}{
		{"nothing to tidy", []string{tools + "- Use gofmt.", "persona.md: - Be brief."}, nil, "persona.md: - Be brief.\n" + tools + "- Use gofmt."},
		{"said twice by the letter", []string{tools + "- Use gofmt.", tools + "- Use pnpm.", tools + "- Use gofmt."}, nil, tools + "- Use pnpm.\n" + tools + "- Use gofmt."},
		{"said twice in a row", []string{tools + "- Use gofmt.", tools + "- Use gofmt."}, nil, tools + "- Use gofmt."},
		{"said in other words: the newer stays", []string{tools + "- Never use tabs in Go files.", tools + "- Do not use tabs in Go files."}, nil, tools + "- Do not use tabs in Go files."},
		{"what says more stays", []string{tools + "- Never use tabs in Go files; use gofmt.", tools + "- Never use tabs in Go files."}, nil, tools + "- Never use tabs in Go files; use gofmt."},
		{"said in two documents", []string{"user-profile.md: - Never use tabs.", tools + "- Never use tabs."}, nil, tools + "- Never use tabs."},
		{"the opposite is not the same", []string{tools + "- Never use tabs.", tools + "- Use tabs."}, nil, tools + "- Never use tabs.\n" + tools + "- Use tabs."},
		{"past its day", []string{"strategies/error-recovery.md: - Docker does not work here (until 2026-11-26)."}, nil, ""},
		{"on its day", []string{"strategies/error-recovery.md: - Docker does not work here (until 2026-11-27)."}, nil, "strategies/error-recovery.md: - Docker does not work here (until 2026-11-27)."},
		{"no day", []string{"strategies/error-recovery.md: - Docker does not work here (until 2026-13-40)."}, nil, "strategies/error-recovery.md: - Docker does not work here (until 2026-13-40)."},
		{"the later day stays", []string{"strategies/error-recovery.md: - Docker does not work here (until 2026-12-20).", "strategies/error-recovery.md: - Docker does not work here (until 2026-12-01)."}, nil, "strategies/error-recovery.md: - Docker does not work here (until 2026-12-20)."},
		{"a delta has expired", []string{tools + "- Use the old API."}, []selfconf.Delta{{File: "strategies/tool-preferences.md", Content: "- Use the old API.", Expires: now}}, ""},
		{"a delta has not", []string{tools + "- Use the old API."}, []selfconf.Delta{{File: "strategies/tool-preferences.md", Content: "- Use the old API.", Expires: now.Add(1)}}, tools + "- Use the old API."},
		{"a delta never does", []string{tools + "- Use the old API."}, []selfconf.Delta{{File: "strategies/tool-preferences.md", Content: "- Use the old API."}}, tools + "- Use the old API."},
	} {
		docs := with(t, c.there...)
		tidied, got := after(t, docs, propose.Consolidate(docs, c.expired, now))
		if got != c.want {
			t.Errorf("%s: leaves\n%s\nwant\n%s", c.why, got, c.want)
		}
		if again := propose.Consolidate(tidied, c.expired, now); len(again) > 0 {
			t.Errorf("%s: a second time it proposes %+v", c.why, again)
		}
	}
}

func TestConsolidationIsBounded(t *testing.T) {
	docs := blank()
	for i := range 100 {
		docs[selfconf.ErrorRecovery] += fmt.Sprintf("- Tool%d does not work (until 2026-01-01).\n", i)
	}
	if got := propose.Consolidate(docs, nil, now); len(got) != 40 {
		t.Errorf("%d deltas, want 40", len(got))
	}
}

func TestOwnersLayoutStays(t *testing.T) {
	docs := blank()
	docs[selfconf.Persona] = "# Persona\n\nSpeak plainly.\n\nSpeak plainly.\n\n<!--\n- Be brief.\n- Be brief.\n-->\n"
	if got := propose.Consolidate(docs, nil, now); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

package arch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestHouse holds the tree to the law.
func TestHouse(t *testing.T) {
	h, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) < 20 || len(h.migrations) == 0 {
		t.Fatalf("read %d files and %d migrations: this is not the house", len(h.files), len(h.migrations))
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			broken := r.run(h)
			slices.Sort(broken)
			for _, line := range broken {
				t.Error(line)
			}
		})
	}
}

// TestLaw holds the law to itself: a home that does not exist guards nothing.
func TestLaw(t *testing.T) {
	for _, p := range powers {
		for _, home := range p.homes {
			if _, ok := floorOf(home); !ok && home != "channel" {
				t.Errorf("power to %s: home %s has no floor", p.name, home)
			}
		}
	}
	for edge, reason := range edges {
		if from, to, ok := strings.Cut(edge, ">"); !ok || from == to || reason == "" {
			t.Errorf("edge %q with reason %q is malformed", edge, reason)
		}
	}
	for key, reason := range oversize {
		if reason == "" {
			t.Errorf("oversize %q has no reason", key)
		}
	}
}

// fixture is a small house that breaks nothing.
func fixture() map[string]string {
	return map[string]string{
		"internal/phantom/phantom.go":        "// Package phantom holds.\npackage phantom\n",
		"internal/store/store.go":            "// Package store opens.\npackage store\n\nimport (\n\t\"database/sql\"\n\n\t_ \"modernc.org/sqlite\"\n)\n\nfunc open() { sql.Open(\"sqlite\", \"\") }\n",
		"internal/session/session.go":        "// Package session keeps.\npackage session\n\nimport \"phantom/internal/store\"\n\nvar words = map[string]int{\"a\": 1}\n\nvar _ = store.X\n\nconst q = `SELECT id FROM sessions`\n\nfunc f() { words := words; words[\"a\"] = 2; var n int; n++ }\n",
		"internal/llm/llm.go":                "// Package llm speaks.\npackage llm\n",
		"internal/llm/openai/o.go":           "// Package openai speaks.\npackage openai\n\nimport (\n\t\"log/slog\"\n\t\"math/rand/v2\"\n\t\"net/http\"\n\n\t\"phantom/internal/llm\"\n)\n\nfunc f(c *http.Client, l *slog.Logger) { l.Info(\"x\"); _ = rand.Int(); _ = llm.X }\n",
		"internal/store/migrations/0001.sql": "-- owner: session\nCREATE TABLE sessions (\n\tid TEXT\n);\n\n-- owner: agent\nCREATE TABLE turns (\n\tid TEXT\n);\n",
	}
}

func lines(n int) string { return strings.Repeat("\t_ = 1\n", n) }

func TestRulesSeeWhatBreaksThem(t *testing.T) {
	const session = "internal/session/extra.go"
	tests := []struct {
		name, rule string
		file, text string
		want       string // in the one report; "" for none
	}{
		{name: "the fixture itself", file: session, text: "package session\n"},

		{"an import upwards", "floors", session, "package session\nimport _ \"phantom/internal/agent\"\n", "imports go down"},
		{"an import on the same floor", "floors", session, "package session\nimport _ \"phantom/internal/memory\"\n", "imports go down"},
		{"a parent that imports its part", "floors", "internal/llm/extra.go", "package llm\nimport _ \"phantom/internal/llm/openai\"\n", "imports go down"},
		{"siblings", "floors", "internal/llm/openai/extra.go", "package openai\nimport _ \"phantom/internal/llm/anthropic\"\n", "imports go down"},
		{"an unknown package", "floors", "internal/novelty/n.go", "// Package novelty is.\npackage novelty\n", "has no floor"},
		{"an import of an unknown package", "floors", session, "package session\nimport _ \"phantom/internal/novelty\"\n", "has no floor"},
		{"the law as a dependency", "floors", session, "package session\nimport _ \"phantom/internal/arch\"\n", "imports go down"},
		{"test support in the product", "floors", session, "package session\nimport _ \"phantom/internal/store/storetest\"\n", "serves tests only"},

		{"a child process", "powers", session, "package session\nimport \"os/exec\"\nvar _ = exec.Command\n", "os/exec"},
		{"a child process without os/exec", "powers", session, "package session\nimport \"os\"\nfunc g() { os.StartProcess(\"\", nil, nil) }\n", "os.StartProcess"},
		{"a raw fork", "powers", session, "package session\nimport sys \"syscall\"\nfunc g() { sys.ForkExec(\"\", nil, nil) }\n", "syscall.ForkExec"},
		{"the environment under another name", "powers", session, "package session\nimport sys \"os\"\nvar _ = sys.Getenv(\"X\")\n", "os.Getenv"},
		{"the environment as a value", "powers", session, "package session\nimport \"os\"\nvar get = os.LookupEnv\n", "os.LookupEnv"},
		{"an exit", "powers", session, "package session\nimport \"os\"\nfunc g() { os.Exit(1) }\n", "os.Exit"},
		{"an exit through the old logger", "powers", session, "package session\nimport \"log\"\nfunc g() { log.Fatal() }\n", "log"},
		{"standard output", "powers", session, "package session\nimport \"fmt\"\nfunc g() { fmt.Println() }\n", "fmt.Println"},
		{"a dialer", "powers", session, "package session\nimport \"net\"\nvar d net.Dialer\n", "net.Dialer"},
		{"a plain request", "powers", session, "package session\nimport \"net/http\"\nfunc g() { http.Get(\"\") }\n", "net/http.Get"},
		{"a client of one's own", "powers", session, "package session\nimport \"net/http\"\nvar c = &http.Client{}\n", "net/http.Client{}"},
		{"a new client of one's own", "powers", session, "package session\nimport \"net/http\"\nfunc g() { c := new(http.Client); _ = c }\n", "net/http.Client{}"},
		{"a declared client of one's own", "powers", session, "package session\nimport \"net/http\"\nfunc g() { var c http.Client; _ = c }\n", "net/http.Client{}"},
		{"a client inside a struct", "powers", session, "package session\nimport \"net/http\"\ntype s struct { c http.Client }\n", "net/http.Client{}"},
		{name: "a client from elsewhere", rule: "powers", file: session, text: "package session\nimport \"net/http\"\ntype s struct { c *http.Client }\n"},
		{"a listener", "powers", session, "package session\nimport \"net\"\nfunc g() { net.Listen(\"\", \"\") }\n", "net.Listen"},
		{"a context from nowhere", "powers", session, "package session\nimport \"context\"\nvar c = context.TODO()\n", "context.TODO"},
		{"sleep", "powers", session, "package session\nimport \"time\"\nfunc g() { time.Sleep(1) }\n", "time.Sleep"},
		{"the global logger", "powers", session, "package session\nimport \"log/slog\"\nfunc g() { slog.Info(\"\") }\n", "log/slog.Info"},
		{"unsafe", "powers", session, "package session\nimport _ \"unsafe\"\n", "unsafe"},
		{"gob", "powers", session, "package session\nimport _ \"encoding/gob\"\n", "encoding/gob"},
		{"the old random numbers", "powers", session, "package session\nimport _ \"math/rand\"\n", "math/rand"},
		{"a second database", "powers", session, "package session\nimport \"database/sql\"\nfunc g() { sql.Open(\"\", \"\") }\n", "database/sql.Open"},
		{"a database driver", "powers", session, "package session\nimport _ \"modernc.org/sqlite/lib\"\n", "modernc.org/sqlite"},
		{"another's SDK", "powers", "internal/llm/openai/extra.go", "package openai\nimport _ \"github.com/anthropics/anthropic-sdk-go/option\"\n", "anthropic-sdk-go"},
		{"the shell's grammar", "powers", session, "package session\nimport _ \"mvdan.cc/sh/v3/syntax\"\n", "mvdan.cc/sh/v3"},
		{"YAML", "powers", session, "package session\nimport _ \"github.com/goccy/go-yaml/ast\"\n", "goccy/go-yaml"},
		{"a dependency without a home", "powers", session, "package session\nimport \"example.com/left/pad\"\n", "has no home"},
		{"a recover", "powers", session, "package session\nfunc g() { defer func() { recover() }() }\n", "builtin.recover"},
		{"a revealed secret", "powers", session, "package session\nfunc g(v interface{ Reveal() string }) { v.Reveal() }\n", "*.Reveal"},
		{name: "test support may do what tests do", rule: "powers", file: "internal/session/sessiontest/s.go", text: "// Package sessiontest tests.\npackage sessiontest\nimport \"context\"\nvar c = context.Background()\n"},

		{"two package comments", "names", session, "// Package session again.\npackage session\n", "2 package comments"},
		{"no package comment", "names", "internal/memory/m.go", "package memory\n", "0 package comments"},
		{"a comment about something else", "names", "internal/memory/m.go", "// Memory.\npackage memory\n", "does not begin"},
		{"a name that says nothing", "names", "internal/util/u.go", "// Package util is.\npackage util\n", "says nothing"},
		{"a dot import", "names", session, "package session\nimport . \"strings\"\n", "into its own names"},
		{"registration by import", "names", session, "package session\nimport _ \"image/png\"\n", "for what its import does"},

		{"an init function", "globals", session, "package session\nfunc init() {}\n", "init function"},
		{"an assigned variable", "globals", session, "package session\nvar n int\nfunc g() { n = 1 }\n", "changes a package variable"},
		{"a counted variable", "globals", session, "package session\nvar n int\nfunc g() { n++ }\n", "changes a package variable"},
		{"a filled map of another file", "globals", session, "package session\nfunc g() { words[\"b\"] = 1 }\n", "changes a package variable"},
		{"an emptied map", "globals", session, "package session\nfunc g() { delete(words, \"a\") }\n", "changes a package variable"},
		{"another package's variable", "globals", session, "package session\nimport \"phantom/internal/store\"\nfunc g() { store.Hook = nil }\n", "changes a package variable"},
		{"a mutex for all", "globals", session, "package session\nimport \"sync\"\nvar mu sync.Mutex\n", "shared state"},
		{"a cache for all", "globals", session, "package session\nvar cache = make(map[string]int)\n", "made to be filled"},
		{name: "a local of the same name", rule: "globals", file: session, text: "package session\nvar n int\nfunc g() { n := n; n++ }\n"},
		{name: "a parameter of the same name", rule: "globals", file: session, text: "package session\nfunc g(words map[string]int) { words[\"b\"] = 1 }\n"},

		{"a long file", "budgets", session, "package session\n" + strings.Repeat("\n", maxFile), "lines, budget 500"},
		{name: "the longest function", rule: "budgets", file: session, text: "package session\nfunc g() {\n" + lines(maxFunc-2) + "}\n"},
		{"a longer function", "budgets", session, "package session\nfunc g() {\n" + lines(maxFunc-1) + "}\n", "101 lines"},
		{name: "the most parameters", rule: "budgets", file: session, text: "package session\nfunc g(a, b, c, d, e, f int) {}\n"},
		{"a parameter more", "budgets", session, "package session\nfunc g(a, b, c, d, e, f, h int) {}\n", "7 parameters"},
		{"a wide interface", "budgets", session, "package session\ntype i interface { A(); B(); C(); D(); E(); F() }\n", "6 methods"},

		{"another's table", "tables", session, "package session\nconst r = `UPDATE turns SET id = 1`\n", "which agent owns"},
		{"another's table in a join", "tables", session, "package session\nconst r = \"SELECT 1 FROM sessions JOIN turns\"\n", "which agent owns"},
		{"a table made elsewhere", "tables", session, "package session\nconst r = `CREATE TABLE x (id)`\n", "outside store"},
		{"an index made elsewhere", "tables", session, "package session\nconst r = `CREATE UNIQUE INDEX x ON y (id)`\n", "outside store"},
		{"a table without an owner", "tables", "internal/store/migrations/0002.sql", "CREATE TABLE x (\n\tid TEXT\n);\n", "has no owner"},
		{"a table after another's", "tables", "internal/store/migrations/0002.sql", "-- owner: agent\nCREATE TABLE x (\n\tid TEXT\n);\nCREATE TABLE y (\n\tid TEXT\n);\n", "table y has no owner"},
		{"an owner that does not exist", "tables", "internal/store/migrations/0002.sql", "-- owner: nobody\nCREATE TABLE x (\n\tid TEXT\n);\n", "has no owner"},
		{name: "prose about a table", rule: "tables", file: session, text: "package session\nconst r = \"a message from turns before\"\n"},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := fstest.MapFS{}
			texts := fixture()
			texts[tt.file] = tt.text
			for name, text := range texts {
				all[name] = &fstest.MapFile{Data: []byte(text)}
			}
			h, err := load(all)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rules {
				if tt.rule == "" || tt.rule == r.name {
					got = append(got, r.run(h)...)
				}
			}
			switch {
			case tt.want == "" && len(got) != 0:
				t.Errorf("reports %q, want none", got)
			case tt.want != "" && !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, tt.want) }):
				t.Errorf("reports %q, want one with %q", got, tt.want)
			}
		})
		if tt.want != "" {
			covered[tt.rule] = true
		}
	}
	for _, r := range rules {
		if !covered[r.name] {
			t.Errorf("rule %s has no test that breaks it", r.name)
		}
	}
}

// TestPackageBudget needs more than one file to break.
func TestPackageBudget(t *testing.T) {
	all := fstest.MapFS{}
	texts := fixture()
	for i := range 5 {
		texts[fmt.Sprintf("internal/session/f%d.go", i)] = "package session\n" + strings.Repeat("\n", maxFile-2)
	}
	for name, text := range maps.All(texts) {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	h, err := load(all)
	if err != nil {
		t.Fatal(err)
	}
	if got := checkBudgets(h); len(got) != 1 || !strings.Contains(got[0], "lines in the package") {
		t.Errorf("reports %q, want the package alone", got)
	}
}

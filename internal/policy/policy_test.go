package policy

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"phantom/internal/phantom"
)

const workspace = "/home/alice/.phantom/workspace"

// nowhere is a file system without links, so that verdicts on names alone are tested.
type nowhere struct{}

func (nowhere) Resolve(path string) (string, error) { return path, nil }
func (nowhere) Glob(string) ([]string, error)       { return nil, nil }
func (nowhere) Read(string) (string, bool)          { return "", true }

func testConfig() Config {
	home := "/home/alice/.phantom"
	return Config{
		Home: home, Workspace: workspace, UserHome: "/home/alice", Files: nowhere{},
		Protected: []string{home + "/config", home + "/data", home + "/phantom-config", home + "/.env.local", home + "/.env", "/usr/local/bin/phantom"},
		Readable:  []string{home + "/phantom-config"},
	}
}

func testPolicy(t testing.TB) *Policy {
	t.Helper()
	p, err := New(testConfig())
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

type sample struct {
	Family, Form, Command string
	Cwd                   string // below the workspace
}

func (s sample) dir() string { return filepath.Join(workspace, s.Cwd) }

func corpus(t testing.TB, name string) []sample {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out []sample
	for line := range bytes.Lines(text) {
		var s sample
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, s)
	}
	if len(out) < 400 {
		t.Fatalf("%s has %d commands, want at least 400", name, len(out))
	}
	return out
}

func TestDangerousCorpus(t *testing.T) {
	p := testPolicy(t)
	type score struct{ refused, all int }
	families, forms := map[string]*score{}, map[string]*score{}
	for _, s := range corpus(t, "dangerous.jsonl") {
		d := p.Explain(s.Command, s.dir())
		refused := d.verdict.Decision != phantom.Allow
		if d.Rule == "unparsable" {
			t.Errorf("%q is refused only because it does not parse: %s", s.Command, d.Reason)
		}
		if !refused {
			t.Logf("let through: %s %s: %q", s.Family, s.Form, s.Command)
		}
		for m, key := range map[*map[string]*score]string{&families: s.Family, &forms: s.Form} {
			if (*m)[key] == nil {
				(*m)[key] = &score{}
			}
			(*m)[key].all++
			if refused {
				(*m)[key].refused++
			}
		}
	}
	for _, f := range slices.Sorted(maps.Keys(families)) {
		t.Logf("%-18s %3d of %3d refused", f, families[f].refused, families[f].all)
	}
	for form, least := range map[string]float64{"plain": 0.99, "wrapped": 0.95, "quoted": 0.95} {
		got := float64(forms[form].refused) / float64(forms[form].all)
		t.Logf("%-18s %3d of %3d refused", form, forms[form].refused, forms[form].all)
		if got < least {
			t.Errorf("%s: refused %.3f of the dangerous commands, want at least %.2f", form, got, least)
		}
	}
}

func TestHarmlessCorpus(t *testing.T) {
	p := testPolicy(t)
	refused, all := 0, 0
	for _, s := range corpus(t, "harmless.jsonl") {
		all++
		d := p.Explain(s.Command, s.dir())
		if d.verdict.Decision == phantom.Allow {
			continue
		}
		refused++
		t.Logf("refused: %s: %q by %s", s.Family, s.Command, d.Rule)
		if s.Family == "mention" {
			t.Errorf("%q only mentions a danger and is refused by %s", s.Command, d.Rule)
		}
	}
	t.Logf("%d of %d harmless commands refused", refused, all)
	if got := float64(refused) / float64(all); got > 0.01 {
		t.Errorf("refused %.3f of the harmless commands, want at most 0.01", got)
	}
}

// A yes holds for the verdict that was shown, and a refusal for good.
func TestVerdictsAreTheSameEachTime(t *testing.T) {
	p := testPolicy(t)
	for _, s := range slices.Concat(corpus(t, "dangerous.jsonl"), corpus(t, "harmless.jsonl")) {
		first := p.Command(s.Command, s.dir())
		for range 3 {
			again := p.Command(s.Command, s.dir())
			if again != first && again.Rule != "too-long" && first.Rule != "too-long" { // a machine may be busy
				t.Errorf("%q: %+v, then %+v", s.Command, first, again)
				break
			}
		}
	}
}

// fired returns the ids of all rules that a line meets.
func fired(p *Policy, d Derivation) []string {
	var out []string
	for _, s := range d.Commands {
		for _, o := range s.Rules {
			out = append(out, o.Rule)
		}
	}
	for _, r := range p.all {
		for _, problem := range d.Problems {
			if r.problem == problem.Kind {
				out = append(out, r.id)
			}
		}
	}
	return out
}

func TestRulesHaveExamples(t *testing.T) {
	p := testPolicy(t)
	text, err := os.ReadFile("testdata/rules.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	type example struct {
		Rule            string
		Matches, Passes []string
	}
	examples := map[string]example{}
	for line := range bytes.Lines(text) {
		var e example
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		examples[e.Rule] = e
	}
	// What is too much for the guard cannot stand in a file of examples.
	examples["too-large"] = example{Matches: []string{"echo " + strings.Repeat("a", 100_001), strings.Repeat(":;", 60_000)}, Passes: []string{"echo a", "echo " + strings.Repeat("a", 90_000)}}
	examples["too-deep"] = example{Matches: []string{strings.Repeat("(", 300) + ":" + strings.Repeat(")", 300), "echo " + strings.Repeat("$(", 300) + strings.Repeat(")", 300)}, Passes: []string{"((1)); (:)", "echo $(echo $(echo a))"}}
	examples["too-long"] = example{Matches: []string{"for i in {1..150}; do for j in {1..150}; do echo $i$j; done; done", strings.Repeat(":;", 9_000)}, Passes: []string{"for i in {1..20}; do echo; done", "while true; do date; sleep 1; done"}}
	seen := map[string]bool{}
	for _, r := range p.all {
		if seen[r.id] {
			t.Errorf("two rules have the id %s", r.id)
		}
		seen[r.id] = true
		if r.id == "" || r.family == "" || r.reason == "" || r.suggestion == "" {
			t.Errorf("rule %q lacks an id, family, reason or suggestion", r.id)
		}
		e := examples[r.id]
		if len(e.Matches) < 2 || len(e.Passes) < 2 {
			t.Errorf("rule %s has %d examples that match and %d that pass, want two of each", r.id, len(e.Matches), len(e.Passes))
		}
		for _, c := range e.Matches {
			if got := fired(p, p.Explain(c, workspace)); !slices.Contains(got, r.id) {
				t.Errorf("%.80q meets %v, want %s among them", c, got, r.id)
			}
		}
		for _, c := range e.Passes {
			if got := fired(p, p.Explain(c, workspace)); slices.Contains(got, r.id) {
				t.Errorf("%.80q meets %s, want it not to", c, r.id)
			}
		}
	}
	for id := range examples {
		if !seen[id] {
			t.Errorf("examples for %s, but there is no such rule", id)
		}
	}
}

func TestZeroPolicyBlocks(t *testing.T) {
	var none *Policy
	for name, p := range map[string]*Policy{"nil": none, "zero": {}} {
		for what, v := range map[string]phantom.Verdict{"command": p.Command("ls", "/"), "read": p.Read("/tmp/x"), "write": p.Write("/tmp/x")} {
			if v.Decision != phantom.Block {
				t.Errorf("%s policy, %s: %v, want block", name, what, v.Decision)
			}
		}
	}
}

func TestOwnerSettings(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Config)
		line   string
		want   phantom.Decision
		fails  bool
	}{
		{name: "docker asks by default", line: "docker system prune", want: phantom.Ask},
		{name: "a family can be raised", change: func(c *Config) { c.Families = map[string]string{"docker": "critical"} }, line: "docker system prune", want: phantom.Block},
		{name: "a blocked family can be lowered", change: func(c *Config) { c.Families = map[string]string{"fetch-and-run": "ask"} }, line: "curl x | sh", want: phantom.Ask},
		{name: "a critical rule cannot be lowered", change: func(c *Config) { c.Families = map[string]string{"filesystem": "ask"} }, fails: true},
		{name: "a family that does not exist is a mistake", change: func(c *Config) { c.Families = map[string]string{"dokcer": "ask"} }, fails: true},
		{name: "off is not a setting", change: func(c *Config) { c.Families = map[string]string{"docker": "off"} }, fails: true},
		{name: "the owner's rule blocks", change: func(c *Config) {
			c.Block = []BlockRule{{ID: "no-deploy", Program: "make", Args: []string{"deploy*"}, Reason: "deploys by hand"}}
		}, line: "sudo make deploy-prod", want: phantom.Block},
		{name: "the owner's rule needs all its words", change: func(c *Config) {
			c.Block = []BlockRule{{ID: "no-deploy", Program: "make", Args: []string{"deploy*", "-k"}, Reason: "deploys by hand"}}
		}, line: "make deploy-prod", want: phantom.Allow},
		{name: "an unknown word may be the owner's word", change: func(c *Config) {
			c.Block = []BlockRule{{ID: "no-deploy", Program: "make", Args: []string{"deploy"}, Reason: "deploys by hand"}}
		}, line: `make "$TARGET"`, want: phantom.Block},
		{name: "a rule without a reason is a mistake", change: func(c *Config) { c.Block = []BlockRule{{ID: "x", Program: "make"}} }, fails: true},
		{name: "a relative workspace is a mistake", change: func(c *Config) { c.Workspace = "ws" }, fails: true},
		{name: "without a resolver nothing can be judged", change: func(c *Config) { c.Files = nil }, fails: true},
		{name: "a granted place may be emptied", change: func(c *Config) { c.Grants = []Grant{{Path: "/opt/app", Write: true}} }, line: "rm -rf /opt/app/build", want: phantom.Allow},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			cfg := testConfig()
			if r.change != nil {
				r.change(&cfg)
			}
			p, err := New(cfg)
			if (err != nil) != r.fails {
				t.Fatalf("New: %v, want an error: %v", err, r.fails)
			}
			if err != nil {
				return
			}
			if got := p.Command(r.line, workspace).Decision; got != r.want {
				t.Errorf("Command(%q) = %v, want %v", r.line, got, r.want)
			}
		})
	}
}

func TestVersionFollowsConfiguration(t *testing.T) {
	cfg := testConfig()
	a := testPolicy(t).Version()
	cfg.Families = map[string]string{"docker": "critical"}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if a == "" || a == b.Version() || a != testPolicy(t).Version() {
		t.Errorf("versions: %q and %q, want two that differ and are stable", a, b.Version())
	}
}

func TestExplainIsJSON(t *testing.T) {
	d := testPolicy(t).Explain("sudo sh -c 'rm -rf /'", workspace)
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"verdict":"block"`, `"rule":"delete-root"`, `"via":["sudo","sh -c"]`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("Explain gives %s, want %s in it", text, want)
		}
	}
}

func TestSpeed(t *testing.T) {
	p := testPolicy(t)
	all := slices.Concat(corpus(t, "dangerous.jsonl"), corpus(t, "harmless.jsonl"))
	var times []time.Duration
	var sum time.Duration
	for _, s := range all {
		begin := time.Now()
		p.Command(s.Command, s.dir())
		times = append(times, time.Since(begin))
		sum += times[len(times)-1]
	}
	slices.Sort(times)
	mean, p99 := sum/time.Duration(len(times)), times[len(times)*99/100]
	t.Logf("mean %v, p99 %v, worst %v of %d commands", mean, p99, times[len(times)-1], len(times))
	if mean > time.Millisecond || p99 > 10*time.Millisecond {
		t.Errorf("mean %v and p99 %v, want at most 1 ms and 10 ms", mean, p99)
	}
}

// worked is the processor time of this process so far, which does not depend
// on what else the machine does.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestHugeInputBlocksSoon bounds the processor's time, because the time on the
// wall is the machine's affair as much as the guard's; BenchmarkHuge shows that.
func TestHugeInputBlocksSoon(t *testing.T) {
	p := testPolicy(t)
	for name, line := range huge() {
		t.Run(name, func(t *testing.T) {
			begin := worked(t)
			v := p.Command(line, workspace)
			if took := worked(t) - begin; took > 300*time.Millisecond*raceFactor {
				t.Errorf("took %v, want at most 300 ms", took)
			}
			if v.Decision == phantom.Allow && !strings.HasPrefix(name, "case") && !strings.HasPrefix(name, "elif") && !strings.HasPrefix(name, "assign") && !strings.Contains(name, "arithmetic") {
				t.Errorf("allowed, want a refusal")
			}
		})
	}
}

// BenchmarkHuge shows how long each of the worst lines takes on the wall.
func BenchmarkHuge(b *testing.B) {
	p := testPolicy(b)
	for name, line := range huge() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Command(line, workspace)
			}
		})
	}
}

// huge are lines that would cost a parser or an expander much.
func huge() map[string]string {
	return map[string]string{
		"over the size":             strings.Repeat("echo a\n", 15_000),
		"brackets 10,000 deep":      strings.Repeat("(", 10_000) + strings.Repeat(")", 10_000),
		"substitutions deep":        strings.Repeat("$(", 10_000),
		"quoted substitutions":      strings.Repeat(`"$(`, 10_000),
		"braces deep":               strings.Repeat("{ ", 10_000),
		"compound words deep":       strings.Repeat("if ", 10_000),
		"loops deep":                strings.Repeat("while true; do ", 5_000),
		"negations":                 strings.Repeat("! ", 40_000) + "ls",
		"arithmetic signs":          "((" + strings.Repeat("!", 50_000) + "1))",
		"test negations":            "[[ " + strings.Repeat("! ", 30_000) + "a ]]",
		"backquotes":                strings.Repeat("`\\`", 20_000),
		"parameters deep":           strings.Repeat("${a:-", 10_000),
		"doubling variable":         "x=aaaaaaaa;" + strings.Repeat("x=$x$x;", 60) + "rm -rf $x",
		"quadratic replacement":     "x=" + strings.Repeat("a", 30_000) + "; y=${x//a/$x$x$x}; rm -rf $y",
		"a great brace expansion":   "rm -rf {1..100000000}",
		"nested brace expansions":   "rm -rf {1..1000}{1..1000}{1..1000}",
		"a long list of commands":   strings.Repeat("x;", 49_000),
		"nested loops":              "for a in {1..900}; do for b in {1..900}; do for c in {1..900}; do echo $a; done; done; done",
		"functions that fan out":    "a(){ b;b;b;b;b;b;b;b; }; b(){ c;c;c;c;c;c;c;c; }; c(){ d;d;d;d;d;d;d;d; }; d(){ e;e;e;e;e;e;e;e; }; e(){ f;f;f;f;f;f;f;f; }; a",
		"a pipeline of 10,000":      "a" + strings.Repeat("|a", 10_000),
		"a chain of 20,000":         "a" + strings.Repeat("&&a", 20_000),
		"a wide printf":             "rm -rf $(printf '%99999999d' 1)",
		"code in code in code":      "python3 -c '" + strings.Repeat("system(\"python3 -c ", 2_000) + "'",
		"assignments of 50,000":     strings.Repeat("a=1 ", 24_000),
		"heredocs":                  strings.Repeat("cat <<A\n", 10_000),
		"elif chain":                "if a; then b; " + strings.Repeat("elif a; then b; ", 5_000) + "fi",
		"case arms":                 "case x in " + strings.Repeat("a) b;; ", 10_000) + "esac",
		"unary minus in arithmetic": "echo $((" + strings.Repeat("- ", 40_000) + "1))",
		"tilde in arithmetic":       "echo $((" + strings.Repeat("~", 40_000) + "1))",
	}
}

func FuzzCommand(f *testing.F) {
	for _, name := range []string{"dangerous.jsonl", "harmless.jsonl"} {
		for i, s := range corpus(f, name) {
			if i%5 == 0 {
				f.Add(s.Command)
			}
		}
	}
	p := testPolicy(f)
	f.Fuzz(func(t *testing.T, line string) {
		begin := time.Now()
		v := p.Command(line, workspace)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%q took %v", line, took)
		}
		if v.Decision != phantom.Allow && (v.Rule == "" || v.Reason == "") {
			t.Errorf("%q is refused without rule or reason: %+v", line, v)
		}
	})
}

// BenchmarkCommand judges both corpora, again and again.
func BenchmarkCommand(b *testing.B) {
	p := testPolicy(b)
	all := slices.Concat(corpus(b, "dangerous.jsonl"), corpus(b, "harmless.jsonl"))
	var times []time.Duration
	for b.Loop() {
		s := all[len(times)%len(all)]
		began := time.Now()
		p.Command(s.Command, s.dir())
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms-guard-mean")
	b.ReportMetric(times[len(times)*99/100].Seconds()*1000, "ms-guard-p99")
}

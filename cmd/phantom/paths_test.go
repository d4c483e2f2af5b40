package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"phantom/internal/llm/wiretest"
	"phantom/internal/store"
)

// The controls that every path answers to, in the order of the table.
var pathControls = []string{"guard", "approval", "sandbox", "netguard", "redactor", "record", "tracker", "taint"}

// cell is one control on one path: what the model does there and what must
// come of it, or why there is nothing to control.
type cell struct {
	none string // why the control has nothing to do on this path

	page bool   // an untrusted page was read before
	does []step // the model's calls, in one turn; the last is the one that counts
	want string // in a result
	asks bool   // the owner is asked, and says no
	file string // of the workspace, that the tracker must name
	op   string // what it must say was done to it
}

// pathRow is one way in which the agent acts.
type pathRow struct {
	path  string
	tool  string // that is called last
	cells map[string]cell
}

const (
	inProcess   = "it runs no program: it opens files through handles of the places that the guard knows"
	dialsItself = "it runs programs, whose network is the sandbox's business: see taint"
	noNetwork   = "it sends nothing anywhere"
	neverAsks   = "nothing that it may do is destructive: it is allowed or blocked"
	noFiles     = "it touches no file of the owner's"
	keptOut     = `python3 look.py {{home}} || echo kept out`
)

// lookForKey is a program whose text tells the guard nothing: what keeps it
// from the key is the sandbox.
const lookForKey = `import os, sys
found = [os.path.join(at, name) for at, _, names in os.walk(sys.argv[1]) for name in names if name.endswith("rol.key")]
print(open(found[0]).read())
`

func onFile(tool string, input func(path string) any) map[string]cell {
	return map[string]cell{
		"guard":    {does: []step{{tool: input("{{home}}/data/phantom.db")}}, want: "blocked"},
		"approval": {none: neverAsks},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{tool: input("token.txt")}}},
		"record":   {does: []step{{tool: input("private.txt")}}},
		"taint":    {none: noNetwork},
	}
}

func with(cells map[string]cell, control string, c cell) map[string]cell {
	cells[control] = c
	return cells
}

func named(path string) any { return map[string]any{"path": path} }

func inJob(command string) step {
	return step{"bash": map[string]any{"command": command, "background": true}}
}

func waitFor(job string) step {
	return step{"bash_job": map[string]any{"job": job, "wait_seconds": 30}}
}

// pathTable is every path and every control.
var pathTable = []pathRow{
	{"bash", "bash", map[string]cell{
		"guard":    {does: []step{{"bash": "rm -rf {{home}}"}}, want: "blocked"},
		"approval": {does: []step{{"bash": "git push --force"}}, want: "not approved", asks: true},
		"sandbox":  {does: []step{{"bash": keptOut}}, want: "kept out"},
		"netguard": {none: dialsItself},
		"redactor": {does: []step{{"bash": "cat token.txt"}}, want: "[redacted]"},
		"record":   {does: []step{{"bash": "true"}}},
		"tracker":  {does: []step{{"bash": "cat private.txt"}}, file: "private.txt", op: "read"},
		"taint":    {page: true, does: []step{{"bash": "curl -sS http://collector.example.net/"}}, want: "not approved", asks: true},
	}},
	{"background job", "bash", map[string]cell{
		"guard":    {does: []step{inJob("rm -rf {{home}}")}, want: "blocked"},
		"approval": {does: []step{inJob("git push --force")}, want: "not approved", asks: true},
		"sandbox":  {does: []step{inJob(keptOut), waitFor("job-1")}, want: "kept out"},
		"netguard": {none: dialsItself},
		"redactor": {does: []step{inJob("cat token.txt"), waitFor("job-2")}, want: "[redacted]"},
		"record":   {does: []step{inJob("true"), waitFor("job-3")}},
		"tracker":  {does: []step{inJob("cp private.txt copy.txt"), waitFor("job-4")}, file: "copy.txt", op: "create"},
		"taint":    {page: true, does: []step{inJob("curl -sS http://collector.example.net/")}, want: "not approved", asks: true},
	}},
	{"bash_job", "bash_job", map[string]cell{
		"guard":    {does: []step{waitFor("job-999")}, want: "no job"},
		"approval": {none: "what it shows and ends was judged when it began"},
		"sandbox":  {none: "it starts nothing"},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{inJob("cat token.txt"), waitFor("job-5")}, want: "[redacted]"},
		"record":   {does: []step{waitFor("job-999")}},
		"tracker":  {none: "the job's own record holds what it touched"},
		"taint":    {none: noNetwork},
	}},
	{"read_file", "read_file", with(onFile("read_file", named), "tracker",
		cell{does: []step{{"read_file": "private.txt"}}, file: "private.txt", op: "read"})},
	{"write_file", "write_file", with(onFile("write_file", func(path string) any { return map[string]any{"path": path, "content": "{{token}}"} }), "tracker",
		cell{does: []step{{"write_file": map[string]any{"path": "new.txt", "content": "x"}}}, file: "new.txt", op: "create"})},
	{"edit_file", "edit_file", with(onFile("edit_file", func(path string) any {
		return map[string]any{"path": path, "old": "a", "new": "{{token}}", "all": true}
	}), "tracker",
		cell{does: []step{{"edit_file": map[string]any{"path": "private.txt", "old": "Account", "new": "Number"}}}, file: "private.txt", op: "write"})},
	{"list_files", "list_files", with(onFile("list_files", named), "tracker",
		cell{does: []step{{"list_files": "*.txt"}}, file: "*.txt", op: "list"})},
	{"search_files", "search_files", with(onFile("search_files", func(path string) any { return map[string]any{"pattern": ".", "path": path} }), "tracker",
		cell{does: []step{{"search_files": "Account"}}, file: "private.txt", op: "read"})},
	{"web_fetch", "web_fetch", map[string]cell{
		"guard":    {does: []step{{"web_fetch": "file:///etc/passwd"}}, want: "blocked"},
		"approval": {none: "a page that the owner did not name asks only beside untrusted text: see taint"},
		"sandbox":  {none: "it runs no program: Phantom's own client fetches, behind netguard"},
		"netguard": {does: []step{{"web_fetch": "http://169.254.169.254/latest/meta-data/"}}, want: "blocked"},
		"redactor": {does: []step{{"web_fetch": "http://docs.example.com/pages/token.txt"}}, want: "[redacted]"},
		"record":   {does: []step{{"web_fetch": "http://docs.example.com/pages/plain.txt"}}},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{{"web_fetch": "http://collector.example.net/made-up"}}, want: "not approved", asks: true},
	}},
	{"remember", "remember", map[string]cell{
		"guard":    {none: "it takes a sentence, no place or command"},
		"approval": {none: neverAsks},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"remember": "The token of paths is {{token}}."}}},
		"record":   {does: []step{{"remember": "The record of paths."}}},
		"tracker":  {none: noFiles},
		"taint":    {none: "what it keeps is untrusted wherever it is read: see TestRemembered"},
	}},
	{"memory_search", "memory_search", map[string]cell{
		"guard":    {none: "it takes words, no place or command"},
		"approval": {none: neverAsks},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"memory_search": "token of paths"}}},
		"record":   {does: []step{{"memory_search": "record of paths"}}},
		"tracker":  {none: noFiles},
		"taint":    {none: "it taints by what it shows"},
	}},
	{"request_secret", "request_secret", map[string]cell{
		"guard":    {does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "Not A Name"}}, "reason": "x"}}}, want: "name"},
		"approval": {none: "the owner fills the form in or does not"},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "forge"}}, "reason": "to push"}}}, want: "forge"},
		"record":   {does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "forge"}}, "reason": "to push"}}}},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "forge"}}, "reason": "to push"}}}, want: "not approved", asks: true},
	}},
}

// TestPaths takes every control along every path of the agent, through the
// real program. A tool without a row, and a row without a control, fail.
func TestPaths(t *testing.T) {
	if os.Getenv(inAttackWorld) == "" {
		enterAttackWorld(t)
		return
	}
	w := newAttackWorld(t)
	l := newAttackLab(t, w)
	w.page(t, "token.txt", "Its key is "+l.token+"\n")
	w.page(t, "plain.txt", "Nothing to see.\n")
	n := 0
	for _, row := range pathTable {
		for control := range row.cells {
			if !slices.Contains(pathControls, control) {
				t.Errorf("%s: there is no control %q", row.path, control)
			}
		}
		for _, control := range pathControls {
			c, ok := row.cells[control]
			if !ok || (c.none == "") == (len(c.does) == 0) {
				t.Errorf("%s has no %s: take it there, or say why there is none", row.path, control)
				continue
			}
			if c.none != "" {
				continue
			}
			n++
			l.clear(t, fmt.Sprintf("p%02d", n))
			l.put(t, "token.txt", "The key is "+l.token+"\n", l.install.home.Workspace())
			l.put(t, "look.py", lookForKey, l.install.home.Workspace())
			for _, wrong := range l.walk(t, row, c) {
				t.Errorf("%s, %s: %s\nresults: %s", row.path, control, wrong, strings.Join(l.model.results, " | "))
			}
		}
	}
	for _, name := range l.model.tools() {
		if !slices.ContainsFunc(pathTable, func(r pathRow) bool { return r.tool == name }) {
			t.Errorf("tool %s has no row in the table of paths", name)
		}
	}
	l.daemon.end()
	l.nowhere(t, l.token)
}

// walk takes one control along one path and returns what went wrong.
func (l *attackLab) walk(t *testing.T, row pathRow, c cell) (wrong []string) {
	t.Helper()
	turns := []turn{{Say: "Go on.", Does: c.does}}
	if c.page {
		read := turn{Say: "Read it.", Does: []step{{"web_fetch": "http://docs.example.com/pages/plain.txt"}}}
		turns = append([]turn{read}, turns...)
	}
	p := l.play(t, turns, strings.NewReplacer("{{home}}", l.install.home.Dir(), "{{token}}", l.token), false)
	if results := strings.Join(l.model.results, "\n"); !strings.Contains(results, c.want) {
		wrong = append(wrong, fmt.Sprintf("no result holds %q", c.want))
	}
	if (len(p.questions) > 0) != c.asks {
		wrong = append(wrong, fmt.Sprintf("questions %q, want some: %t", p.questions, c.asks))
	}
	if strings.Contains(p.requests+p.reply, "/collect/") {
		wrong = append(wrong, "the model was shown a link that is for the owner")
	}
	if strings.Contains(p.requests+p.reply, l.token) {
		wrong = append(wrong, "the token went to the model")
	}
	db, err := store.Open(t.Context(), store.Options{Path: l.install.home.Database(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	count := func(query string, args ...any) (n int) {
		if err := db.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const here = `turn IN (SELECT id FROM turns WHERE conversation = ?)`
	conversation := "terminal:" + l.slug
	intents := count(`SELECT count(*) FROM audit_log WHERE kind = 'intent' AND method = 'tool' AND tool = ? AND `+here, row.tool, conversation)
	closed := count(`SELECT count(*) FROM audit_log WHERE kind = 'outcome' AND intent IN (SELECT seq FROM audit_log WHERE kind = 'intent' AND method = 'tool' AND tool = ? AND `+here+`)`, row.tool, conversation)
	if intents == 0 || closed != intents {
		wrong = append(wrong, fmt.Sprintf("the record has %d intents and %d outcomes", intents, closed))
	}
	if c.op != "" {
		path := filepath.Join(l.install.home.Workspace(), c.file)
		if count(`SELECT count(*) FROM audit_files WHERE op = ? AND path = ? AND `+here, c.op, path, conversation) == 0 {
			wrong = append(wrong, fmt.Sprintf("the tracker does not tell of %s %s", c.op, path))
		}
	}
	return wrong
}

// nowhere looks for a secret in whatever Phantom itself wrote.
func (l *attackLab) nowhere(t *testing.T, secret string) {
	t.Helper()
	home := l.install.home
	entries, err := os.ReadDir(home.Data())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(home.Data(), e.Name()))
		if err != nil {
			continue // the control socket is no file
		}
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s holds the secret", e.Name())
		}
	}
	if strings.Contains(l.daemon.logs.String(), secret) {
		t.Error("the log holds the secret")
	}
}

// tools are the names that the model was told of.
func (o *obedient) tools() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.offered
}

func (o *obedient) offer(r wiretest.Request) {
	o.offered = o.offered[:0]
	for _, tool := range r.Tools {
		o.offered = append(o.offered, tool.Name)
	}
}

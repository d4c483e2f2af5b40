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
	ask   bool   // the turn is an MCP client's, by phantom_ask
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

// inBash are the controls of a command in a turn, of the owner's or of a client's.
func inBash(owner bool) map[string]cell {
	return map[string]cell{
		"guard":    {does: []step{{"bash": "rm -rf {{home}}"}}, want: "blocked"},
		"approval": {does: []step{{"bash": "git push --force"}}, want: "not approved", asks: owner},
		"sandbox":  {does: []step{{"bash": keptOut}}, want: "kept out"},
		"netguard": {none: dialsItself},
		"redactor": {does: []step{{"bash": "cat token.txt"}}, want: "[redacted]"},
		"record":   {does: []step{{"bash": "true"}}},
		"tracker":  {does: []step{{"bash": "cat private.txt"}}, file: "private.txt", op: "read"},
		"taint":    {page: owner, does: []step{{"bash": "curl -sS http://collector.example.net/"}}, want: "not approved", asks: owner},
	}
}

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
	{path: "bash", tool: "bash", cells: inBash(true)},
	// A client's words are not the owner's: they taint as a page does, and what
	// the owner would be asked is refused.
	{path: "MCP", tool: "bash", ask: true, cells: inBash(false)},
	{path: "background job", tool: "bash", cells: map[string]cell{
		"guard":    {does: []step{inJob("rm -rf {{home}}")}, want: "blocked"},
		"approval": {does: []step{inJob("git push --force")}, want: "not approved", asks: true},
		"sandbox":  {does: []step{inJob(keptOut), waitFor("job-1")}, want: "kept out"},
		"netguard": {none: dialsItself},
		"redactor": {does: []step{inJob("cat token.txt"), waitFor("job-2")}, want: "[redacted]"},
		"record":   {does: []step{inJob("true"), waitFor("job-3")}},
		"tracker":  {does: []step{inJob("cp private.txt copy.txt"), waitFor("job-4")}, file: "copy.txt", op: "create"},
		"taint":    {page: true, does: []step{inJob("curl -sS http://collector.example.net/")}, want: "not approved", asks: true},
	}},
	{path: "bash_job", tool: "bash_job", cells: map[string]cell{
		"guard":    {does: []step{waitFor("job-999")}, want: "no job"},
		"approval": {none: "what it shows and ends was judged when it began"},
		"sandbox":  {none: "it starts nothing"},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{inJob("cat token.txt"), waitFor("job-5")}, want: "[redacted]"},
		"record":   {does: []step{waitFor("job-999")}},
		"tracker":  {none: "the job's own record holds what it touched"},
		"taint":    {none: noNetwork},
	}},
	{path: "read_file", tool: "read_file", cells: with(onFile("read_file", named), "tracker",
		cell{does: []step{{"read_file": "private.txt"}}, file: "private.txt", op: "read"})},
	{path: "write_file", tool: "write_file", cells: with(onFile("write_file", func(path string) any { return map[string]any{"path": path, "content": "{{token}}"} }), "tracker",
		cell{does: []step{{"write_file": map[string]any{"path": "new.txt", "content": "x"}}}, file: "new.txt", op: "create"})},
	{path: "edit_file", tool: "edit_file", cells: with(onFile("edit_file", func(path string) any {
		return map[string]any{"path": path, "old": "a", "new": "{{token}}", "all": true}
	}), "tracker",
		cell{does: []step{{"edit_file": map[string]any{"path": "private.txt", "old": "Account", "new": "Number"}}}, file: "private.txt", op: "write"})},
	{path: "list_files", tool: "list_files", cells: with(onFile("list_files", named), "tracker",
		cell{does: []step{{"list_files": "*.txt"}}, file: "*.txt", op: "list"})},
	{path: "search_files", tool: "search_files", cells: with(onFile("search_files", func(path string) any { return map[string]any{"pattern": ".", "path": path} }), "tracker",
		cell{does: []step{{"search_files": "Account"}}, file: "private.txt", op: "read"})},
	{path: "web_fetch", tool: "web_fetch", cells: map[string]cell{
		"guard":    {does: []step{{"web_fetch": "file:///etc/passwd"}}, want: "blocked"},
		"approval": {none: "a page that the owner did not name asks only beside untrusted text: see taint"},
		"sandbox":  {none: "it runs no program: Phantom's own client fetches, behind netguard"},
		"netguard": {does: []step{{"web_fetch": "http://169.254.169.254/latest/meta-data/"}}, want: "blocked"},
		"redactor": {does: []step{{"web_fetch": "http://docs.example.com/pages/token.txt"}}, want: "[redacted]"},
		"record":   {does: []step{{"web_fetch": "http://docs.example.com/pages/plain.txt"}}},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{{"web_fetch": "http://collector.example.net/made-up"}}, want: "not approved", asks: true},
	}},
	{path: "remember", tool: "remember", cells: map[string]cell{
		"guard":    {none: "it takes a sentence, no place or command"},
		"approval": {none: neverAsks},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"remember": "The token of paths is {{token}}."}}},
		"record":   {does: []step{{"remember": "The record of paths."}}},
		"tracker":  {none: noFiles},
		"taint":    {none: "what it keeps is untrusted wherever it is read: see TestRemembered"},
	}},
	{path: "memory_search", tool: "memory_search", cells: map[string]cell{
		"guard":    {none: "it takes words, no place or command"},
		"approval": {none: neverAsks},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"memory_search": "token of paths"}}},
		"record":   {does: []step{{"memory_search": "record of paths"}}},
		"tracker":  {none: noFiles},
		"taint":    {none: "it taints by what it shows"},
	}},
	{path: "forget", tool: "forget", cells: map[string]cell{
		"guard":    {none: "it takes an id, no place or command"},
		"approval": {none: "the owner says what is forgotten: it asks only beside untrusted text"},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"forget": map[string]any{"id": "{{token}}"}}}, want: "[redacted]"},
		"record":   {does: []step{{"forget": map[string]any{"id": "nothing"}}}, want: "no such memory"},
		"tracker":  {none: noFiles},
		"taint":    {none: "what there is to forget differs: see TestForget"},
	}},
	{path: "request_secret", tool: "request_secret", cells: map[string]cell{
		"guard":    {does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "Not A Name"}}, "reason": "x"}}}, want: "name"},
		"approval": {none: "the owner fills the form in or does not"},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "forge"}}, "reason": "to push"}}}, want: "forge"},
		"record":   {does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "forge"}}, "reason": "to push"}}}},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{{"request_secret": map[string]any{"secrets": []any{map[string]any{"name": "forge"}}, "reason": "to push"}}}, want: "not approved", asks: true},
	}},
	{path: "send_message", tool: "send_message", cells: map[string]cell{
		"guard":    {none: "it reaches nobody but the owner"},
		"approval": {none: neverAsks},
		"sandbox":  {none: inProcess},
		"netguard": {none: "a channel sends it, to the service that the owner named"},
		"redactor": {does: []step{{"send_message": map[string]any{"text": "{{token}}"}}}, want: "channels.yaml"},
		"record":   {does: []step{{"send_message": map[string]any{"text": "The record of paths."}}}, want: "channels.yaml"},
		"tracker":  {none: noFiles},
		"taint":    {none: "the owner may read whatever it says"},
	}},
	{path: "register_tool", tool: "register_tool", cells: map[string]cell{
		"guard":    {does: []step{registering("clean_up", "rm -rf {{home}}", false)}, want: "blocked"},
		"approval": {does: []step{registering("greet", "echo hello", false)}, want: "not approved", asks: true},
		"sandbox":  {none: "it runs nothing: see dynamic tool"},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{registering("greet", "echo {{token}}", false)}, want: "not approved", asks: true},
		"record":   {does: []step{registering("Greet", "echo hello", false)}, want: "small letters"},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{registering("greet", "echo hello", false)}, want: "no tool is registered while"},
	}},
	{path: "unregister_tool", tool: "unregister_tool", cells: map[string]cell{
		"guard":    {does: []step{{"unregister_tool": map[string]any{"name": "bash"}}}, want: "no such dynamic tool"},
		"approval": {none: "what it forgets can be registered again: it asks only beside untrusted text"},
		"sandbox":  {none: inProcess},
		"netguard": {none: noNetwork},
		"redactor": {does: []step{{"unregister_tool": map[string]any{"name": "{{token}}"}}}, want: "[redacted]"},
		"record":   {does: []step{{"unregister_tool": map[string]any{"name": "nothing"}}}},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{{"unregister_tool": map[string]any{"name": "nothing"}}}, want: "not approved", asks: true},
	}},
	{path: "dynamic tool", tool: "echo_back", cells: map[string]cell{
		// What its code names leads into data/ while there is such a link.
		"guard":    {does: []step{{"bash": "ln -s .. shelf"}, {"echo_back": map[string]any{}}}, want: "blocked"},
		"approval": {none: "see dynamic tool that asks"},
		"sandbox":  {does: []step{{"echo_back": map[string]any{}}}, want: "kept out"},
		"netguard": {none: dialsItself},
		"redactor": {does: []step{{"echo_back": map[string]any{"seen": []any{"{{token}}"}}}}, want: "[redacted]"},
		"record":   {does: []step{{"echo_back": map[string]any{}}}, want: "{}"},
		"tracker":  {none: "it sees no file of the owner's, and keeps none"},
		"taint":    {page: true, does: []step{{"echo_back": map[string]any{}}}, want: "not approved", asks: true},
	}},
	{path: "tool of another server", tool: "far__echo", cells: map[string]cell{
		"guard":    {none: "what it does is the server's own affair; its name and input are judged: see TestCallsOverHTTP"},
		"approval": {none: "it asks beside untrusted text (see taint) and when the server describes it differently: see TestToolsOfOtherServersAsk"},
		"sandbox":  {none: "it runs elsewhere; a server that is a program of this machine: see TestStandardStreams"},
		"netguard": {none: "the owner named its address, and it has no other: see TestHostileServers"},
		"redactor": {does: []step{{"far__echo": map[string]any{"key": "{{token}}"}}}, want: "[redacted]"},
		"record":   {does: []step{{"far__echo": map[string]any{"say": "hello"}}}, want: `{"say":"hello"}`},
		"tracker":  {none: noFiles},
		"taint":    {page: true, does: []step{{"far__echo": map[string]any{"say": "hello"}}}, want: "not approved", asks: true},
	}},
	{path: "tool of another server whose answers are untrusted", tool: "far__note", cells: map[string]cell{
		"guard":    {none: "see tool of another server"},
		"approval": {none: "see tool of another server"},
		"sandbox":  {none: "see tool of another server"},
		"netguard": {none: "see tool of another server"},
		"redactor": {none: "see tool of another server"},
		"record":   {does: []step{{"far__note": map[string]any{"name": "x"}}}, want: "(no output)"},
		"tracker":  {none: noFiles},
		"taint":    {does: []step{{"far__note": map[string]any{"name": "x"}}, {"far__note": map[string]any{"name": "y"}}}, want: "not approved", asks: true},
	}},
	{path: "dynamic tool that asks", tool: "push_it", cells: map[string]cell{
		"guard":    {none: "see dynamic tool"},
		"approval": {does: []step{{"push_it": map[string]any{}}}, want: "not approved", asks: true},
		"sandbox":  {none: "see dynamic tool"},
		"netguard": {none: dialsItself},
		"redactor": {none: "see dynamic tool"},
		"record":   {does: []step{{"push_it": map[string]any{}}}, want: "not approved", asks: true},
		"tracker":  {none: "it sees no file of the owner's, and keeps none"},
		"taint":    {none: "see dynamic tool"},
	}},
}

// registering asks for a shell tool that takes anything.
func registering(name, code string, network bool) step {
	return step{"register_tool": map[string]any{
		"name": name, "description": "for a test", "input_schema": map[string]any{"type": "object"}, "handler": "shell", "code": code, "network": network,
	}}
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
	l.clear(t, "p00")
	p := l.play(t, []turn{{Say: "Make the tools.", Does: []step{
		registering("echo_back", "cat; cat shelf/data/notes 2>/dev/null; ls -R {{home}} 2>/dev/null | grep rol.key || echo kept out", true), registering("push_it", "git push --force", false),
	}}}, strings.NewReplacer("{{home}}", l.install.home.Dir()), true)
	if len(p.questions) != 2 || !slices.Contains(l.model.tools(), "push_it") {
		t.Fatalf("no tools to test: %q, %q", p.questions, l.model.results)
	}
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
	fill := strings.NewReplacer("{{home}}", l.install.home.Dir(), "{{token}}", l.token)
	conversation := "terminal:" + l.slug
	var p played
	if row.ask {
		conversation = "mcp:lab/" + l.slug
		p = l.playAsked(t, turns, fill)
	} else {
		p = l.play(t, turns, fill, false)
	}
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

// playAsked carries turns out for a client of MCP.
func (l *attackLab) playAsked(t *testing.T, turns []turn, fill *strings.Replacer) (p played) {
	t.Helper()
	if l.asking == nil {
		l.asking = openMCP(t, l.daemon, l.install.tokenCommand("create", "--client", "lab", "--scope", "operator"))
	}
	for _, tn := range turns {
		l.model.begin(calls(t, tn.Does, fill))
		p.reply = l.asking.call("phantom_ask", map[string]any{"message": fill.Replace(tn.Say), "conversation": l.slug})
	}
	p.requests = l.model.asked()
	return p
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

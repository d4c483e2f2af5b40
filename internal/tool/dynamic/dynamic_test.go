package dynamic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/sandbox"
	"phantom/internal/sandbox/sandboxtest"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/tool/file"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// bench is a registry over real parts, in a home of its own.
type bench struct {
	*Registry
	t    testing.TB
	home string
	db   *store.DB
}

// setUp returns a bench whose sandbox is of the level given; zero is the best
// that there is.
func setUp(t testing.TB, level sandbox.Level) *bench {
	t.Helper()
	home := sandboxtest.Home(t)
	b := &bench{t: t, home: home, db: storetest.Open(t)}
	protected := sandboxtest.Protected(home)
	guard, err := policy.New(policy.Config{Home: home, Workspace: b.path(""), UserHome: home, Protected: protected, Files: policy.Disk()})
	if err != nil {
		t.Fatal(err)
	}
	b.Registry, err = New(t.Context(), Deps{
		DB: b.db, Guard: guard, Sandbox: sandboxtest.Open(t, home, level), Places: file.Places{Workspace: filepath.Clean(b.path("")), Protected: protected}, Bash: "/bin/bash",
		Env: []string{"PATH=/opt/bun/bin:/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TERM=dumb"}, Reserved: []string{"bash", "read_file"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) path(name string) string { return filepath.Join(b.home, "workspace", name) }

func (b *bench) put(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

var (
	admin    = phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: phantom.ScopeAdmin}
	operator = phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: phantom.ScopeOperator}
	owner    = phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "terminal", Scope: phantom.ScopeAdmin}
)

// shell is a shell tool that takes anything.
func shell(name, code string) Tool {
	return Tool{Name: name, Description: "for a test", InputSchema: json.RawMessage(`{"type":"object"}`), Handler: Shell, Code: code}
}

func script(name, path string) Tool {
	return Tool{Name: name, Description: "for a test", InputSchema: json.RawMessage(`{"type":"object"}`), Handler: Script, Path: path}
}

// keep registers a tool as an admin client.
func (b *bench) keep(t Tool) Tool {
	b.t.Helper()
	kept, err := b.Register(b.t.Context(), t, admin)
	if err != nil {
		b.t.Fatalf("register: %v", err)
	}
	return kept
}

// call runs a tool for a client of scope operator.
func (b *bench) call(name, input string) Result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(phantom.WithPrincipal(b.t.Context(), operator), time.Minute)
	defer cancel()
	result, err := b.Call(ctx, name, json.RawMessage(input))
	if err != nil {
		b.t.Fatalf("call %s: %v", name, err)
	}
	return result
}

// ran registers shell code, runs it once and returns what came of it.
func (b *bench) ran(code, input string) Result {
	b.t.Helper()
	b.keep(shell("it", code))
	return b.call("it", input)
}

// forced runs code that the guard would ask about: what the sandbox must stop
// may not depend on what the guard makes of it.
func (b *bench) forced(t Tool, input string) Result {
	b.t.Helper()
	if _, err := b.Register(b.t.Context(), t, owner); err != nil {
		b.t.Fatalf("register: %v", err)
	}
	job, err := b.Prepare(t.Name, json.RawMessage(input))
	if err != nil {
		b.t.Fatalf("prepare %s: %v", t.Name, err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	result, err := b.Run(ctx, job)
	if err != nil {
		b.t.Fatalf("run %s: %v", t.Name, err)
	}
	return result
}

// mutate writes to the table behind the registry's back.
func (b *bench) mutate(query string, args ...any) {
	b.t.Helper()
	err := b.db.WithTx(b.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(b.t.Context(), query, args...)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// reopen is a registry on the same home, as after a restart.
func (b *bench) reopen() *Registry {
	b.t.Helper()
	again, err := New(b.t.Context(), b.Deps)
	if err != nil {
		b.t.Fatal(err)
	}
	return again
}

func TestRefusedRegistrations(t *testing.T) {
	b := setUp(t, 0)
	b.put("tool.sh", "echo hello\n")
	b.put("odd", "echo hello\n")
	b.put("perl6.raku", "#!/usr/bin/raku\nsay 1\n")
	b.put("trace.sh", "#!/bin/bash -c\necho hello\n")
	b.put("data.py", "x = '\xff'\n")
	b.put("large.sh", strings.Repeat("# a line\n", maxScript/8))
	b.put("destroy.sh", "echo hello\nrm -rf /\n")
	b.put("destroy.py", "import os\n"+strings.Repeat("print(1)\n", 200)+"os.system('rm -rf /')\n")
	if err := os.Symlink("../config", b.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(b.path("pipe.sh"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.home, "config", "key.sh"), []byte("echo hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Tool)) Tool {
		tool := shell("greet", "echo hello")
		change(&tool)
		return tool
	}
	schema := func(text string) Tool { return with(func(t *Tool) { t.InputSchema = json.RawMessage(text) }) }
	for _, tt := range []struct {
		why  string
		tool Tool
		want string
	}{
		{"a built-in tool's name", shell("bash", "echo hello"), "reserved"},
		{"a name of Phantom's own tools for clients", shell("phantom_ask", "echo hello"), "reserved"},
		{"a name of a tool of another server", shell("far__tool", "echo hello"), "reserved"},
		{"capitals", shell("Greet", "echo hello"), "small letters"},
		{"a digit first", shell("1st", "echo hello"), "small letters"},
		{"no name", shell("", "echo hello"), "small letters"},
		{"a name too long", shell(strings.Repeat("a", 65), "echo hello"), "small letters"},
		{"a line end behind the name", shell("greet\n", "echo hello"), "small letters"},
		{"no description", with(func(t *Tool) { t.Description = " " }), "description"},
		{"a description too long", with(func(t *Tool) { t.Description = strings.Repeat("a", 1001) }), "description"},
		{"the inline kind", with(func(t *Tool) { t.Handler = "inline" }), `"inline" does not exist`},
		{"no kind", with(func(t *Tool) { t.Handler = "" }), "does not exist"},
		{"another case of a kind", with(func(t *Tool) { t.Handler = "Shell" }), "does not exist"},
		{"a negative time", with(func(t *Tool) { t.Timeout = -time.Second }), "timeout_s"},
		{"a time too long", with(func(t *Tool) { t.Timeout = 601 * time.Second }), "timeout_s"},
		{"half a second", with(func(t *Tool) { t.Timeout = 1500 * time.Millisecond }), "timeout_s"},
		{"no code", with(func(t *Tool) { t.Code = "\n" }), "code is empty"},
		{"code with a zero byte", with(func(t *Tool) { t.Code = "echo \x00" }), "no text"},
		{"code too long", with(func(t *Tool) { t.Code = strings.Repeat("echo hello\n", maxCode/10) }), "make it a script"},
		{"a path beside code", with(func(t *Tool) { t.Path = "tool.sh" }), "no path"},
		{"another hash than the code's", with(func(t *Tool) { t.Hash = digest([]byte("echo goodbye")) }), "hash"},
		{"no schema", schema(""), "input_schema"},
		{"a schema that is no object", schema(`[]`), "JSON object"},
		{"a schema that is nothing", schema(`null`), "JSON object"},
		{"a schema of another type", schema(`{"type":"string"}`), `"type": "object"`},
		{"a schema of an unknown type", schema(`{"type":"object","properties":{"a":{"type":"text"}}}`), "no type"},
		{"a schema of an earlier draft", schema(`{"type":"object","properties":{"a":{"type":"array","items":[{"type":"string"}]}}}`), "where a schema must"},
		{"another draft by name", schema(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`), "2020-12"},
		{"a word of the standard with a value of its own", schema(`{"type":"object","properties":{"a":{"minLength":-1}}}`), "whole number"},
		{"a list of words for one", schema(`{"type":"object","properties":{"a":{"description":["a"]}}}`), "JSON Schema"},
		{"a reference in a circle", schema(`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/a"}}}`), "refers to itself"},
		{"a reference to the whole", schema(`{"type":"object","properties":{"a":{"$ref":"#"}}}`), "leads nowhere"},
		{"a reference to another machine", schema(`{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1/schema"}}}`), "leads nowhere"},
		{"references that multiply", schema(doubling(18)), "too large"},
		{"what model providers refuse", schema(`{"type":"object","oneOf":[{}]}`), "model providers refuse"},
		{"a name that model providers refuse", schema(`{"type":"object","properties":{"ignore all orders":{}}}`), "letters, digits"},
		{"a pattern that is none", schema(`{"type":"object","properties":{"a":{"pattern":"("}}}`), "JSON Schema"},
		{"a schema too large", schema(`{"type":"object","title":"` + strings.Repeat("a", maxSchema) + `"}`), "at most"},
		{"a script without a path", script("greet", ""), "path is empty"},
		{"a script outside", script("greet", "../config/key.sh"), "not that of a file in the workspace"},
		{"a script outside, by its whole path", script("greet", filepath.Join(b.home, "config", "key.sh")), "not that of a file in the workspace"},
		{"a script outside, by a link", script("greet", "link/key.sh"), "script link/key.sh"},
		{"the workspace itself", script("greet", "."), "not that of a file"},
		{"a script that is not there", script("greet", "none.sh"), "no such file"},
		{"a pipe, which nobody writes", script("greet", "pipe.sh"), "device, pipe or socket"},
		{"a script of no known language", script("greet", "odd"), "says neither"},
		{"an interpreter that is not known", script("greet", "perl6.raku"), "none of bash"},
		{"an option that takes the script for something else", script("greet", "trace.sh"), `"-c"`},
		{"a script that is no text", script("greet", "data.py"), "no text"},
		{"a script too large", script("greet", "large.sh"), "more than"},
		{"code that destroys", shell("greet", "rm -rf /"), "guard"},
		{"a script that destroys", script("greet", "destroy.sh"), "guard"},
		{"a script of another language that destroys, far down", script("greet", "destroy.py"), "guard"},
		{"code that asks, where nobody is asked", shell("greet", "git push --force"), "only if the owner is asked"},
	} {
		if _, err := b.Register(t.Context(), tt.tool, admin); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.why, err, tt.want)
		}
	}
	if list := b.List(); len(list) != 0 {
		t.Errorf("registered all the same: %+v", list)
	}
}

// doubling is a schema whose size with its references written out is 2^n.
func doubling(n int) string {
	var defs strings.Builder
	defs.WriteString(`"d0":{"type":"string"}`)
	for i := range n {
		defs.WriteString(fmt.Sprintf(`,"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i+1, i, i))
	}
	return fmt.Sprintf(`{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"}},"$defs":{%s}}`, n, defs.String())
}

// Only who is known to be allowed to registers, and calls.
func TestPrincipals(t *testing.T) {
	b := setUp(t, 0)
	b.keep(shell("greet", "echo hello"))
	for _, tt := range []struct {
		by               phantom.Principal
		registers, calls bool
	}{
		{phantom.Principal{}, false, false},
		{phantom.Principal{Kind: phantom.KindStranger, Scope: phantom.ScopeAdmin}, false, false},
		{phantom.Principal{Kind: phantom.KindSystem, Scope: phantom.ScopeAdmin}, false, false},
		{phantom.Principal{Kind: phantom.KindClient}, false, false},
		{phantom.Principal{Kind: phantom.KindClient, Scope: phantom.ScopeRead}, false, false},
		{operator, false, true},
		{admin, true, true},
		{owner, true, true},
	} {
		if _, err := b.Register(t.Context(), shell("greet", "echo hello"), tt.by); (err == nil) != tt.registers {
			t.Errorf("%+v registers: %v, want %t", tt.by, err, tt.registers)
		}
		if _, err := b.Call(phantom.WithPrincipal(t.Context(), tt.by), "greet", nil); (err == nil) != tt.calls {
			t.Errorf("%+v calls: %v, want %t", tt.by, err, tt.calls)
		}
		if err := b.Unregister(phantom.WithPrincipal(t.Context(), tt.by), "none"); errors.Is(err, ErrUnknown) != tt.registers {
			t.Errorf("%+v unregisters: %v, want that it may: %t", tt.by, err, tt.registers)
		}
	}
	if _, err := b.Run(t.Context(), Job{Tool: shell("greet", "echo hello")}); err == nil {
		t.Error("a call that was not prepared ran")
	}
}

// What the guard asks about is the owner's to register, and no client's to call.
func TestCodeThatAsks(t *testing.T) {
	b := setUp(t, 0)
	kept, err := b.Register(t.Context(), shell("push", "git push --force"), owner)
	if err != nil || !kept.ByOwner() {
		t.Fatalf("the owner registers it: %+v, %v", kept, err)
	}
	job, err := b.Prepare("push", nil)
	if err != nil || job.Verdict.Decision != phantom.Ask {
		t.Errorf("got %+v, %v; want a verdict that asks", job.Verdict, err)
	}
	if _, err := b.Call(phantom.WithPrincipal(t.Context(), operator), "push", nil); err == nil || !strings.Contains(err.Error(), "only if the owner is asked") {
		t.Errorf("a client's call: %v", err)
	}
}

// The guard is asked again at each call: what a name leads to may have changed.
func TestGuardJudgesAgain(t *testing.T) {
	b := setUp(t, 0)
	b.keep(shell("notes", "cat shelf/data/notes; echo read"))
	if got := b.call("notes", "{}"); !strings.Contains(got.Text, "read") {
		t.Errorf("got %+v", got)
	}
	if err := os.Symlink("..", b.path("shelf")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Call(phantom.WithPrincipal(t.Context(), admin), "notes", nil); err == nil || !strings.Contains(err.Error(), "the guard refuses") {
		t.Errorf("the call: %v", err)
	}
	if _, err := b.Run(t.Context(), mustPrepare(t, b, "notes")); err == nil {
		t.Error("a blocked call ran")
	}
}

func mustPrepare(t *testing.T, b *bench, name string) Job {
	t.Helper()
	job, err := b.Prepare(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestToolsSurviveARestart(t *testing.T) {
	b := setUp(t, 0)
	b.put("tool.sh", "echo hello\n")
	b.keep(shell("greet", "echo hello"))
	b.keep(Tool{
		Name: "count", Description: "counts", Handler: Script, Path: filepath.Join(b.home, "workspace", "tool.sh"), Network: true, Timeout: 5 * time.Second,
		InputSchema: json.RawMessage(`{ "type": "object", "properties": {"n": {"type": "integer"}} }`),
	})
	want := b.List()
	if len(want) != 2 || want[0].Name != "count" || want[0].Path != "tool.sh" || want[0].RegisteredBy != "client:ci" || want[0].ByOwner() ||
		want[1].Timeout != DefaultTimeout || want[1].Hash != digest([]byte("echo hello")) || time.Since(want[1].Registered) > time.Minute {
		t.Errorf("registered: %+v", want)
	}
	if got := b.reopen().List(); !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart %+v, before %+v", got, want)
	}
	if err := b.Unregister(phantom.WithPrincipal(t.Context(), admin), "count"); err != nil {
		t.Fatal(err)
	}
	if err := b.Unregister(phantom.WithPrincipal(t.Context(), admin), "count"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a second time: %v, want ErrUnknown", err)
	}
	if _, err := b.Prepare("count", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("a call of what was forgotten: %v, want ErrUnknown", err)
	}
	if got := b.reopen().List(); len(got) != 1 {
		t.Errorf("after a restart %+v", got)
	}
}

// A row that cannot be used is reported and holds up nothing.
func TestBrokenRows(t *testing.T) {
	b := setUp(t, 0)
	for _, name := range []string{"fine", "schema", "handler", "code", "nobody", "network", "described", "Odd"} {
		if name != "Odd" {
			b.keep(shell(name, "echo "+name))
		}
	}
	b.mutate(`UPDATE dynamic_tools SET input_schema = '{"type":' WHERE name = 'schema'`)
	b.mutate(`UPDATE dynamic_tools SET handler = 'inline' WHERE name = 'handler'`)
	b.mutate(`UPDATE dynamic_tools SET code = 'echo something else' WHERE name = 'code'`)
	b.mutate(`UPDATE dynamic_tools SET registered_by = '' WHERE name = 'nobody'`)
	b.mutate(`UPDATE dynamic_tools SET network = 'yes', timeout_s = 9223372036854775807 WHERE name = 'network'`)
	b.mutate(`UPDATE dynamic_tools SET description = x'ff00' WHERE name = 'described'`)
	b.mutate(`INSERT INTO dynamic_tools SELECT 'bash', description, input_schema, handler, code, path, network, timeout_s, hash, registered_by, registered_at FROM dynamic_tools WHERE name = 'fine'`)
	b.mutate(`INSERT INTO dynamic_tools SELECT 'Odd', description, input_schema, handler, code, path, network, timeout_s, hash, registered_by, registered_at FROM dynamic_tools WHERE name = 'fine'`)
	b.Registry = b.reopen()
	var broken []string
	for _, each := range b.Broken() {
		if each.Reason == "" {
			t.Errorf("%s is broken without a reason", each.Name)
		}
		broken = append(broken, each.Name)
	}
	if got, want := strings.Join(broken, " "), "Odd bash code described handler network nobody schema"; got != want {
		t.Errorf("broken: %s, want %s", got, want)
	}
	if got := b.call("fine", "{}"); got.Text != "fine" {
		t.Errorf("the others work: %+v", got)
	}
	if _, err := b.Prepare("code", nil); err == nil || !strings.Contains(err.Error(), "not the one that was registered") {
		t.Errorf("a call of a broken one: %v", err)
	}
	b.keep(shell("code", "echo mended"))
	if got := b.call("code", "{}"); got.Text != "mended" {
		t.Errorf("registered again: %+v", got)
	}
	if err := b.Unregister(phantom.WithPrincipal(t.Context(), admin), "Odd"); err != nil {
		t.Errorf("forget a broken one: %v", err)
	}
}

// Whoever watches learns of a change, and of many as one.
func TestChanges(t *testing.T) {
	b := setUp(t, 0)
	changed, end := b.Changes()
	b.keep(shell("greet", "echo hello"))
	b.keep(shell("greet", "echo good morning"))
	if got := b.call("greet", "{}"); got.Text != "good morning" {
		t.Errorf("a name that was registered again: %+v", got)
	}
	<-changed
	select {
	case <-changed:
		t.Error("two changes that nobody looked at are two wake-ups")
	default:
	}
	end()
	if err := b.Unregister(phantom.WithPrincipal(t.Context(), admin), "greet"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("a wake-up after the end")
	default:
	}
}

// The tools are bounded in number and in what they say: all of it goes to the model.
func TestBounds(t *testing.T) {
	b := setUp(t, 0)
	said := shell("large", "echo hello")
	said.InputSchema = json.RawMessage(`{"type":"object","title":"` + strings.Repeat("é", (maxSchema-100)/2) + `"}`) // two bytes each
	for i := range maxSaid / maxSchema {
		said.Name = fmt.Sprintf("large_%d", i)
		b.keep(said)
	}
	said.Name = "one_more"
	if _, err := b.Register(t.Context(), said, admin); err == nil || !strings.Contains(err.Error(), "unregister one first") {
		t.Errorf("too much said: %v", err)
	}
	said.Name = "large_0"
	b.keep(said) // in its own place there is room
	for i := range maxTools - maxSaid/maxSchema {
		b.mutate(`INSERT INTO dynamic_tools SELECT ?, description, '{"type":"object"}', handler, code, path, network, timeout_s, hash, registered_by, registered_at FROM dynamic_tools WHERE name = 'large_0'`, fmt.Sprintf("small_%d", i))
	}
	if _, err := b.Register(t.Context(), shell("one_more", "echo hello"), admin); err == nil || !strings.Contains(err.Error(), "unregister one first") {
		t.Errorf("too many: %v", err)
	}
}

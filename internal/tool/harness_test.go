package tool

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/memory"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/sandbox"
	"phantom/internal/sandbox/sandboxtest"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/tool/dynamic"
	"phantom/internal/tool/file"
	"phantom/internal/vault"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// planted is a secret that the process knows.
const planted = "planted-value-0123456789abcdef"

// site is the network: what the addresses hold.
type site map[string]netguard.Page

func (s site) URL(raw string) phantom.Verdict {
	if _, known := s[raw]; known {
		return phantom.Allowed()
	}
	return phantom.Verdict{Decision: phantom.Block, Rule: "address", Reason: raw + " is refused"}
}

func (s site) Get(_ context.Context, raw string, _ ...netguard.Header) (netguard.Page, error) {
	return s[raw], nil
}

// bench is a chain over real parts, in a home of its own.
type bench struct {
	*Chain
	t         testing.TB
	home      string
	db        *store.DB
	log       *audit.Log
	questions *approval.Store
	vault     *vault.Store

	mu     sync.Mutex // guards what follows
	events []Event
	answer func(approval.Question) // to what the owner is asked
}

// setUp returns a bench; change may alter what the chain is built from.
func setUp(t testing.TB, change func(*Deps)) *bench {
	t.Helper()
	home := sandboxtest.Home(t)
	b := &bench{t: t, home: home, db: storetest.Open(t)}
	protected := sandboxtest.Protected(home)
	b.put("../config/phantom.yaml", "precious")
	guard, err := policy.New(policy.Config{Home: home, Workspace: b.path(""), UserHome: home, Protected: protected, Files: policy.Disk()})
	if err != nil {
		t.Fatal(err)
	}
	redactor := secret.NewRedactor(secret.New(planted))
	b.log = audittest.Open(t, b.db, redactor)
	if b.questions, err = approval.New(b.db); err != nil {
		t.Fatal(err)
	}
	recall, err := memory.New(memory.Deps{DB: b.db, Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	b.vault, err = vault.Open(t.Context(), vault.Options{
		DB: b.db, Redactor: redactor, Recorder: unrecorded{}, KeyFile: filepath.Join(home, "data", "vault.key"), BaseURL: "https://ada.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	d := Deps{
		DB: b.db, Guard: guard, Sandbox: sandboxtest.Open(t, home, 0), Web: site{}, Memory: recall, Statement: statement, Secrets: b.vault, Mail: &post{}, Approvals: b.questions, Audit: b.log, Redactor: redactor,
		Places: file.Places{Workspace: b.path(""), Protected: protected}, Log: slog.New(slog.DiscardHandler),
		Shell: Shell{Path: "/bin/bash", Profile: sandbox.Computer, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + b.path("")}},
	}
	if change != nil {
		change(&d)
	}
	d.Dynamic, err = dynamic.New(t.Context(), dynamic.Deps{
		DB: b.db, Guard: d.Guard, Sandbox: d.Sandbox, Places: d.Places, Bash: d.Shell.Path, Reserved: BuiltIn(),
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TERM=dumb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.Chain, err = New(d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// unrecorded stands for the record of changes of the vault, which is the
// vault's own affair.
type unrecorded struct{}

func (unrecorded) Record(ctx context.Context, _, _ string, do func(context.Context) error) error {
	return do(ctx)
}

// path is that of a file in the workspace.
func (b *bench) path(name string) string { return filepath.Join(b.home, "workspace", name) }

func (b *bench) put(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) owner(ctx context.Context) context.Context {
	ctx = phantom.WithReading(ctx, phantom.Reading{})
	ctx = phantom.WithTurn(ctx, phantom.TurnRef{Turn: "t1", Conversation: "terminal:main"})
	return phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "terminal"})
}

func (b *bench) emit(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	if e.Kind == Asked && b.answer != nil {
		go b.answer(*e.Question)
	}
}

func (b *bench) seen() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Event(nil), b.events...)
}

// call takes a call of the owner's through the chain.
func (b *bench) call(name string, args any) phantom.ToolResult {
	b.t.Helper()
	return b.callIn(b.owner(b.t.Context()), name, args)
}

func (b *bench) callIn(ctx context.Context, name string, args any) phantom.ToolResult {
	b.t.Helper()
	input, err := json.Marshal(args)
	if err != nil {
		b.t.Fatal(err)
	}
	result, err := b.Call(ctx, phantom.ToolCall{ID: phantom.CallID(phantom.NewID()), Name: name, Input: input}, b.emit)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// decide makes the owner answer what is asked, after doing something else.
func (b *bench) decide(yes bool, first func()) {
	b.answer = func(q approval.Question) {
		if first != nil {
			first()
		}
		if _, err := b.questions.Decide(b.owner(context.Background()), q.Number, yes); err != nil {
			b.t.Error(err)
		}
	}
}

// rows are the outcomes in the audit log, oldest first.
func (b *bench) rows(kind string) []audit.Row {
	b.t.Helper()
	all, err := b.log.Tail(b.t.Context(), audit.Filter{Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	var rows []audit.Row
	for _, r := range all {
		if r.Kind == kind {
			rows = append(rows, r)
		}
	}
	return rows
}

// files are the file events in the audit log as "op path".
func (b *bench) files() []string {
	b.t.Helper()
	all, err := b.log.Files(b.t.Context(), "", 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	var events []string
	for _, f := range all {
		events = append(events, string(f.Op)+" "+strings.TrimPrefix(f.Path, b.path("")+"/"))
	}
	return events
}

// wants checks a result.
func wants(t testing.TB, got phantom.ToolResult, failed bool, text string) {
	t.Helper()
	if got.IsError != failed || !strings.Contains(got.Content, text) {
		t.Errorf("result = failed %v, %q; want failed %v with %q", got.IsError, got.Content, failed, text)
	}
}

// statement takes a text that begins with "owner:" for the owner's own word.
func statement(text string, _ []string) memory.Item {
	text, own := strings.CutPrefix(text, "owner:")
	item := memory.Item{Text: text, Provenance: phantom.Tool}
	if own {
		item.Provenance = phantom.Owner
	}
	return item
}

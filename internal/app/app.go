// Package app is the only package that knows every concrete part.
//
// It builds them in the order of their dependencies, runs them and stops them
// in reverse. It owns no rule of its own: a part is off by configuration or
// the process does not start. It refuses a home that another process holds, a
// sandbox below the required level, and keys that are damaged.
package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"phantom/internal/access"
	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/channel/terminal"
	"phantom/internal/channel/webhook"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/evolve"
	"phantom/internal/httpserver"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/mcpserver"
	"phantom/internal/memory"
	"phantom/internal/policy"
	"phantom/internal/prompt"
	"phantom/internal/remember"
	"phantom/internal/router"
	"phantom/internal/sandbox"
	"phantom/internal/schedule"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/session"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/tool"
	"phantom/internal/tool/dynamic"
	"phantom/internal/tool/remote"
	"phantom/internal/vault"
)

// ownerName is the owner's identity at the terminal: whoever can read the
// home's control key.
const ownerName = "owner"

// recoverTimeout bounds the wait for processes of a killed Phantom to die. They
// die in milliseconds; one that the kernel holds must be seen by a person.
const recoverTimeout = 30 * time.Second

// Options say what to build.
type Options struct {
	Config   *config.Config
	Version  string
	Helper   []string // argv prefix that runs this program as the sandbox's helper
	HTTP     bool     // listen on the configured port; a one-shot `ask` does not
	Log      *slog.Logger
	Redactor *secret.Redactor // the one that Log goes through; it learns every stored secret
}

// App is a whole Phantom, not yet running.
type App struct {
	Options
	began     time.Time
	shutdown  context.CancelFunc
	stopped   context.Context  // ends when a command asks for shutdown
	redact    *secret.Redactor // knows every secret that the process was given
	db        *store.DB
	jobs      *job.Queue
	audit     *audit.Log
	vault     *vault.Store
	access    *access.Registry
	ledger    *spend.Ledger
	approvals *approval.Store
	guard     *policy.Policy
	sandbox   *sandbox.Sandbox
	tools     *tool.Chain
	dynamic   *dynamic.Registry
	remote    *remote.Registry
	memory    *memory.Store
	eraser    *remember.Eraser
	lessons   *remember.Service
	versions  *selfconf.Store
	evolution *evolve.Service
	counts    counted
	terminal  *terminal.Channel
	prompt    *prompt.Builder
	tasks     *schedule.Tasks
	thinker   *agent.Agent
	adapters  []adapter        // the channels to services of others
	webhook   *webhook.Channel // nil where it is off
	router    *router.Router
	control   *control.Server
	http      *httpserver.Server
	mcp       *mcpserver.Server // nil where nothing listens
	llm       llm.Model         // metered, for doctor
	model     string            // the name under which the model is asked for
	undo      []cleanup         // what was built, newest last
}

// cleanup undoes one step of the construction.
type cleanup struct {
	what string
	do   func() error
}

// New takes the home, brings what a killed process left into order and builds
// every part. If one fails, those before it are undone. Run or Close must
// follow.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Config == nil || len(o.Helper) == 0 || o.Log == nil || o.Redactor == nil {
		return nil, errors.New("app: no config, helper, log or redactor")
	}
	a := &App{Options: o, began: time.Now(), redact: o.Redactor}
	a.stopped, a.shutdown = context.WithCancel(context.WithoutCancel(ctx))
	// The order is the dependencies' own; each step may use what stands above it.
	for _, step := range []func(context.Context) error{
		a.takeHome, a.openStore, a.openVault, a.openAccess, a.openGuard, a.openMind, a.openDoors,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// onClose notes how to undo a step.
func (a *App) onClose(what string, do func() error) { a.undo = append(a.undo, cleanup{what, do}) }

// Close undoes the construction, newest part first.
func (a *App) Close() error {
	a.shutdown()
	var errs []error
	for _, c := range slices.Backward(a.undo) {
		if err := c.do(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.what, err))
		}
	}
	a.undo = nil
	return errors.Join(errs...)
}

func (a *App) takeHome(context.Context) error {
	lock, err := a.Config.Home.Lock()
	if err != nil {
		return err
	}
	a.onClose("lock", lock.Close)
	return nil
}

// openStore opens the database and what keeps its books.
func (a *App) openStore(ctx context.Context) error {
	// The key comes first: a database without it has lost what vouches for its
	// record, so only a home that has no database yet gets a new one.
	_, err := os.Lstat(a.Config.Home.Database())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the database: %w", err)
	}
	key, _, err := loadKey(a.Config.Home.LogKey(), err != nil)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{Path: a.Config.Home.Database()})
	if err != nil {
		return err
	}
	a.db = db
	a.onClose("database", db.Close)
	if a.jobs, err = job.New(ctx, db, a.part("job")); err != nil {
		return err
	}
	a.redact.Add(key)
	if err := a.openAudit(ctx, key); err != nil {
		return err
	}
	if a.ledger, err = spend.New(db, prices(a.Config), spend.Ceilings(a.Config.Spend)); err != nil {
		return err
	}
	if _, err := a.audit.Recover(ctx); err != nil {
		return err
	}
	if err := a.recordRun(ctx); err != nil {
		return err
	}
	return a.ledger.Recover(ctx)
}

// openAudit opens the audit log. Only one that was never signed gets a new key:
// with another one nobody could check what the old one vouched for.
func (a *App) openAudit(ctx context.Context, key secret.Value) error {
	signed, err := audit.Signed(ctx, a.db)
	if err != nil {
		return err
	}
	signing, created, err := loadKey(a.Config.Home.SigningKey(), !signed)
	if err != nil {
		return err
	}
	a.redact.Add(signing)
	a.audit, err = audit.New(ctx, audit.Deps{
		DB: a.db, Redactor: a.redact, Key: key, Signing: signing, NewKey: created, Checkpoints: a.Config.Home.Checkpoints(),
		Retention: time.Duration(a.Config.RetentionDays) * 24 * time.Hour, Log: a.part("audit"),
	})
	if err != nil {
		return err
	}
	a.onClose("audit log", func() error { return a.audit.Close(context.WithoutCancel(ctx)) })
	return nil
}

// recordRun records the life of this process and the configuration that it
// works by, which is read only here: where the digest differs from that of
// the start before, the configuration was changed in between.
func (a *App) recordRun(ctx context.Context) error {
	intent, err := a.audit.Intent(ctx, audit.Entry{
		Surface: "process", Principal: "phantom", Method: "start", Target: "phantom " + a.Version, Input: "config sha256:" + a.Config.Digest,
	})
	if err != nil {
		return err
	}
	a.onClose("record of this run", func() error {
		return a.audit.Outcome(context.WithoutCancel(ctx), intent, audit.Outcome{Status: audit.OK, Detail: "stopped", Duration: time.Since(a.began)})
	})
	return nil
}

func (a *App) part(name string) *slog.Logger { return a.Log.With(slog.String("component", name)) }

// openGuard builds what judges and confines the tools, and ends what commands
// of a killed process still run: nothing may resume before they are dead.
func (a *App) openGuard(ctx context.Context) error {
	guards, err := NewGuards(a.Config)
	if err != nil {
		return err
	}
	a.guard = guards.Policy
	conf, err := sandboxConfig(a.Config, a.Helper)
	if err != nil {
		return err
	}
	if a.sandbox, err = sandbox.New(ctx, conf); err != nil {
		return err
	}
	recovering, cancel := context.WithTimeout(ctx, recoverTimeout)
	defer cancel()
	killed, err := a.sandbox.Recover(recovering)
	if err != nil {
		return fmt.Errorf("end what an earlier process left running: %w", err)
	}
	if killed > 0 {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "ended processes that an earlier phantom left behind", slog.Int("trees", killed))
	}
	if a.approvals, err = approval.New(a.db); err != nil {
		return err
	}
	if err := a.openVersions(ctx); err != nil {
		return err
	}
	if err := a.openMemory(ctx); err != nil {
		return err
	}
	if err := a.openDynamic(ctx, guards.Policy); err != nil {
		return err
	}
	if err := a.openRemote(guards.Web); err != nil {
		return err
	}
	a.openWebhook(ctx, guards.Web)
	post, err := a.openEmail()
	if err != nil {
		return err
	}
	if post != nil {
		a.adapters = append(a.adapters, post)
	}
	a.tools, err = tool.New(tool.Deps{
		DB: a.db, Guard: guards.Policy, Sandbox: a.sandbox, Web: guards.Web, Memory: a.memory, Statement: remember.Statement, Secrets: a.vault, Approvals: a.approvals, Audit: a.audit, Dynamic: a.dynamic, Clients: a.holders(),
		Redactor: a.redact, Places: places(a.Config), Shell: shell(a.Config), Log: a.part("tool"),
		Remote: a.remote, Messenger: messenger{a}, Mail: newMailer(post),
	})
	if err != nil {
		return err
	}
	a.onClose("background jobs", func() error { a.tools.Close(); return nil })
	return nil
}

// openMind builds the agent and what it thinks with.
func (a *App) openMind(ctx context.Context) error {
	model, name, err := newModel(a.Config, a.ledger)
	if err != nil {
		return err
	}
	a.model, a.llm = name, model("doctor")
	sessions, err := session.New(a.db)
	if err != nil {
		return err
	}
	a.prompt, err = prompt.New(prompt.Config{
		Environment: prompt.Environment{
			Name: a.Config.Name, Workspace: a.Config.Home.Workspace(), Evolved: a.Config.Home.Evolved(), PublicURL: a.Config.PublicURL,
			Machine: runtime.GOOS + "/" + runtime.GOARCH,
			Sandbox: fmt.Sprintf("level %s, profile %s; configuration, data, keys and environment files are closed to every tool", a.sandbox.Level(), a.Config.Guard.Profile),
			Limits:  limitsText(a.Config),
		},
		Role:  prompt.Role{Name: a.Config.Role, Description: a.Config.RoleDescription},
		Tools: a.tools.Specs,
	})
	if err != nil {
		return err
	}
	thinker, err := agent.New(agent.Deps{
		DB: a.db, Sessions: sessions, Model: model("turn"), Summaries: model("compaction"),
		ModelName: name, Effort: a.Config.Effort, Tools: a.tools, Approvals: a.approvals, Prompt: a.prompt, Memory: a.memory, Lessons: ended{a}, Spend: a.ledger, Redactor: a.redact,
		Limits: agent.Limits{Steps: a.Config.MaxSteps, Time: a.Config.Timeout, MaxTokens: maxTokens(name), Window: llm.Window(name)},
		Log:    a.part("agent"),
	})
	if err != nil {
		return err
	}
	if err := a.openTasks(thinker); err != nil {
		return err
	}
	a.thinker = thinker
	if err := a.openLessons(model, name); err != nil {
		return err
	}
	if err := a.openEvolution(model, name, a.guard); err != nil {
		return err
	}
	if a.terminal, err = terminal.Open(a.Config.Home.TerminalLog()); err != nil {
		return err
	}
	a.onClose("terminal log", a.terminal.Close)
	for _, open := range []func() error{a.openSlack, a.openTelegram} {
		if err := open(); err != nil {
			return err
		}
	}
	if err := a.openChannels(); err != nil {
		return err
	}
	return a.tasks.Recover(ctx)
}

// openDoors listens. From here on callers wait instead of being refused.
func (a *App) openDoors(ctx context.Context) error {
	key, _, err := loadKey(a.Config.Home.ControlKey(), true)
	if err != nil {
		return err
	}
	a.redact.Add(key)
	tokens, err := a.issuer()
	if err != nil {
		return err
	}
	a.control, err = control.Listen(ctx, control.Deps{
		Socket: a.Config.Home.ControlSocket(), Key: key, Owner: ownerName, Router: a.router, Tasks: a.tasks, Approvals: a.approvals, Audit: a.audit,
		Secrets: a.vault, Collect: a.vault.Request, Tokens: tokens, Tools: a.dynamic, Memories: a.memory, Pins: a.remote, Evolution: Evolution{a.evolution, a.versions},
		Status:   func(ctx context.Context) any { return a.Status(ctx) },
		Doctor:   func(ctx context.Context) any { return a.Doctor(ctx) },
		Rooms:    a.rooms,
		Prompt:   func(ctx context.Context) (any, error) { return a.Prompt(ctx) },
		Shutdown: a.shutdown, Log: a.part("control"),
	})
	if err != nil {
		return err
	}
	a.onClose("control socket", a.control.Close)
	if !a.HTTP {
		return nil
	}
	routes, err := a.httpRoutes()
	if err != nil {
		return err
	}
	a.http, err = httpserver.Listen(ctx, httpserver.Deps{Host: a.Config.Host, Port: a.Config.Port, Health: a.health, Routes: routes, Log: a.part("http")})
	if err != nil {
		return err
	}
	a.onClose("http server", a.http.Close)
	return nil
}

// Addr is where HTTP is served, or "".
func (a *App) Addr() string {
	if a.http == nil {
		return ""
	}
	return a.http.Addr()
}

// Run works until ctx ends, a command asks for shutdown or a part fails. Then
// intake ends, turns end or are left to their journals, replies are flushed,
// doors and jobs close, and the database goes last.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.stopped, cancel)()
	doors, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoors()

	var parts sync.WaitGroup
	errs := make(chan error, 12) // one a part and Close
	run := func(name string, part func() error) {
		parts.Go(func() {
			if err := part(); err != nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		})
	}
	run("audit", func() error { return a.audit.Run(doors) })
	run("jobs", func() error { return a.jobs.Run(doors, a.woken) })
	run("control", func() error { return a.control.Serve(doors) })
	run("memory", func() error { return a.memory.Run(doors) })
	run("lessons", func() error { return a.lessons.Run(doors) })
	if a.Config.Learning.Enabled {
		run("evolution", func() error { return a.evolution.Run(doors) })
	}
	run("access", func() error { return a.access.Run(doors) })
	if a.http != nil {
		run("mcp", func() error { return a.mcp.Run(doors) })
		run("http", func() error { return a.http.Serve(doors) })
	}
	run("remote", func() error { return a.remote.Serve(doors) })
	a.remote.Settle(ctx, settleTime)
	if err := a.router.Run(ctx); err != nil {
		errs <- fmt.Errorf("router: %w", err)
	}
	a.learn(ctx)
	closeDoors()
	parts.Wait()
	errs <- a.Close()
	close(errs)
	var err error
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

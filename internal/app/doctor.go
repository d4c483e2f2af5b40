package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"phantom/internal/config"
	"phantom/internal/httpserver"
	"phantom/internal/llm"
	"phantom/internal/mcpserver"
	"phantom/internal/sandbox"
)

// Verdict is how a check went. The zero value failed.
type Verdict string

// The verdicts.
const (
	Good Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Check is one thing that doctor looked at.
type Check struct {
	Name   string  `json:"name"`
	Status Verdict `json:"status"`
	Detail string  `json:"detail"`
	Mend   string  `json:"mend,omitempty"`
}

const (
	diskFail = 100 << 20 // bytes free, below which writes will soon fail
	diskWarn = 1 << 30   // bytes free, below which the owner should know
	// modelTimeout bounds the trial call of the model.
	modelTimeout = 30 * time.Second
)

// Doctor examines everything that an owner could get wrong.
func (a *App) Doctor(ctx context.Context) []Check {
	var checks []Check
	if len(a.Config.Disabled) == 0 {
		checks = append(checks, Check{"config", Good, "every file of " + a.Config.Home.Config() + " is understood", ""})
	}
	for _, d := range a.Config.Disabled {
		checks = append(checks, Check{"config", Warn, d.Part + " is off: " + d.Reason, "mend the block named there; the other parts go on without it"})
	}
	checks = append(checks,
		a.checkPermissions(), a.checkModel(ctx), a.checkPort(ctx), a.checkSandbox(), checkClock(), a.checkDisk(), a.checkDatabase(ctx), a.checkAudit(ctx), a.checkDelivery(ctx), a.checkMemory(ctx), a.checkLearning(ctx), a.checkTokens(ctx), a.checkMCP(), a.checkDynamic(), a.checkRemote(ctx))
	return append(checks, a.checkChannels(ctx)...)
}

// checkPermissions looks for private files that others can open.
func (a *App) checkPermissions() Check {
	c := Check{Name: "permissions", Status: Good, Detail: "private files are open to this user only"}
	home := a.Config.Home
	var open []string
	for _, top := range []string{home.Config(), home.Data(), home.Evolved(), home.EnvFile()} {
		err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				open = append(open, strings.TrimSuffix(top+"/"+name, "/."))
			}
			return nil
		})
		if err != nil && !errors.Is(err, unix.ENOTDIR) {
			return Check{c.Name, Fail, err.Error(), "make the home readable for the user that runs phantom"}
		}
	}
	if info, err := os.Stat(home.EnvFile()); err == nil && info.Mode().Perm()&0o077 != 0 {
		open = append(open, home.EnvFile())
	}
	if len(open) > 0 {
		c.Status, c.Detail, c.Mend = Fail, "others can open "+strings.Join(open, ", "), "chmod go-rwx "+strings.Join(open, " ")
	}
	return c
}

// checkModel asks the model for one word.
func (a *App) checkModel(ctx context.Context) Check {
	c := Check{Name: "model", Status: Good, Detail: fmt.Sprintf("%s from %s (%s)", a.model, a.Config.Provider.Type, a.Config.Provider.Chosen)}
	if a.Config.Provider.Type == config.Offline {
		c.Status, c.Mend = Warn, "set ANTHROPIC_API_KEY for a real model"
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, modelTimeout)
	defer cancel()
	for _, err := range a.llm.Stream(ctx, llm.Request{Model: a.model, Messages: []llm.Message{llm.UserText("Answer with the word: here")}, MaxTokens: 16}) {
		if err != nil {
			return Check{c.Name, Fail, c.Detail + ": " + err.Error(), "check the key, provider.base_url and the network"}
		}
	}
	c.Detail += " answers"
	return c
}

func (a *App) checkPort(ctx context.Context) Check {
	if a.http != nil {
		return Check{"port", Good, "listening on " + a.Addr(), ""}
	}
	s, err := httpserver.Listen(ctx, httpserver.Deps{Host: a.Config.Host, Port: a.Config.Port, Health: a.health, Log: a.Log})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return Check{"port", Fail, err.Error(), fmt.Sprintf("PORT=%d phantom start", a.Config.Port+1)}
	}
	return Check{"port", Good, fmt.Sprintf("%d on %s is free", a.Config.Port, a.Config.Host), ""}
}

func (a *App) checkSandbox() Check {
	level, missing := a.sandbox.Level(), a.sandbox.Missing()
	c := Check{"sandbox", Good, fmt.Sprintf("level %s, profile %s", level, a.Config.Guard.Profile), ""}
	if len(missing) > 0 {
		c.Status = Warn
		c.Detail += "; it cannot stop: " + strings.Join(missing, "; ")
		c.Mend = "a kernel with Landlock, seccomp and user namespaces gives level full"
	}
	if a.Config.Guard.Profile == string(sandbox.Unconfined) || level == sandbox.None {
		c.Status, c.Mend = Fail, "COMMANDS ARE NOT CONFINED: write `profile: computer` under sandbox: in config/guard.yaml"
	}
	return c
}

// checkMCP says whether other agents are served.
func (a *App) checkMCP() Check {
	if a.mcp == nil {
		return Check{"mcp", Good, "off: nothing listens; `phantom start` serves it", ""}
	}
	sessions, clients := a.mcp.Sessions()
	return Check{"mcp", Good, fmt.Sprintf("on at http://%s%s, %d sessions of %d clients", a.Addr(), mcpserver.Path, sessions, clients), ""}
}

// checkClock asks the kernel whether the clock is kept by somebody.
func checkClock() Check {
	now := time.Now()
	c := Check{"clock", Good, now.UTC().Format(time.RFC3339), ""}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err == nil && state == timeError {
		c.Status, c.Detail, c.Mend = Warn, c.Detail+", not synchronised", "switch on NTP (timedatectl set-ntp true): approvals, tokens and signatures expire by it"
	}
	return c
}

// timeError is adjtimex's word for a clock that nobody keeps (TIME_ERROR).
const timeError = 5

func (a *App) checkDisk() Check {
	var s unix.Statfs_t
	if err := unix.Statfs(a.Config.Home.Data(), &s); err != nil {
		return Check{"disk", Fail, err.Error(), "make the home's disk available"}
	}
	free := int64(s.Bavail) * s.Bsize //nolint:unconvert // the types differ between architectures
	c := Check{"disk", Good, fmt.Sprintf("%d MB free", free>>20), ""}
	switch {
	case free < diskFail:
		c.Status, c.Mend = Fail, "free some space: what cannot be recorded is not done"
	case free < diskWarn:
		c.Status, c.Mend = Warn, "free some space soon"
	}
	return c
}

func (a *App) checkDatabase(ctx context.Context) Check {
	if err := a.db.Check(ctx); err != nil {
		return Check{"database", Fail, err.Error(), "restore the latest backup"}
	}
	return Check{"database", Good, a.Config.Home.Database() + " is intact", ""}
}

// checkAudit looks at how much is on record and what is under way.
func (a *App) checkAudit(ctx context.Context) Check {
	counts, err := a.audit.Count(ctx)
	if err != nil {
		return Check{"audit", Fail, err.Error(), "restore the latest backup"}
	}
	return Check{"audit", Good, fmt.Sprintf("%d rows, %d actions under way", counts.Rows, counts.Open), ""}
}

func (a *App) checkDelivery(ctx context.Context) Check {
	inbox, outbox, dead, err := a.router.Depths(ctx)
	c := Check{"delivery", Good, fmt.Sprintf("%d messages to work, %d replies to deliver", inbox, outbox), ""}
	switch {
	case err != nil:
		return Check{c.Name, Fail, err.Error(), "restore the latest backup"}
	case dead > 0:
		c.Status, c.Detail, c.Mend = Warn, fmt.Sprintf("%d replies could not be delivered", dead), "they are kept; the channel's error stands in the log"
	}
	return c
}

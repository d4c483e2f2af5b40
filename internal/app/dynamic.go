package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"phantom/internal/policy"
	"phantom/internal/tool"
	"phantom/internal/tool/dynamic"
)

// openDynamic reads the tools that were registered at run time. One that cannot
// be used is said, and holds up nothing.
func (a *App) openDynamic(ctx context.Context, guard *policy.Policy) (err error) {
	a.dynamic, err = dynamic.New(ctx, dynamic.Deps{
		DB: a.db, Guard: guard, Sandbox: a.sandbox, Places: places(a.Config), Bash: bash, Env: a.toolEnv(), Reserved: tool.BuiltIn(),
	})
	if err != nil {
		return err
	}
	for _, b := range a.dynamic.Broken() {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "a dynamic tool cannot be used", slog.String("tool", b.Name), slog.String("reason", b.Reason))
	}
	return nil
}

// toolEnv is the environment of tools but for HOME: each has a directory of its
// own.
func (a *App) toolEnv() []string {
	return slices.DeleteFunc(shell(a.Config).Env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })
}

// checkDynamic looks for registered tools that cannot be used.
func (a *App) checkDynamic() Check {
	broken := a.dynamic.Broken()
	if len(broken) == 0 {
		return Check{Name: "tools", Status: Good, Detail: fmt.Sprintf("%d registered", len(a.dynamic.List()))}
	}
	said := make([]string, 0, len(broken))
	for _, b := range broken {
		said = append(said, fmt.Sprintf("%.80q cannot be used: %s", b.Name, b.Reason))
	}
	return Check{Name: "tools", Status: Warn, Detail: strings.Join(said, "; "), Mend: "register it again, or `phantom tools remove NAME`"}
}

// DynamicTools returns the registered tools of a home, and those that cannot be
// used.
func (r *Reader) DynamicTools(ctx context.Context) ([]dynamic.Tool, []dynamic.Broken, error) {
	return dynamic.Read(ctx, r.DB, places(r.conf), tool.BuiltIn())
}

// ForgetTool takes a tool out of a home on which no instance runs.
func ForgetTool(ctx context.Context, o Options, name string) error {
	a, err := openBooks(ctx, o)
	if err != nil {
		return err
	}
	err = recorder{a.audit}.Record(ctx, "forget tool", name, func(ctx context.Context) error { return dynamic.Forget(ctx, a.db, name) })
	return errors.Join(err, a.Close())
}

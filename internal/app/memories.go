package app

import (
	"context"
	"errors"

	"phantom/internal/approval"
	"phantom/internal/channel/terminal"
	"phantom/internal/memory"
)

// Memories is the memory of a home on which no instance runs.
type Memories struct {
	*memory.Store
	recorder // puts on record what is done with it
}

// OpenMemories opens it; the redactor knows what is stored before anything is
// kept. done gives the home back.
func OpenMemories(ctx context.Context, o Options) (m Memories, done func() error, err error) {
	a, err := openBooks(ctx, o)
	if err != nil {
		return Memories{}, nil, err
	}
	if a.approvals, err = approval.New(a.db); err == nil {
		err = errors.Join(a.openVault(ctx), a.openVersions(ctx), a.openMemory(ctx))
	}
	if err == nil {
		a.terminal, err = terminal.Open(a.Config.Home.TerminalLog())
	}
	if err != nil {
		return Memories{}, nil, errors.Join(err, a.Close())
	}
	a.onClose("terminal log", a.terminal.Close)
	return Memories{a.memory, recorder{a.audit}}, a.Close, nil
}

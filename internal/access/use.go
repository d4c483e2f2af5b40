package access

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"phantom/internal/store"
)

const (
	// useEvery is the shortest time between two writes of last uses.
	useEvery = time.Second
	// useBudget bounds the last write, at the end.
	useBudget = 2 * time.Second
	// forgotten is how long the use of a token is kept, after which it says
	// nothing that matters; tokens that are gone leave the table so.
	forgotten = 400 * 24 * time.Hour
)

// uses are the last uses that are not written yet, one a token.
type uses struct {
	some chan struct{} // holds a token while there are any

	mu   sync.Mutex // guards what follows
	last map[string]use
}

type use struct {
	client string
	at     time.Time
}

func newUses() *uses { return &uses{some: make(chan struct{}, 1), last: map[string]use{}} }

// note keeps a use for Run. It never waits.
func (u *uses) note(hash, client string, at time.Time) {
	u.mu.Lock()
	u.last[hash] = use{client, at}
	u.mu.Unlock()
	select {
	case u.some <- struct{}{}:
	default: // it is known already that there are some
	}
}

func (u *uses) take() map[string]use {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.last
	u.last = map[string]use{}
	return all
}

// Run writes when tokens were last used, in batches, until ctx ends. What
// cannot be written is logged and lost: it is told to the owner and decides
// nothing.
func (r *Registry) Run(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), useBudget)
			defer cancel()
			r.writeUses(last)
			return nil
		}
		select {
		case <-r.uses.some:
			r.writeUses(ctx)
		case <-ctx.Done():
		}
		pause.Reset(useEvery)
	}
}

func (r *Registry) writeUses(ctx context.Context) {
	all := r.uses.take()
	if len(all) == 0 {
		return
	}
	err := r.deps.DB.WithTx(ctx, func(tx *store.Tx) error {
		for hash, u := range all {
			_, err := tx.Exec(ctx, `INSERT INTO token_use (hash, client, used_at) VALUES (?, ?, ?)
				ON CONFLICT (hash) DO UPDATE SET client = excluded.client, used_at = excluded.used_at`, hash, u.client, u.at.UnixMicro())
			if err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM token_use WHERE used_at < ?`, time.Now().Add(-forgotten).UnixMicro())
		return err
	})
	if err != nil {
		r.deps.Log.LogAttrs(ctx, slog.LevelWarn, "the last use of tokens could not be written", slog.Int("tokens", len(all)), slog.Any("error", err))
	}
}

// lastUses returns when tokens were last used, by their hash.
func lastUses(ctx context.Context, db *store.DB) (map[string]time.Time, error) {
	rows, err := db.Query(ctx, `SELECT hash, used_at FROM token_use`)
	if err != nil {
		return nil, fmt.Errorf("read the use of tokens: %w", err)
	}
	defer rows.Close()
	all := map[string]time.Time{}
	for rows.Next() {
		var hash string
		var at int64
		if err := rows.Scan(&hash, &at); err != nil {
			return nil, fmt.Errorf("read the use of tokens: %w", err)
		}
		all[hash] = time.UnixMicro(at)
	}
	return all, rows.Err()
}

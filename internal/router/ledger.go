package router

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"phantom/internal/store"
)

// Ledger is what a channel keeps across restarts: what it has told whom, which
// message stands for which, how many were sent today. It is safe for concurrent
// use, and every write is on the disk when it returns.
type Ledger struct {
	db      *store.DB
	channel string
}

// NewLedger returns the ledger of a channel.
func NewLedger(db *store.DB, channel string) *Ledger { return &Ledger{db: db, channel: channel} }

// Get returns what stands under a name; false if nothing does.
func (l *Ledger) Get(ctx context.Context, name string) (value string, found bool, err error) {
	err = l.db.QueryRow(ctx, `SELECT value FROM channel_state WHERE channel = ? AND name = ?`, l.channel, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read %s of channel %s: %w", name, l.channel, err)
	}
	return value, true, nil
}

// Set writes a value over what stands under a name.
func (l *Ledger) Set(ctx context.Context, name, value string) error {
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO channel_state (channel, name, value, at) VALUES (?, ?, ?, ?)
			ON CONFLICT (channel, name) DO UPDATE SET value = excluded.value, at = excluded.at`, l.channel, name, value, nowMicros())
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s of channel %s: %w", name, l.channel, err)
	}
	return nil
}

// Claim writes a value under a name that is free, and reports whether it was:
// of several claims at the same time one wins.
func (l *Ledger) Claim(ctx context.Context, name, value string) (won bool, err error) {
	err = l.db.WithTx(ctx, func(tx *store.Tx) error {
		won, err = claim(ctx, tx, l.channel, name, value)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim %s of channel %s: %w", name, l.channel, err)
	}
	return won, nil
}

// claim is Claim within a transaction.
func claim(ctx context.Context, tx *store.Tx, channel, name, value string) (bool, error) {
	result, err := tx.Exec(ctx, `INSERT INTO channel_state (channel, name, value, at) VALUES (?, ?, ?, ?) ON CONFLICT (channel, name) DO NOTHING`,
		channel, name, value, nowMicros())
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// Drop forgets what stands under a name.
func (l *Ledger) Drop(ctx context.Context, name string) error {
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM channel_state WHERE channel = ? AND name = ?`, l.channel, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("drop %s of channel %s: %w", name, l.channel, err)
	}
	return nil
}

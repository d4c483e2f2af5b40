package mark

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"phantom/internal/channel/slack/event"
)

// maxOpen bounds the messages whose reactions are remembered for a restart.
const maxOpen = 64

// listKey is the list's name in the ledger.
const listKey = "reactions"

// ledger is what is kept across restarts.
type ledger interface {
	Get(ctx context.Context, name string) (value string, found bool, err error)
	Set(ctx context.Context, name, value string) error
}

// list is the messages that have a reaction which is no end, oldest first.
type list struct {
	ledger ledger

	mu     sync.Mutex // guards what follows; held while the list is written
	names  []string
	loaded bool
}

// read returns the list.
func (l *list) read(ctx context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.load(ctx)
	return slices.Clone(l.names), err
}

// add puts a message on the list, and reports whether it was not there.
func (l *list) add(ctx context.Context, src event.Source) (fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(ctx); err != nil || slices.Contains(l.names, src.String()) {
		return false, err
	}
	names := append(slices.Clone(l.names), src.String())
	return true, l.save(ctx, names[max(0, len(names)-maxOpen):])
}

// drop takes a message off the list.
func (l *list) drop(ctx context.Context, src event.Source) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(ctx); err != nil || !slices.Contains(l.names, src.String()) {
		return err
	}
	return l.save(ctx, slices.DeleteFunc(slices.Clone(l.names), func(name string) bool { return name == src.String() }))
}

// load reads what an earlier process noted, once.
func (l *list) load(ctx context.Context) error {
	if l.loaded {
		return nil
	}
	raw, found, err := l.ledger.Get(ctx, listKey)
	if err != nil {
		return err
	}
	if found {
		if err := json.Unmarshal([]byte(raw), &l.names); err != nil {
			return fmt.Errorf("slack: which messages have reactions cannot be read: %w", err)
		}
	}
	l.loaded = true
	return nil
}

func (l *list) save(ctx context.Context, names []string) error {
	raw, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("slack: keep which messages have reactions: %w", err)
	}
	if err := l.ledger.Set(ctx, listKey, string(raw)); err != nil {
		return err
	}
	l.names = names
	return nil
}

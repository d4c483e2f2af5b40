package dynamic

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"phantom/internal/phantom"
)

// However many long calls clients make, the owner's are run.
func TestClientsCallsLeaveTheOwnerAPlace(t *testing.T) {
	b := setUp(t, 0)
	b.keep(shell("long", "sleep 60"))
	b.keep(shell("short", "echo hello"))
	ctx, cancel := context.WithCancel(phantom.WithPrincipal(t.Context(), operator))
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	for range 2 * maxRunning {
		calls.Go(func() { _, _ = b.Call(ctx, "long", json.RawMessage(`{}`)) }) // it is ended below
	}
	for end := time.Now().Add(20 * time.Second); len(b.running) < maxGuests; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the calls do not run")
		}
	}
	<-time.After(500 * time.Millisecond) // for those that would be one too many
	soon, done := context.WithTimeout(phantom.WithPrincipal(t.Context(), owner), 20*time.Second)
	defer done()
	if got, err := b.Call(soon, "short", json.RawMessage(`{}`)); err != nil || got.Text != "hello" {
		t.Errorf("the owner gets %+v, %v", got, err)
	}
}

package mcpserver

import (
	"context"

	"phantom/internal/phantom"
)

// Channel is the way of clients' conversations through the router. Nothing
// comes in by it but what a call hands to the router, and a reply needs no
// delivery: whoever asked reads it where the router keeps it.
type Channel struct{}

// Name implements router.Channel.
func (Channel) Name() string { return Name }

// Run implements router.Channel.
func (Channel) Run(ctx context.Context, _ func(context.Context, phantom.Inbound) error) error {
	<-ctx.Done()
	return nil
}

// Deliver implements router.Channel.
func (Channel) Deliver(context.Context, phantom.Delivery) ([]string, error) { return nil, nil }

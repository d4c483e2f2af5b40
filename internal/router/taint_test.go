package router

import (
	"context"

	"phantom/internal/phantom"
)

// Tainted is a part of the stand-in for the tools: no file is.
func (b *bench) Tainted(context.Context, ...string) (phantom.Taint, error) { return nil, nil }

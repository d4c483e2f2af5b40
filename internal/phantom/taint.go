package phantom

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Taint names the sources of the untrusted texts in a context: addresses of
// pages, commands that had the network, files that hold what came from there.
// An empty Taint is a claim that nothing untrusted was read, so it is only
// made by who has looked.
type Taint []string

const (
	// maxSources bounds how many sources are kept by name.
	maxSources = 8
	// maxSource bounds the name of one, in bytes.
	maxSource = 200
	// moreSources stands for the sources beyond those.
	moreSources = "further sources"
	// noSource is what a context holds that nobody has looked through.
	noSource = "a source that is not known"
)

// Add returns the taint with further sources. The result shares no memory with t.
func (t Taint) Add(sources ...string) Taint {
	sum := slices.Clone(t)
	for _, s := range sources {
		if len(s) > maxSource {
			s = strings.ToValidUTF8(s[:maxSource], "") + "…"
		}
		if slices.Contains(sum, s) {
			continue
		}
		if len(sum) >= maxSources {
			if !slices.Contains(sum, moreSources) {
				sum = append(sum, moreSources)
			}
			continue
		}
		sum = append(sum, s)
	}
	return sum
}

// Clean reports whether no source is named.
func (t Taint) Clean() bool { return len(t) == 0 }

// String names the first sources, for a sentence.
func (t Taint) String() string {
	const shown = 3
	if len(t) <= shown {
		return strings.Join(t, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(t[:shown], ", "), len(t)-shown)
}

// Reading is what the model has before it when it asks for a call.
type Reading struct {
	Taint Taint
	Owner []string // what the owner wrote
	Pages []string // the pages that were fetched
	// Beside counts the calls of the same tool that the model asked for before
	// this one in one breath: their results are not among what it has read.
	Beside int
}

// WithReading returns a context that carries r.
func WithReading(ctx context.Context, r Reading) context.Context {
	return context.WithValue(ctx, readingKey, r)
}

// ReadingFrom returns what the model has read; where nobody has looked, the
// context counts as tainted.
func ReadingFrom(ctx context.Context) Reading {
	r, ok := ctx.Value(readingKey).(Reading)
	if !ok {
		return Reading{Taint: Taint{noSource}}
	}
	return r
}

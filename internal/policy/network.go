package policy

import (
	"fmt"
	"slices"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/policy/egress"
	"phantom/internal/policy/shell"
)

// ReachKind says how far a command line reaches into the network.
type ReachKind uint8

// The kinds of reach.
const (
	ReachUnknown ReachKind = iota // cannot be told; the zero value asks
	ReachNone                     // needs no network, as far as is known, and is to run without
	ReachListed                   // fetches from what guard.yaml lists, and does nothing else
	ReachOther                    // speaks to something else, or mixes a listed fetch with other programs
)

func (k ReachKind) String() string {
	switch k {
	case ReachNone:
		return "none"
	case ReachListed:
		return "listed"
	case ReachOther:
		return "other"
	}
	return "unknown"
}

// Reach is what a line would do with the network, and what follows where untrusted
// text is in the context. It says nothing of the line's other dangers.
type Reach struct {
	Kind    ReachKind
	Verdict phantom.Verdict
}

// Network tells what a line for bash, about to run in cwd, needs of the network.
func (p *Policy) Network(line, cwd string) Reach {
	asks := func(kind ReachKind, reason string) Reach {
		return Reach{kind, phantom.Verdict{Decision: phantom.Ask, Rule: "network", Family: "network", Reason: reason, Suggestion: "fetch by a listed program alone, or run it without network"}}
	}
	if p == nil || p.all == nil {
		return asks(ReachUnknown, "the guard is not set up")
	}
	res, ok := p.derive(line, cwd)
	if !ok || len(res.Problems) > 0 {
		return asks(ReachUnknown, "what the line would do cannot be told in full")
	}
	var listed, program, other []string
	for _, c := range res.Calls {
		name := c.Name()
		switch p.network.Class(c, p.cfg.Files.Read) {
		case egress.Listed:
			listed = append(listed, name)
		case egress.Program:
			program = append(program, name)
		case egress.Other:
			other = append(other, name)
		case egress.Plain:
		}
	}
	switch {
	case len(other) > 0:
		return asks(ReachOther, fmt.Sprintf("%s speaks to the network, and not only as guard.yaml lists it", sentence(other)))
	case len(listed) == 0:
		return Reach{ReachNone, phantom.Allowed()}
	case len(program) > 0:
		return asks(ReachOther, fmt.Sprintf("the network that %s needs would be open to %s, too", sentence(listed), sentence(program)))
	}
	return Reach{ReachListed, phantom.Allowed()}
}

// sentence lists names once each; a redirection has none.
func sentence(names []string) string {
	slices.Sort(names)
	return strings.TrimPrefix(strings.ReplaceAll(strings.Join(slices.Compact(names), ", "), shell.Unknown, "…"), ", ")
}

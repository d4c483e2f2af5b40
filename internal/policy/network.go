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
	ReachListed                   // fetches from what guard.yaml lists, or from this machine, and does nothing else
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
	Serves  bool     // it asks a service of this machine, whose answers may be from anywhere
	Code    []string // absolute places from which its programs take what they run or are set up by
}

// Network tells what a line for bash, about to run in cwd, needs of the network.
func (p *Policy) Network(line, cwd string) Reach {
	n := egress.Needs{Code: []string{"/"}} // of a line that cannot be read, all may be
	asks := func(kind ReachKind, reason string) Reach {
		return Reach{kind, phantom.Verdict{Decision: phantom.Ask, Rule: "network", Family: "network", Reason: reason, Suggestion: "fetch by a listed program alone, or run it without network"}, len(n.Here) > 0, n.Code}
	}
	if p == nil || p.all == nil {
		return asks(ReachUnknown, "the guard is not set up")
	}
	res, ok := p.derive(line, cwd)
	if !ok || len(res.Problems) > 0 {
		return asks(ReachUnknown, "what the line would do cannot be told in full")
	}
	n = p.network.Needs(res.Calls, p.cfg.Files.Read)
	switch {
	case len(n.Other) > 0:
		return asks(ReachOther, fmt.Sprintf("%s speaks to the network, and not only as guard.yaml lists it", sentence(n.Other)))
	case len(n.Listed) == 0 && (len(n.Here) == 0 || len(n.Program) > 0):
		// What asks a service that the line itself starts is served without the
		// network, where the tree has a loopback interface of its own.
		return Reach{ReachNone, phantom.Allowed(), len(n.Here) > 0, n.Code}
	case len(n.Program) > 0:
		return asks(ReachOther, fmt.Sprintf("the network that %s needs would be open to %s, too", sentence(n.Listed), sentence(n.Program)))
	}
	return Reach{ReachListed, phantom.Allowed(), len(n.Here) > 0, n.Code}
}

// sentence lists names once each; a redirection has none.
func sentence(names []string) string {
	slices.Sort(names)
	return strings.TrimPrefix(strings.ReplaceAll(strings.Join(slices.Compact(names), ", "), shell.Unknown, "…"), ", ")
}

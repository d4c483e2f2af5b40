package policy

import (
	"fmt"
	"slices"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/policy/program"
	"phantom/internal/policy/shell"
)

// severity says what a rule's match comes to.
type severity uint8

const (
	critical    severity = iota // never runs, and no setting can change that
	blocked                     // does not run unless guard.yaml lowers its family to ask
	destructive                 // runs after the owner said yes
)

// rule is one thing that the command guard knows to be dangerous.
type rule struct {
	id, family string
	severity   severity
	programs   string // names separated by blanks; "" for every program
	problem    string // the kind of a problem in the line's form, instead of match
	reason     string
	suggestion string
	match      func(*call) bool
}

func (r rule) names() []string {
	if r.programs == "" {
		return []string{""}
	}
	return strings.Fields(r.programs)
}

func (r rule) verdict() phantom.Verdict {
	v := phantom.Verdict{Decision: phantom.Block, Rule: r.id, Family: r.family, Reason: r.reason, Suggestion: r.suggestion}
	if r.severity == destructive {
		v.Decision = phantom.Ask
	}
	return v
}

// call is a command with what rules need beside its words.
type call struct {
	shell.Call
	p    *Policy
	name string
	line []shell.Call
}

func (c *call) args() []string { return c.Argv[min(1, len(c.Argv)):] }

func (c *call) opts(short string, long ...string) shell.Options {
	return shell.ParseOptions(c.args(), short, long, false)
}

// words returns the operands, without options that take no value.
func (c *call) words() []string { return c.opts("").Operands }

// has reports whether any argument is one of words.
func (c *call) has(words ...string) bool {
	return slices.ContainsFunc(c.args(), func(a string) bool { return slices.Contains(words, a) })
}

// unknown reports whether any of the words holds a value not known before the run.
func unknown(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, shell.Unknown) })
}

// asksHelp reports whether the call only asks a program about itself.
func (c *call) asksHelp() bool { return c.has("--help", "--version", "-V") }

// rule makes a rule of the owner's words.
func (b BlockRule) rule() (rule, error) {
	if b.ID == "" || b.Program == "" || b.Reason == "" {
		return rule{}, fmt.Errorf("guard.yaml: a block rule needs id, program and reason; got %+v", b)
	}
	match := func(c *call) bool {
		for _, want := range b.Args {
			// A word that only the run knows may be just the one that the owner wanted blocked.
			if !slices.ContainsFunc(c.args(), func(a string) bool { return strings.Contains(a, shell.Unknown) || program.Matches(want, a) }) {
				return false
			}
		}
		return true
	}
	return rule{id: b.ID, family: "owner", severity: critical, programs: b.Program, reason: b.Reason, match: match}, nil
}

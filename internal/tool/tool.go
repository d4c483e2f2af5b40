// Package tool holds the built-in tools and the one chain that every call of a
// tool goes through:
//
//	find > scope > schema > policy > approval > audit intent > run > audit outcome
//
// It owns the tables tool_cwd and tool_marks and the agent's background jobs. Arguments are
// parsed once, judged as parsed and handed on as parsed. The chain refuses
// unknown tools, callers without a scope, arguments that do not fit the
// schema, what the policy blocks, what the owner does not approve, and any call
// whose intent cannot be written. A tool never sees a call that the chain did
// not let through, and starts processes, opens connections and judges paths
// only through the packages that own those powers.
package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// EventKind says how far a call has come. The zero value is none of them.
type EventKind uint8

// The kinds of events, in the order in which they come.
const (
	_ EventKind = iota
	// Asked: the call waits for the owner; Question is set.
	Asked
	// Decided: the wait is over.
	Decided
	// Started: the call begins to act.
	Started
	// Linked: there is a link for the owner, who alone is to see it.
	Linked
	// Finished: there is a result.
	Finished
)

// Event is one thing that a call shows while it goes through the chain.
type Event struct {
	Kind     EventKind
	Call     phantom.CallID
	Tool     string
	Summary  string             // the call in one line
	Question *approval.Question // of Asked
	Link     string             // of Linked, in a sentence
	Failed   bool               // of Finished: refused, denied or failed
	Preview  string             // of Finished: the first line of the result
	Duration time.Duration      // of Finished
}

// plan is a call that was understood and judged, ready to act.
type plan struct {
	verdict phantom.Verdict
	target  string // what it acts on: a path, a host, a working directory
	summary string // the call, to be shown as one line
	exact   string // the whole action, for the owner who is asked to allow it
	run     func(ctx context.Context, call phantom.CallID) output
	tainted bool // untrusted text is at hand: no lasting yes counts
	raised  bool // the verdict is stricter, or asks for more, because of it
	lasting bool // the owner may say yes to it for good
}

// output is what a tool has to say.
type output struct {
	text    string
	failed  bool
	from    phantom.Provenance // Tool unless set
	files   []audit.FileEvent
	named   []string      // paths whose names it shows
	taint   phantom.Taint // where untrusted text in it came from
	exec    string        // the command line that ran, with its directory
	ran     bool          // a command ran: its mark in advance is to be taken back
	detail  string        // for the record only
	link    string        // for the owner's eyes: it goes neither to the model nor to the disk
	pending <-chan output // a background job's end: its outcome is audited then
}

// failure is an output that tells the model what went wrong.
func failure(format string, args ...any) output {
	return output{text: fmt.Sprintf(format, args...), failed: true}
}

// definition is one tool as the chain knows it.
type definition struct {
	spec     llm.Tool
	readOnly bool // calls may run side by side
	private  bool // its arguments are not for the audit log
	// prepare parses the arguments, judges them and returns the plan; its error
	// is for the model.
	prepare func(ctx context.Context, input json.RawMessage) (plan, error)
}

// define builds a tool whose arguments are a T. The schema is T's own: fields
// without omitempty are required, others than T's are refused.
func define[T any](name, description string, readOnly bool, prepare func(context.Context, T) (plan, error)) (definition, error) {
	schema, err := jsonschema.For[T](nil)
	if err != nil {
		return definition{}, fmt.Errorf("schema of tool %s: %w", name, err)
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return definition{}, fmt.Errorf("schema of tool %s: %w", name, err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return definition{}, fmt.Errorf("schema of tool %s: %w", name, err)
	}
	return definition{
		spec:     llm.Tool{Name: name, Description: description, Schema: raw},
		readOnly: readOnly,
		prepare: func(ctx context.Context, input json.RawMessage) (plan, error) {
			var args T
			if err := parse(resolved, input, &args); err != nil {
				return plan{}, fmt.Errorf("the arguments of %s do not fit: %w. The schema is %s", name, err, raw)
			}
			return prepare(ctx, args)
		},
	}, nil
}

// parse validates input and decodes it into args.
func parse(schema *jsonschema.Resolved, input json.RawMessage, args any) error {
	var value any
	if err := json.Unmarshal(input, &value); err != nil {
		return fmt.Errorf("they are no JSON: %w", err)
	}
	if text, ok := value.(string); ok {
		return fmt.Errorf("they are no JSON object but %.200q", text)
	}
	if err := schema.Validate(value); err != nil {
		// The validator's first words name its own schema paths.
		return errors.New(strings.TrimPrefix(err.Error(), "validating root: "))
	}
	return json.Unmarshal(input, args)
}

// oneLine returns the head of a text as a single line of at most limit bytes.
func oneLine(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

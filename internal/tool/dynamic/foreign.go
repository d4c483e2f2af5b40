package dynamic

import "encoding/json"

// Schema judges the inputs of a tool that another program offers, by the rules
// and within the bounds of registered tools. The zero Schema judges nothing.
type Schema struct{ entry entry }

// ParseSchema reads the schema of a tool, whose name stands in errors. It
// refuses what a tool could not be registered with.
func ParseSchema(tool string, raw json.RawMessage) (Schema, error) {
	judged, plain, err := parseSchema(raw)
	if err != nil {
		return Schema{}, err
	}
	return Schema{entry{Tool: Tool{Name: tool, InputSchema: plain}, schema: judged}}, nil
}

// Judge returns an input in the form in which it is to be handed on. Its error
// is for the caller.
func (s Schema) Judge(input json.RawMessage) (json.RawMessage, error) { return s.entry.validate(input) }

// JSON returns the schema, compact.
func (s Schema) JSON() json.RawMessage { return s.entry.InputSchema }

// Bare returns the schema without whatever its author could say in it.
func (s Schema) Bare() json.RawMessage { return s.entry.bareSchema() }

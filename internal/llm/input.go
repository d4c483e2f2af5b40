package llm

import (
	"bytes"
	"encoding/json"
)

// ValidInput returns tool arguments as valid JSON: empty ones as an empty
// object, broken ones as a string, which no tool's schema accepts.
func ValidInput(raw []byte) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return json.RawMessage(`{}`)
	}
	if json.Valid(raw) {
		return bytes.Clone(raw)
	}
	quoted, err := json.Marshal(string(raw))
	if err != nil {
		return json.RawMessage(`""`) // a string always marshals
	}
	return quoted
}

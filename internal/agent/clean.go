package agent

import (
	"bytes"
	"encoding/json"

	"phantom/internal/llm"
)

// clean takes secrets out of what the model said, before it is journaled,
// acted on or told. The model is shown none, but can put one together from
// pieces. Its calls keep what only looks like a secret, because they are meant
// to do something; thinking is signed and must go back as it came.
func (t *turn) clean(r *llm.Response) *llm.Response {
	for i := range r.Message.Content {
		p := &r.Message.Content[i]
		switch p.Kind {
		case llm.PartText:
			p.Text = t.Redactor.String(p.Text)
		case llm.PartToolUse:
			if t.Redactor.Known(p.Call.Name) != p.Call.Name {
				p.Call.Name = "redacted" // a name that providers take back, and no tool has
			}
			if raw := string(p.Call.Input); t.Redactor.Known(raw) != raw {
				p.Call.Input = t.cleanInput(p.Call.Input)
			}
		case llm.PartThinking, llm.PartToolResult:
		}
	}
	return r
}

// cleanInput takes the known values out of each text of a call's arguments. What
// cannot be read is not kept.
func (t *turn) cleanInput(raw json.RawMessage) json.RawMessage {
	var args any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&args); err != nil {
		return json.RawMessage(`{}`)
	}
	cleaned, err := json.Marshal(t.cleanValue(args))
	if err != nil || t.Redactor.Known(string(cleaned)) != string(cleaned) {
		return json.RawMessage(`{}`)
	}
	return cleaned
}

func (t *turn) cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return t.Redactor.Known(v)
	case []any:
		for i := range v {
			v[i] = t.cleanValue(v[i])
		}
	case map[string]any:
		cleaned := make(map[string]any, len(v))
		for key, value := range v {
			cleaned[t.Redactor.Known(key)] = t.cleanValue(value)
		}
		return cleaned
	}
	return v
}

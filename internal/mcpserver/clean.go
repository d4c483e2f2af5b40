package mcpserver

import (
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// errUnclean says that a result without its secrets would be no JSON.
var errUnclean = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the result holds a secret that cannot be taken out of it"}

// clean takes secrets out of a result, whatever made it.
func (s *Server) clean(result mcp.Result) error {
	switch r := result.(type) {
	case *mcp.CallToolResult:
		return s.cleanCall(r)
	case *mcp.ReadResourceResult:
		for _, c := range r.Contents {
			c.Text = s.Redactor.String(c.Text)
		}
	case *mcp.GetPromptResult:
		r.Description = s.Redactor.String(r.Description)
		for _, m := range r.Messages {
			s.cleanContent(m.Content)
		}
	case *mcp.CompleteResult:
		for i, v := range r.Completion.Values {
			r.Completion.Values[i] = s.Redactor.String(v)
		}
	}
	return nil
}

func (s *Server) cleanCall(r *mcp.CallToolResult) error {
	var raw, clean string
	switch v := r.StructuredContent.(type) {
	case nil:
	case json.RawMessage:
		raw = string(v)
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		raw = string(data)
	}
	if raw != "" {
		if clean = s.Redactor.String(raw); clean != raw && !json.Valid([]byte(clean)) {
			return errUnclean
		}
		r.StructuredContent = json.RawMessage(clean)
	}
	for _, c := range r.Content {
		if t, ok := c.(*mcp.TextContent); ok && raw != "" && t.Text == raw {
			t.Text = clean // the same text, judged already
			continue
		}
		s.cleanContent(c)
	}
	return nil
}

func (s *Server) cleanContent(c mcp.Content) {
	switch c := c.(type) {
	case *mcp.TextContent:
		c.Text = s.Redactor.String(c.Text)
	case *mcp.EmbeddedResource:
		if c.Resource != nil {
			c.Resource.Text = s.Redactor.String(c.Resource.Text)
		}
	}
}

// cleanError takes secrets out of an error that goes to a client.
func (s *Server) cleanError(err error) error {
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return &jsonrpc.Error{Code: wire.Code, Message: s.Redactor.String(wire.Message), Data: wire.Data}
	}
	return errors.New(s.Redactor.String(err.Error()))
}

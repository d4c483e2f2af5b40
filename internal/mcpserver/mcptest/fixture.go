// Package mcptest is what the tests of the MCP server share: other people's
// clients and the protocol's conformance suite, a proxy that brings them in
// with a token, and the tools, resources and prompts that the suite asks for.
//
// It owns no server: the fixtures are added to the product's own. Only tests
// may use it.
//
//lint:file-ignore SA1019 the suite asks for what the protocol will drop one day: sampling, roots and logging
package mcptest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// moment is the suite's pause between two notifications of a running call.
const moment = 50 * time.Millisecond

// object is a JSON object written out.
type object = map[string]any

// Register adds everything that the suite's scenarios look for.
func Register(s *mcp.Server) {
	for name, content := range contents() {
		addTool(s, name, `{"type":"object"}`, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: content}, nil
		})
	}
	addTool(s, "test_error_handling", `{"type":"object"}`, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{IsError: true, Content: text("This tool fails on purpose")}, nil
	})
	addTool(s, "json_schema_2020_12_tool", schema2020, say("the schema is what counts"))
	addTool(s, "test_x_mcp_header", headerSchema, say("the header agrees with the argument"))
	addTool(s, "test_tool_with_logging", `{"type":"object"}`, logThrice)
	addTool(s, "test_tool_with_progress", `{"type":"object"}`, progressThrice)
	addTool(s, "test_logging_tool", `{"type":"object"}`, logOnce)
	addTool(s, "test_streaming_elicitation", `{"type":"object"}`, say("nothing was asked outside the result"))
	addTool(s, "test_missing_capability", `{"type":"object"}`, needSampling)
	addTool(s, "test_reconnection", `{"type":"object"}`, closeStream)
	addTool(s, "test_trigger_tool_change", `{"type":"object"}`, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		addTool(s, "test_changed_tool", `{"type":"object"}`, say("a tool that came later"))
		return &mcp.CallToolResult{Content: text("the list of tools has changed")}, nil
	})
	addTool(s, "test_trigger_prompt_change", `{"type":"object"}`, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		addPrompt(s, "test_changed_prompt", nil, "a prompt that came later")
		return &mcp.CallToolResult{Content: text("the list of prompts has changed")}, nil
	})
	registerQuestions(s)
	registerInputs(s)
	registerResources(s)
	registerPrompts(s)
}

// addTool registers a tool of the suite. The suite wants a description of
// every tool.
func addTool(s *mcp.Server, name, schema string, run mcp.ToolHandler) {
	s.AddTool(&mcp.Tool{Name: name, Description: "What the conformance suite calls " + name, InputSchema: json.RawMessage(schema)}, run)
}

// say returns a tool that answers with one text.
func say(words string) mcp.ToolHandler {
	return func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: text(words)}, nil
	}
}

func text(words string) []mcp.Content { return []mcp.Content{&mcp.TextContent{Text: words}} }

// contents are the tools that return one thing each, by name.
func contents() map[string][]mcp.Content {
	picture := &mcp.ImageContent{Data: pixel(), MIMEType: "image/png"}
	embedded := func(uri string) *mcp.EmbeddedResource {
		return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: uri, MIMEType: "text/plain", Text: "Embedded in a result"}}
	}
	return map[string][]mcp.Content{
		"test_simple_text":            text("This is a simple text response for testing."),
		"test_image_content":          {picture},
		"test_audio_content":          {&mcp.AudioContent{Data: silence(), MIMEType: "audio/wav"}},
		"test_embedded_resource":      {embedded("test://embedded-resource")},
		"test_multiple_content_types": {&mcp.TextContent{Text: "Several kinds of content:"}, picture, embedded("test://mixed-content-resource")},
	}
}

// pixel is a picture of one pixel.
func pixel() []byte {
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(fmt.Sprintf("mcptest: draw a pixel: %v", err)) // a buffer takes every write
	}
	return out.Bytes()
}

// silence is a WAV file of one silent sample.
func silence() []byte {
	const rate, size = 8000, 2 // mono, 16 bits
	out := append([]byte("RIFF"), 0, 0, 0, 0)
	out = append(out, "WAVEfmt "...)
	for _, field := range []any{uint32(16), uint16(1), uint16(1), uint32(rate), uint32(rate * size), uint16(size), uint16(8 * size)} {
		out, _ = binary.Append(out, binary.LittleEndian, field) // every field has a fixed size
	}
	out = append(out, "data\x02\x00\x00\x00\x00\x00"...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// schema2020 is the input schema that must reach the client as it is, word by
// word of the 2020-12 vocabulary.
const schema2020 = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema",
	"type": "object",
	"$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
	"properties": {
		"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
		"contactMethod": {"type": "string", "enum": ["phone", "email"]}, "phone": {"type": "string"}, "email": {"type": "string"}
	},
	"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
	"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
	"then": {"required": ["phone"]},
	"else": {"required": ["email"]},
	"additionalProperties": false
}`

// headerSchema has an argument that clients repeat as a header.
const headerSchema = `{"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "level": {"type": "integer"}}}`

// wait lets a moment pass, unless the call ends first.
func wait(ctx context.Context) error {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func logThrice(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	for _, line := range []string{"started", "at work", "completed"} {
		if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: line}); err != nil {
			return nil, err
		}
		if err := wait(ctx); err != nil {
			return nil, err
		}
	}
	return &mcp.CallToolResult{Content: text("three lines were logged")}, nil
}

// logOnce logs a line, which clients that did not ask for one must not see.
func logOnce(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: "one line"}); err != nil {
		return nil, err
	}
	return &mcp.CallToolResult{Content: text("one line was logged")}, nil
}

func progressThrice(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	for _, done := range []float64{0, 50, 100} {
		if token := req.Params.GetProgressToken(); token != nil {
			if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: done, Total: 100}); err != nil {
				return nil, err
			}
		}
		if err := wait(ctx); err != nil {
			return nil, err
		}
	}
	return &mcp.CallToolResult{Content: text("done")}, nil
}

// needSampling refuses clients that did not say that they can sample.
func needSampling(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if can := req.ClientCapabilities(); can != nil && can.Sampling != nil {
		return &mcp.CallToolResult{Content: text("the client can sample")}, nil
	}
	data, err := json.Marshal(mcp.MissingRequiredClientCapabilityData{RequiredCapabilities: &mcp.ClientCapabilities{Sampling: &mcp.SamplingCapabilities{}}})
	if err != nil {
		return nil, err
	}
	return nil, &jsonrpc.Error{Code: mcp.CodeMissingRequiredClientCapabilities, Message: "the client must be able to sample", Data: data}
}

// closeStream drops the stream of its own call; the answer waits for the
// client to come back.
func closeStream(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if req.Extra != nil && req.Extra.CloseSSEStream != nil {
		req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: moment / 5})
	}
	if err := wait(ctx); err != nil {
		return nil, err
	}
	return &mcp.CallToolResult{Content: text("the client came back")}, nil
}

func registerResources(s *mcp.Server) {
	add := func(name string, contents mcp.ResourceContents) {
		contents.URI = "test://" + name
		s.AddResource(&mcp.Resource{Name: name, Description: "What the conformance suite reads", URI: contents.URI, MIMEType: contents.MIMEType},
			func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
				return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{&contents}}, nil
			})
	}
	add("static-text", mcp.ResourceContents{MIMEType: "text/plain", Text: "A text that stays as it is."})
	add("static-binary", mcp.ResourceContents{MIMEType: "image/png", Blob: pixel()})
	add("watched-resource", mcp.ResourceContents{MIMEType: "text/plain", Text: "A text that may be watched."})
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "template", Description: "What the conformance suite fills in", URITemplate: "test://template/{id}/data", MIMEType: "application/json"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			body, err := json.Marshal(object{"uri": req.Params.URI})
			if err != nil {
				return nil, err
			}
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, MIMEType: "application/json", Text: string(body)}}}, nil
		})
}

func registerPrompts(s *mcp.Server) {
	addPrompt(s, "test_simple_prompt", nil, "This is a simple prompt for testing.")
	addPromptFunc(s, "test_prompt_with_arguments", []string{"arg1", "arg2"}, func(given map[string]string) []mcp.Content {
		return text(fmt.Sprintf("arg1 is %q and arg2 is %q", given["arg1"], given["arg2"]))
	})
	addPromptFunc(s, "test_prompt_with_embedded_resource", []string{"resourceUri"}, func(given map[string]string) []mcp.Content {
		resource := &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: given["resourceUri"], MIMEType: "text/plain", Text: "Embedded in a prompt"}}
		return append([]mcp.Content{resource}, text("Read the resource above.")...)
	})
	addPromptFunc(s, "test_prompt_with_image", nil, func(map[string]string) []mcp.Content {
		return append([]mcp.Content{&mcp.ImageContent{Data: pixel(), MIMEType: "image/png"}}, text("Look at the picture above.")...)
	})
}

// addPrompt registers a prompt of one text.
func addPrompt(s *mcp.Server, name string, arguments []string, words string) {
	addPromptFunc(s, name, arguments, func(map[string]string) []mcp.Content { return text(words) })
}

// addPromptFunc registers a prompt whose messages depend on its arguments, all
// of which must be given.
func addPromptFunc(s *mcp.Server, name string, arguments []string, contents func(map[string]string) []mcp.Content) {
	p := &mcp.Prompt{Name: name, Description: "What the conformance suite calls " + name}
	for _, a := range arguments {
		p.Arguments = append(p.Arguments, &mcp.PromptArgument{Name: a, Description: "Any text", Required: true})
	}
	s.AddPrompt(p, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		out := &mcp.GetPromptResult{Description: p.Description}
		for _, c := range contents(req.Params.Arguments) {
			out.Messages = append(out.Messages, &mcp.PromptMessage{Role: "user", Content: c})
		}
		return out, nil
	})
}

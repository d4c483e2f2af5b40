//lint:file-ignore SA1019 the suite asks for what the protocol will drop one day: sampling and roots

package mcptest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// registerQuestions adds the tools that ask the client in the middle of a
// call, as sessions allow.
func registerQuestions(s *mcp.Server) {
	addTool(s, "test_sampling", `{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}`,
		func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var in struct{ Prompt string }
			if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
				return nil, err
			}
			answer, err := req.Session.CreateMessage(ctx, sampling(in.Prompt))
			if err != nil {
				return nil, err
			}
			return &mcp.CallToolResult{Content: []mcp.Content{answer.Content}}, nil
		})
	addTool(s, "test_elicitation", `{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}`,
		func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var in struct{ Message string }
			if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
				return nil, err
			}
			return elicit(ctx, req, form(in.Message, "username", "email"))
		})
	for name, properties := range forms() {
		addTool(s, name, `{"type":"object"}`, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return elicit(ctx, req, &mcp.ElicitParams{Message: "Fill in the form", RequestedSchema: object{"type": "object", "properties": properties}})
		})
	}
}

// elicit asks the user of the client and returns what was said.
func elicit(ctx context.Context, req *mcp.CallToolRequest, question *mcp.ElicitParams) (*mcp.CallToolResult, error) {
	answer, err := req.Session.Elicit(ctx, question)
	if err != nil {
		return nil, err
	}
	return &mcp.CallToolResult{Content: text(fmt.Sprintf("action %s, content %v", answer.Action, answer.Content))}, nil
}

// forms are the fields that the suite wants to see on the wire unchanged:
// every default of a simple type, every way to write a choice.
func forms() map[string]object {
	titles := []string{"The first", "The second", "The third"}
	choices := []string{"option1", "option2", "option3"}
	titled := []object{{"const": "value1", "title": titles[0]}, {"const": "value2", "title": titles[1]}, {"const": "value3", "title": titles[2]}}
	return map[string]object{
		"test_elicitation_sep1034_defaults": {
			"name": object{"type": "string", "default": "John Doe"}, "age": object{"type": "integer", "default": 30},
			"score": object{"type": "number", "default": 95.5}, "verified": object{"type": "boolean", "default": true},
			"status": object{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
		},
		"test_elicitation_sep1330_enums": {
			"untitledSingle": object{"type": "string", "enum": choices},
			"titledSingle":   object{"type": "string", "oneOf": titled},
			"legacyEnum":     object{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": titles},
			"untitledMulti":  object{"type": "array", "minItems": 1, "maxItems": 3, "items": object{"type": "string", "enum": choices}},
			"titledMulti":    object{"type": "array", "minItems": 1, "maxItems": 3, "items": object{"anyOf": titled}},
		},
	}
}

// form is a question with text fields, all of which are wanted.
func form(message string, fields ...string) *mcp.ElicitParams {
	properties := object{}
	for _, f := range fields {
		properties[f] = object{"type": "string"}
	}
	return &mcp.ElicitParams{Message: message, RequestedSchema: object{"type": "object", "properties": properties, "required": fields}}
}

// confirmation is a question with one yes or no.
func confirmation() *mcp.ElicitParams {
	return &mcp.ElicitParams{Message: "Is that right?", RequestedSchema: object{
		"type": "object", "properties": object{"ok": object{"type": "boolean"}}, "required": []string{"ok"},
	}}
}

func sampling(prompt string) *mcp.CreateMessageParams {
	return &mcp.CreateMessageParams{MaxTokens: 100, Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: prompt}}}}
}

// registerInputs adds what asks the client in its result, as the wire without
// sessions has it: the client calls again with the answers.
func registerInputs(s *mcp.Server) {
	seal := newSeal()
	name := form("What is your name?", "name")
	addInput(s, "elicitation", func(in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) {
		if who, ok := field(in.InputResponses, "user_name", "name").(string); ok {
			return answer("Hello, " + who), nil
		}
		return ask(mcp.InputRequestMap{"user_name": name}, ""), nil
	})
	addInput(s, "sampling", func(in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) {
		if said, ok := in.InputResponses["capital_question"].(*mcp.CreateMessageWithToolsResult); ok {
			return &mcp.CallToolResult{Content: said.Content}, nil
		}
		return ask(mcp.InputRequestMap{"capital_question": sampling("What is the capital of France?")}, ""), nil
	})
	addInput(s, "list_roots", func(in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) {
		if roots, ok := in.InputResponses["client_roots"].(*mcp.ListRootsResult); ok {
			return answer(fmt.Sprintf("the client has %d roots", len(roots.Roots))), nil
		}
		return ask(mcp.InputRequestMap{"client_roots": &mcp.ListRootsParams{}}, ""), nil
	})
	confirmed := func(in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) {
		if in.RequestState == "" {
			return ask(mcp.InputRequestMap{"confirm": confirmation()}, seal.close("asked")), nil
		}
		if _, err := seal.open(in.RequestState); err != nil {
			return nil, err
		}
		return answer("state-ok"), nil
	}
	addInput(s, "request_state", confirmed)
	addInput(s, "tampered_state", confirmed)
	addInput(s, "multiple_inputs", func(in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) {
		wanted := mcp.InputRequestMap{"user_name": name, "greeting": sampling("Greet somebody."), "client_roots": &mcp.ListRootsParams{}}
		for key := range wanted {
			if in.InputResponses[key] == nil {
				return ask(wanted, seal.close("asked")), nil
			}
		}
		_, err := seal.open(in.RequestState)
		return answer("all three are answered"), err
	})
	addInput(s, "multi_round", func(in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) { return rounds(seal, in) })
	s.AddTool(&mcp.Tool{Name: inputPrefix + "capabilities", Description: "Asks only what the client can answer", InputSchema: json.RawMessage(`{"type":"object"}`)}, askWhatIsPossible)
	s.AddPrompt(&mcp.Prompt{Name: inputPrefix + "prompt", Description: "Asks before it is whole"}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		if said, ok := field(req.Params.InputResponses, "user_context", "context").(string); ok {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: said}}}}, nil
		}
		return &mcp.GetPromptResult{InputRequests: mcp.InputRequestMap{"user_context": form("What is it about?", "context")}}, nil
	})
}

const inputPrefix = "test_input_required_result_"

func addInput(s *mcp.Server, name string, run func(*mcp.CallToolParamsRaw) (*mcp.CallToolResult, error)) {
	addTool(s, inputPrefix+name, `{"type":"object"}`, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		out, err := run(req.Params)
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

func ask(questions mcp.InputRequestMap, state string) *mcp.CallToolResult {
	return &mcp.CallToolResult{InputRequests: questions, RequestState: state}
}

func answer(words string) *mcp.CallToolResult { return &mcp.CallToolResult{Content: text(words)} }

// field is one field of a form that the user agreed to fill in, or nil.
func field(answers mcp.InputResponseMap, key, name string) any {
	if filled, ok := answers[key].(*mcp.ElicitResult); ok && filled.Action == "accept" {
		return filled.Content[name]
	}
	return nil
}

// rounds asks twice; what was said first travels in the state.
func rounds(seal seal, in *mcp.CallToolParamsRaw) (*mcp.CallToolResult, error) {
	if in.RequestState == "" {
		return ask(mcp.InputRequestMap{"step1": form("What is your name?", "name")}, seal.close("")), nil
	}
	said, err := seal.open(in.RequestState)
	if err != nil {
		return nil, err
	}
	if who, ok := field(in.InputResponses, "step1", "name").(string); ok {
		return ask(mcp.InputRequestMap{"step2": form("Which colour do you like?", "color")}, seal.close(who)), nil
	}
	return answer(fmt.Sprintf("%s likes %v", said, field(in.InputResponses, "step2", "color"))), nil
}

func askWhatIsPossible(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	can := req.ClientCapabilities()
	questions := mcp.InputRequestMap{}
	if can != nil && can.Elicitation != nil {
		questions["user_name"] = form("What is your name?", "name")
	}
	if can != nil && can.Sampling != nil {
		questions["greeting"] = sampling("Greet somebody.")
	}
	if can != nil && can.RootsV2 != nil {
		questions["client_roots"] = &mcp.ListRootsParams{}
	}
	if len(req.Params.InputResponses) > 0 || len(questions) == 0 {
		return answer("nothing is left to ask"), nil
	}
	return ask(questions, ""), nil
}

// seal protects the state that a client carries between two calls.
type seal struct{ key []byte }

func newSeal() seal {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return seal{key}
}

func (s seal) mark(state string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(state))
	return hex.EncodeToString(mac.Sum(nil))
}

func (s seal) close(state string) string { return s.mark(state) + ":" + state }

func (s seal) open(sealed string) (string, error) {
	mark, state, _ := strings.Cut(sealed, ":")
	if !hmac.Equal([]byte(mark), []byte(s.mark(state))) {
		return "", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the state is not one that this server gave"}
	}
	return state, nil
}

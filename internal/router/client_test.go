package router

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/agent"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/store/storetest"
	"phantom/internal/tool"
)

// holders says which clients may give work; the tests take one back.
type holders struct{ ci atomic.Bool }

func (h *holders) Holds(surface, client string, need phantom.Scope) bool {
	return (surface == "mcp" || surface == "task") && need == phantom.ScopeOperator && (client == "ci" && h.ci.Load() || client == "owner")
}

func request(client, conversation, text string) phantom.Inbound {
	return phantom.Inbound{
		Identity: phantom.NewID(), Conversation: phantom.ConversationID(conversation), Sender: client, Client: true,
		Kind: phantom.InboundMessage, Text: text,
	}
}

// clientHouse is a house with the two channels on which clients are heard.
func clientHouse(t *testing.T, steps ...llmtest.Step) (h *house, may *holders, mcp *post) {
	may = &holders{}
	may.ci.Store(true)
	mcp = &post{name: "mcp", got: make(chan phantom.Delivery, 8)}
	task := &post{name: "task", got: make(chan phantom.Delivery, 8)}
	return newHouse(t, options{db: storetest.Open(t), clients: may, channels: []Channel{mcp, task}}, steps...), may, mcp
}

// A client is heard in its own conversations, on channels for clients, as long
// as its token lets it give work; nobody becomes the owner by a name.
func TestClientsAreAdmitted(t *testing.T) {
	h, _, _ := clientHouse(t)
	owner := func(conversation string) phantom.Inbound {
		in := request("owner", conversation, "x")
		in.Client = false
		return in
	}
	for _, row := range []struct {
		why, channel string
		in           phantom.Inbound
		from         phantom.Provenance
		heard        bool
	}{
		{"its own conversation", "mcp", request("ci", "mcp:ci/a", "x"), phantom.Client, true},
		{"its own task", "task", request("ci", "task:ci/1", "x"), phantom.Client, true},
		{"another client's conversation", "mcp", request("ci", "mcp:other/a", "x"), phantom.Unknown, false},
		{"nobody's conversation", "mcp", request("ci", "mcp:a", "x"), phantom.Unknown, false},
		{"the owner's terminal", "terminal", request("ci", "terminal:ci/a", "x"), phantom.Unknown, false},
		{"no token that holds", "mcp", request("eve", "mcp:eve/a", "x"), phantom.Unknown, false},
		{"a client by the owner's name is a client", "task", request("owner", "task:owner/1", "x"), phantom.Client, true},
		{"and not in the owner's task", "task", request("owner", "task:1", "x"), phantom.Unknown, false},
		{"the owner's task", "task", owner("task:1"), phantom.Owner, true},
		{"the owner in a client's task", "task", owner("task:ci/1"), phantom.Unknown, false},
		{"a channel without an owner's identity", "mcp", owner("mcp:1"), phantom.Unknown, false},
		{"a channel that is not there", "slack", request("ci", "slack:ci/a", "x"), phantom.Unknown, false},
	} {
		from, heard := h.Admit(row.channel, row.in)
		if heard != row.heard || heard && from != row.from {
			t.Errorf("%s: %v, heard %v; want %v, %v", row.why, from, heard, row.from, row.heard)
		}
	}
	if _, err := h.Receive(t.Context(), "mcp", request("eve", "mcp:eve/a", "x")); !errors.Is(err, ErrRefused) {
		t.Errorf("Receive = %v, want %v", err, ErrRefused)
	}
}

// A client's turn acts as the client, and its words are not the owner's.
func TestClientsTurnIsTheClients(t *testing.T) {
	h, _, mcp := clientHouse(t, llmtest.Step{Calls: bash("c1")}, llmtest.Step{Text: "done"})
	var acted phantom.Principal
	var read phantom.Reading
	h.tools.do = func(ctx context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		acted, read = phantom.PrincipalFrom(ctx), phantom.ReadingFrom(ctx)
		return phantom.ToolResult{Call: call.ID, Content: "ok", Provenance: phantom.Tool}, nil
	}
	h.open()
	if _, err := h.Receive(t.Context(), "mcp", request("ci", "mcp:ci/a", "run it")); err != nil {
		t.Fatal(err)
	}
	if d := <-mcp.got; d.Text != "done" {
		t.Errorf("reply %q", d.Text)
	}
	if want := (phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: phantom.ScopeOperator}); acted != want {
		t.Errorf("acted as %+v, want %+v", acted, want)
	}
	if read.Taint.Clean() || len(read.Owner) != 0 {
		t.Errorf("the client's words count as the owner's: %+v", read)
	}
}

// A message of a client whose token was taken back meanwhile is not worked on.
func TestRevokedClientIsNotWorkedFor(t *testing.T) {
	h, may, mcp := clientHouse(t) // a model that is never asked
	if _, err := h.Receive(t.Context(), "mcp", request("ci", "mcp:ci/a", "run it")); err != nil {
		t.Fatal(err)
	}
	may.ci.Store(false)
	h.open()
	if d := <-mcp.got; !strings.Contains(strings.ToLower(d.Text), "stop") {
		t.Errorf("reply %q, want one that says it was stopped", d.Text)
	}
}

// What runs for a client ends within a second when its token is taken back: the
// model that is thinking, the tool that is at work, and what it left running.
func TestRevokedClientsWorkIsStopped(t *testing.T) {
	for _, row := range []struct{ why, channel, conversation string }{
		{"a question", "mcp", "mcp:ci/a"},
		{"a task", "task", "task:ci/1"},
	} {
		t.Run(row.why, func(t *testing.T) {
			h, may, _ := clientHouse(t, llmtest.Step{Calls: bash("c1")})
			begun, ended := make(chan struct{}), make(chan error, 1)
			h.tools.do = func(ctx context.Context, _ phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
				close(begun)
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return phantom.ToolResult{}, ctx.Err()
			}
			h.open()
			if _, err := h.Receive(t.Context(), row.channel, request("ci", row.conversation, "run it")); err != nil {
				t.Fatal(err)
			}
			<-begun
			select {
			case err := <-ended:
				t.Fatalf("it ended while the token held: %v", err)
			case <-time.After(3 * clientCheck):
			}
			may.ci.Store(false)
			select {
			case err := <-ended:
				if !errors.Is(err, agent.ErrStopped) {
					t.Errorf("it ended by %v", err)
				}
			case <-time.After(time.Second):
				t.Error("it goes on a second later")
			}
		})
	}
	h, may, mcp := clientHouse(t)
	h.tools.jobs, h.tools.busy = 1, []phantom.ConversationID{"mcp:ci/a", "terminal:main"}
	may.ci.Store(false)
	h.open()
	select {
	case d := <-mcp.got:
		if d.Conversation != "mcp:ci/a" || !strings.Contains(d.Text, "1 background job") {
			t.Errorf("%+v", d)
		}
	case <-time.After(2 * time.Second):
		t.Error("a background job of a revoked client goes on")
	}
}

// However much work clients give, the owner is answered.
func TestClientsLeaveTheOwnerAPlace(t *testing.T) {
	may := &holders{}
	may.ci.Store(true)
	mcp := &post{name: "mcp", got: make(chan phantom.Delivery, 8)}
	h := newHouse(t, options{clients: may, turns: 2, channels: []Channel{mcp, &post{name: "task", got: make(chan phantom.Delivery, 8)}}},
		llmtest.Step{Calls: bash("c1")}, llmtest.Step{Text: "the owner's answer"}, llmtest.Step{Text: "done", Loop: true})
	begun, end := make(chan struct{}), make(chan struct{})
	h.tools.do = func(_ context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		close(begun)
		<-end
		return phantom.ToolResult{Call: call.ID, Content: "ok", Provenance: phantom.Tool}, nil
	}
	h.open()
	for n, in := range []phantom.Inbound{request("ci", "mcp:ci/a", "x"), request("ci", "mcp:ci/b", "x"), request("ci", "task:ci/1", "x")} {
		if _, err := h.Receive(t.Context(), in.Conversation.Channel(), in); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-begun
		}
	}
	reply, err := h.Await(t.Context(), "terminal:main", func() (phantom.MessageID, error) {
		return h.Receive(t.Context(), "terminal", phantom.Inbound{
			Identity: "1", Conversation: "terminal:main", Sender: "owner", Kind: phantom.InboundMessage, Text: "are you there?",
		})
	}, func(Event) {})
	if err != nil || reply.Text != "the owner's answer" {
		t.Errorf("%+v, %v", reply, err)
	}
	close(end)
	for range 2 {
		<-mcp.got
	}
}

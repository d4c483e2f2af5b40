package offer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/phantom"
)

const (
	// maxWait bounds timeout_s.
	maxWait = 4 * time.Hour
	// beat is how often a client hears that the work goes on: clients give up
	// on calls that are silent for long.
	beat = 10 * time.Second
	// maxMessage bounds a question, in bytes.
	maxMessage = 512 << 10
)

// ErrEnding is the cause of a call's end that does not end the work: Phantom
// goes down, and its turns go on when it is up again.
var ErrEnding = errors.New("phantom is ending; the work goes on when it is up again")

// agent does the work that is asked for.
type agent interface {
	// Ask gives a message to a conversation and waits for the reply. It calls
	// show with what happens meanwhile, a line each.
	Ask(ctx context.Context, q Question, show func(line string)) (phantom.Reply, error)
	// Stop ends what runs in a conversation.
	Stop(ctx context.Context, conversation phantom.ConversationID) error
}

// Question is a message of a client.
type Question struct {
	Client       string
	Conversation phantom.ConversationID
	Text         string
}

type askInput struct {
	Message      string `json:"message" jsonschema:"what you want to know or have done"`
	Conversation string `json:"conversation,omitempty" jsonschema:"goes on with a conversation of yours: a name that you choose or were given; without one a new conversation begins"`
	TimeoutS     int    `json:"timeout_s,omitempty" jsonschema:"how long to wait, in seconds; the work goes on after that, and so does the conversation"`
}

// answer is what a question came to.
type answer struct {
	Reply        string            `json:"reply"`
	State        phantom.TurnState `json:"state" jsonschema:"done, stopped or failed; running if you waited no longer"`
	Conversation string            `json:"conversation" jsonschema:"name it to go on with this conversation"`
	Cost         phantom.MicroUSD  `json:"cost_micro_usd"`
	DurationMS   int64             `json:"duration_ms"`
}

func (a answer) failed() bool { return a.State == phantom.TurnFailed || a.State == phantom.TurnStopped }

// conversationName is what a client may call a conversation.
var conversationName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (o *Offer) askTool() (tool, error) {
	return define(about{
		name: "phantom_ask", title: "Ask",
		text: "Gives Phantom a question or a piece of work and waits for the reply. It has a computer of its own: a shell, files, the web. " +
			"Send a progress token to see what it does meanwhile. For work of more than some minutes use phantom_task_create.",
		limit: func(in *jsonschema.Schema) {
			in.Properties["message"].MinLength = new(1)
			in.Properties["conversation"].Pattern = conversationName.String()
			in.Properties["timeout_s"].Minimum, in.Properties["timeout_s"].Maximum = new(1.0), new(maxWait.Seconds())
		},
	}, o.ask)
}

func (o *Offer) ask(ctx context.Context, req *mcp.CallToolRequest, in askInput) (answer, error) {
	if len(in.Message) > maxMessage {
		return answer{}, fmt.Errorf("the message has %d bytes, the limit is %d: shorten it, or have Phantom fetch the text", len(in.Message), maxMessage)
	}
	name := in.Conversation
	if name == "" {
		name = phantom.NewID()
	}
	client := phantom.PrincipalFrom(ctx).Name
	q := Question{Client: client, Conversation: phantom.ClientConversation("mcp", client, name), Text: in.Message}
	wait, cancel := context.WithCancel(ctx)
	if in.TimeoutS > 0 {
		wait, cancel = context.WithTimeout(ctx, time.Duration(in.TimeoutS)*time.Second)
	}
	defer cancel()
	show := o.shower(ctx, req)
	defer show.end()
	began := time.Now()
	reply, err := o.Agent.Ask(wait, q, show.line)
	took := time.Since(began).Milliseconds()
	switch {
	case err == nil:
		receipt(ctx).Cost = reply.Cost
		return answer{Reply: reply.Text, State: reply.State, Conversation: name, Cost: reply.Cost, DurationMS: took}, nil
	case ctx.Err() == nil && errors.Is(wait.Err(), context.DeadlineExceeded):
		return answer{
			Reply: "The work goes on. Ask in the same conversation to hear of it.",
			State: phantom.TurnRunning, Conversation: name, DurationMS: took,
		}, nil
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrEnding):
		// The client wants no answer any more, so nobody wants the work.
		return answer{}, errors.Join(context.Cause(ctx), o.Agent.Stop(context.WithoutCancel(ctx), q.Conversation))
	}
	return answer{}, err
}

// shower tells a client what happens while its call runs.
type shower struct {
	offer *Offer
	ctx   context.Context //nolint:containedctx // of the one call that it lives for
	req   *mcp.CallToolRequest
	token any
	began time.Time
	stop  func()

	mu    sync.Mutex // guards what follows; held while telling, so that steps stay in order
	steps int
}

// shower begins to tell, if the client wants to hear it. end must follow.
func (o *Offer) shower(ctx context.Context, req *mcp.CallToolRequest) *shower {
	s := &shower{offer: o, ctx: ctx, req: req, token: req.Params.GetProgressToken(), began: time.Now(), stop: func() {}}
	if s.token == nil {
		return s
	}
	ticker := time.NewTicker(beat)
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-ticker.C:
				s.line(fmt.Sprintf("at work for %v", time.Since(s.began).Round(time.Second)))
			case <-done:
				return
			}
		}
	}()
	s.stop = func() {
		ticker.Stop()
		close(done)
		<-gone
	}
	return s
}

func (s *shower) end() { s.stop() }

// line tells one thing. A client that is gone does not hear it, and nothing
// else comes of that.
func (s *shower) line(text string) {
	if text == "" {
		return
	}
	text = s.offer.Redactor.String(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps++
	if s.token != nil {
		_ = s.req.Session.NotifyProgress(s.ctx, &mcp.ProgressNotificationParams{ProgressToken: s.token, Progress: float64(s.steps), Message: text}) // as above
	}
	//lint:ignore SA1019 the protocol drops it one day, and its clients listen to it today
	_ = s.req.Session.Log(s.ctx, &mcp.LoggingMessageParams{Level: "info", Logger: "phantom_ask", Data: text}) // as above
}

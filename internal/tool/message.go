package tool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"phantom/internal/phantom"
)

// maxMessage bounds a message to the owner, in bytes.
const maxMessage = 32 << 10

// messenger reaches the owner where nobody asked.
type messenger interface {
	// Reach puts a text on its way to the owner on a channel, or on the first
	// one that can reach them if it is "", and returns the channel.
	Reach(ctx context.Context, channel, text string) (string, error)
}

type messageInput struct {
	Text    string `json:"text" jsonschema:"what the owner is told, in Markdown"`
	Channel string `json:"channel,omitempty" jsonschema:"slack, telegram or email; without it the first that is connected"`
}

// sendMessage tells the owner something outside the conversation. Nobody else
// can be reached by it, so nothing leaves that the owner may not read.
func (c *Chain) sendMessage() (definition, error) {
	return define("send_message", "Tells the owner something on another channel, such as the result of a task that nobody waits for. It reaches nobody but the owner.", false,
		func(ctx context.Context, in messageInput) (plan, error) {
			switch {
			case strings.TrimSpace(in.Text) == "":
				return plan{}, errors.New("the text is empty")
			case len(in.Text) > maxMessage:
				return plan{}, fmt.Errorf("the text has %d bytes, at most %d are allowed: write it into a file and name that", len(in.Text), maxMessage)
			case c.Messenger == nil:
				return plan{}, errors.New("no channel reaches the owner here")
			}
			verdict := phantom.Allowed()
			if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
				verdict = phantom.Verdict{Decision: phantom.Block, Rule: "message", Family: "message", Reason: "only work for the owner may write to the owner", Suggestion: "put it into the answer"}
			}
			return plan{
				verdict: verdict, target: "owner on " + cmp.Or(in.Channel, "any channel"), summary: in.Text,
				run: func(ctx context.Context, _ phantom.CallID) output {
					channel, err := c.Messenger.Reach(ctx, in.Channel, c.Redactor.String(in.Text))
					if err != nil {
						return failure("%v", err)
					}
					return output{text: "on its way to the owner on " + channel}
				},
			}, nil
		})
}

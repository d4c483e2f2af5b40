package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"phantom/internal/phantom"
)

// sendEmail is the name of the tool that there is only where mail can be sent.
const sendEmail = "send_email"

// maxTo is how many recipients one message has.
const maxTo = 5

// Mail is a message that the agent writes of its own accord.
type Mail struct {
	ID      string // names it
	To      []string
	Subject string
	Text    string // Markdown
}

// mailer sends mail. It holds the owner's limit of a day, and refuses whom it
// does not allow also by itself.
type mailer interface {
	Allows(address string) bool
	Send(ctx context.Context, m Mail) error
}

type mailInput struct {
	To      []string `json:"to" jsonschema:"bare addresses, at most 5: the owner's, or ones that the owner allows"`
	Subject string   `json:"subject" jsonschema:"one line"`
	Text    string   `json:"text" jsonschema:"the message, in Markdown"`
}

// sendEmail writes to the owner and to whom the owner allows. What is sent
// leaves this machine, so it is judged as the input of a tool with the network.
func (c *Chain) sendEmail() (definition, error) {
	return define(sendEmail, "Sends an email, to the owner or to people whom the owner allows. The answer to an email comes in by itself; this is for writing first.", false, func(ctx context.Context, in mailInput) (plan, error) {
		whole := fmt.Sprintf("To: %s\nSubject: %s\n\n%s", strings.Join(in.To, ", "), in.Subject, in.Text)
		switch {
		case len(in.To) == 0 || len(in.To) > maxTo:
			return plan{}, fmt.Errorf("to names %d recipients, want 1 to %d", len(in.To), maxTo)
		case strings.TrimSpace(in.Text) == "":
			return plan{}, errors.New("the text is empty")
		case len(whole) > maxShown:
			return plan{}, fmt.Errorf("the message has %d bytes, the limit is %d: say it shorter", len(whole), maxShown)
		}
		input, err := json.Marshal(in)
		if err != nil {
			return plan{}, fmt.Errorf("read the message: %w", err)
		}
		read := phantom.ReadingFrom(ctx).Taint
		p := plan{
			verdict: c.recipients(ctx, in.To), target: "mail to " + strings.Join(in.To, ", "), summary: strings.Join(in.To, ", ") + ": " + in.Subject,
			exact: "send this email:\n" + whole, tainted: !read.Clean(),
			run: func(ctx context.Context, call phantom.CallID) output {
				if err := c.Mail.Send(ctx, Mail{ID: string(call), To: in.To, Subject: in.Subject, Text: in.Text}); err != nil {
					return failure("the email was not sent: %v", err)
				}
				return output{text: "sent to " + strings.Join(in.To, ", ")}
			},
		}
		c.outward(&p, read, input, "whoever gets the email", "sends it away")
		return p, nil
	})
}

// recipients judges for whom a message is written, and to whom it goes.
func (c *Chain) recipients(ctx context.Context, to []string) phantom.Verdict {
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return phantom.Verdict{Decision: phantom.Block, Rule: "email-principal", Family: "email", Reason: "only work for the owner may send mail", Suggestion: "put it into the answer"}
	}
	for _, address := range to {
		if !c.Mail.Allows(address) {
			return phantom.Verdict{
				Decision: phantom.Block, Rule: "email-recipient", Family: "email", Reason: fmt.Sprintf("%.100q is neither the owner's address nor one that the owner allows", address),
				Suggestion: "write to the owner, who can name the address, or its @domain, under email.allow in config/channels.yaml",
			}
		}
	}
	return phantom.Allowed()
}

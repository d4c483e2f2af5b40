package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"phantom/internal/control"
	"phantom/internal/phantom"
)

func (c *cli) askCommand() *cobra.Command {
	var offline bool
	var conversation string
	cmd := &cobra.Command{
		Use:   "ask TEXT",
		Short: "Ask one thing and print the answer",
		Long: "Sends one message through the whole pipeline and prints the reply on stdout; what happens meanwhile goes to stderr.\n" +
			"It speaks to the running instance, or starts one for the time of the question. An empty home is initialised on the way.\n" +
			"Exit code 1 if the turn did not end well.",
		Example: "  phantom ask \"run: uname -a\"\n  phantom ask --offline \"write hello to notes.txt, then read it back\"\n  git diff | phantom ask \"review this\" -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.question(args)
			if err != nil {
				return err
			}
			client, done, err := c.reach(cmd.Context(), reachOptions{offline: offline})
			if err != nil {
				return err
			}
			return errors.Join(c.ask(cmd.Context(), client, conversation, text), done())
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "use the embedded model, without any network")
	cmd.Flags().StringVar(&conversation, "conversation", "main", "which terminal conversation to go on with")
	return c.jsonFlag(cmd)
}

// questionLimit bounds what is read of a pipe, in bytes.
const questionLimit = 1 << 20

// question is the text of the arguments; a last argument "-" stands for what
// comes in on standard input. Only asked for, because an inherited pipe may
// stay open for ever.
func (c *cli) question(args []string) (string, error) {
	if args[len(args)-1] != "-" {
		return strings.Join(args, " "), nil
	}
	raw, err := io.ReadAll(io.LimitReader(c.stdin, questionLimit+1))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	if len(raw) > questionLimit {
		return "", usagef("standard input has more than %d bytes: put it into a file of the workspace and name it", questionLimit)
	}
	return strings.TrimSpace(strings.Join(args[:len(args)-1], " ") + "\n\n" + string(raw)), nil
}

// ask sends a message and prints its answer: piece by piece on a terminal,
// whole otherwise.
func (c *cli) ask(ctx context.Context, client *control.Client, conversation, text string) error {
	var reply *control.Reply
	live := &liveText{w: c.stdout, on: !c.json && interactive(c.stdout)}
	message := control.Message{Conversation: conversation, Identity: phantom.NewID(), Text: text}
	for e, err := range client.Ask(ctx, message) {
		if err != nil && ctx.Err() != nil {
			live.end()
			return fmt.Errorf("no longer waited for: the message is kept and worked on while phantom runs; `%s stop` ends that", c.program())
		}
		if err != nil {
			live.end()
			return err
		}
		switch e.Kind {
		case control.EventReply:
			reply = e.Reply
		case control.EventText:
			live.add(e.Text)
		default:
			live.end()
			c.activity(e)
		}
	}
	if reply == nil {
		return errors.New("the instance ended before it answered: the message is kept, and answered at the next start")
	}
	if live.shows(reply.Text) {
		live.end()
	} else {
		live.end()
		if err := c.print(reply, func(w io.Writer) { fmt.Fprintln(w, printable(reply.Text)) }); err != nil {
			return err
		}
	}
	if reply.State != phantom.TurnDone {
		return exitCode(exitFailed)
	}
	return nil
}

// liveText writes a response while it streams.
type liveText struct {
	w     io.Writer
	on    bool
	shown strings.Builder
}

func (l *liveText) add(text string) {
	if !l.on {
		return
	}
	l.shown.WriteString(text)
	fmt.Fprint(l.w, printable(text))
}

// shows reports whether the whole text stands on the terminal already.
func (l *liveText) shows(text string) bool { return l.on && l.shown.String() == text }

// end finishes the line of what was streamed.
func (l *liveText) end() {
	if l.shown.Len() > 0 {
		fmt.Fprintln(l.w)
		l.shown.Reset()
	}
}

// activity shows on stderr what happens while an answer is made.
func (c *cli) activity(e control.Event) {
	switch e.Kind {
	case control.EventStarted:
		fmt.Fprintf(c.stderr, "• %s %s\n", printable(e.Tool), printable(e.Text))
	case control.EventFinished:
		mark := "✓"
		if e.Failed {
			mark = "✗"
		}
		fmt.Fprintf(c.stderr, "%s %s %s\n", mark, printable(e.Tool), printable(e.Text))
	case control.EventAsked:
		fmt.Fprintf(c.stderr, "? %s\n  in %s\n  because %s\n  answer with: %[4]s approvals approve %[5]d   or: %[4]s approvals deny %[5]d\n",
			quoted(e.Question.Summary), printable(e.Question.CWD), printable(e.Question.Reason), c.program(), e.Question.Number)
	case control.EventNotice, control.EventRestart:
		fmt.Fprintf(c.stderr, "! %s\n", printable(e.Text))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/approval"
	"phantom/internal/channel/terminal"
	"phantom/internal/control"
	"phantom/internal/phantom"
)

const (
	// chatCallTimeout bounds one call that the chat makes to the instance.
	chatCallTimeout = 15 * time.Second
	// rewatchPause is how long the chat waits before it looks again.
	rewatchPause = time.Second
	// patience is how long leaving may take before the user is told why.
	patience = time.Second
)

func (c *cli) chatCommand() *cobra.Command {
	var offline bool
	var conversation string
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Talk with Phantom in this terminal",
		Long: "Opens a chat with the running instance, or starts one for as long as the chat lasts. An empty home is\n" +
			"initialised on the way. What you type while Phantom works reaches it at its next step; `stop` ends the turn.\n" +
			"If standard input is no terminal, each of its lines is one message, answered in order on stdout.",
		Example: "  phantom chat\n  phantom chat --conversation release\n  printf 'list files\\nread notes.txt\\n' | phantom chat --offline",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := reachOptions{offline: offline}
			logs := make(lineWriter, logLines)
			if c.onTerminal() {
				o.log = logs // written to stderr they would tear the chat apart
			}
			client, done, err := c.reach(cmd.Context(), o)
			if err != nil {
				return err
			}
			if c.onTerminal() {
				c.greet(cmd.Context(), client, conversation)
			}
			return errors.Join(c.chat(cmd.Context(), client, conversation, logs), c.patiently(done))
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "use the embedded model, without any network")
	cmd.Flags().StringVar(&conversation, "conversation", "main", "which terminal conversation to go on with")
	return cmd
}

// patiently ends an instance and says what takes so long, if it does.
func (c *cli) patiently(end func() error) error {
	notice := time.AfterFunc(patience, func() {
		fmt.Fprintln(c.stderr, "the running turn is given time to end; ctrl-c twice leaves at once, and it goes on at the next start")
	})
	defer notice.Stop()
	return end()
}

// greet says who answers. If the instance cannot say it, the chat will tell why.
func (c *cli) greet(ctx context.Context, client *control.Client, conversation string) {
	var s app.Status
	if err := client.Status(ctx, &s); err != nil {
		return
	}
	fmt.Fprintln(c.stdout, printable(fmt.Sprintf("%s · %s · model %s (%s) · conversation %s", s.Name, s.Home, s.Model, s.Chosen, conversation)))
}

func (c *cli) onTerminal() bool { return interactive(c.stdin) && interactive(c.stdout) }

// lineWriter hands each line that is written to it to whoever receives, and
// drops it if nobody keeps up: a terminal is no log store.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		select {
		case w <- strings.TrimRight(line, "\n"):
		default:
		}
	}
	return len(p), nil
}

// chat lets the user talk until they leave. logs are lines to show above the
// prompt; nil if there are none.
func (c *cli) chat(ctx context.Context, client *control.Client, conversation string, logs <-chan string) error {
	if !c.onTerminal() {
		return c.plainChat(ctx, client, conversation)
	}
	inside, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newChatModel(terminal.Conversation(conversation), time.Now, func(e effect) tea.Cmd {
		return func() tea.Msg { return perform(inside, client, conversation, e) }
	})
	p := tea.NewProgram(m, tea.WithContext(inside), tea.WithInput(c.stdin), tea.WithOutput(c.stdout), tea.WithoutSignalHandler())
	var feeding sync.WaitGroup
	feeding.Go(func() { watch(inside, client, conversation, p.Send) })
	feeding.Go(func() { forward(inside, logs, p.Send) })
	_, err := p.Run()
	cancel()
	feeding.Wait()
	if ctx.Err() != nil {
		return nil // the process was asked to end, which is a way to leave
	}
	return errors.Join(err, m.err)
}

// watch shows what happens in the conversation until the instance is gone.
func watch(ctx context.Context, client *control.Client, conversation string, show func(tea.Msg)) {
	for {
		err := errors.New("the connection ended")
		for e, problem := range client.Watch(ctx, conversation, func() { show(watchingMsg{}) }) {
			if problem != nil {
				err = problem
				break
			}
			show(e)
		}
		if ctx.Err() != nil {
			return
		}
		show(lostMsg{err: err, gone: errors.Is(err, control.ErrNoInstance)})
		if pause(ctx, rewatchPause) != nil {
			return
		}
	}
}

func forward(ctx context.Context, logs <-chan string, show func(tea.Msg)) {
	for {
		select {
		case line, open := <-logs:
			if !open {
				return
			}
			show(logMsg(line))
		case <-ctx.Done():
			return
		}
	}
}

// perform does what the model wants done outside itself and returns what came of it.
func perform(ctx context.Context, client *control.Client, conversation string, e effect) tea.Msg {
	ctx, cancel := context.WithTimeout(ctx, chatCallTimeout)
	defer cancel()
	switch e.kind {
	case effectSend:
		err := client.Send(ctx, control.Message{Conversation: conversation, Identity: phantom.NewID(), Text: e.text})
		return sentMsg{text: e.text, err: err}
	case effectDecide:
		decide := func() (approval.Question, error) { return client.Decide(ctx, e.number, e.approve) }
		if e.always {
			decide = func() (approval.Question, error) { return client.Always(ctx, e.number) }
		}
		q, err := decide()
		return decidedMsg{number: e.number, approve: e.approve, always: e.always, summary: q.Summary, err: err}
	case effectPending:
		open, err := client.Pending(ctx)
		return pendingMsg{known: e.known, open: open, err: err}
	case effectStatus:
		var s app.Status
		err := client.Status(ctx, &s)
		return statusMsg{status: s, show: e.show, err: err}
	}
	return nil
}

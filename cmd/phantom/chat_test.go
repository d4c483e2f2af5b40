package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"phantom/internal/app"
	"phantom/internal/approval"
	"phantom/internal/control"
	"phantom/internal/phantom"
)

// chatTest drives a chat by messages and reads what it shows and wants done.
type chatTest struct {
	t    *testing.T
	m    *chatModel
	time time.Time
	done []effect
}

func newChatTest(t *testing.T) *chatTest {
	t.Helper()
	c := &chatTest{t: t, time: time.Unix(1_800_000_000, 0)}
	c.m = newChatModel("terminal:main", func() time.Time { return c.time }, func(e effect) tea.Cmd {
		c.done = append(c.done, e)
		return nil
	})
	c.m.Init()
	c.on(tea.WindowSizeMsg{Width: 80, Height: 24}, drawnMsg{})
	c.m.out = nil
	return c
}

func (c *chatTest) on(msgs ...tea.Msg) {
	for _, msg := range msgs {
		c.m.on(msg)
	}
}

func (c *chatTest) wait(d time.Duration) { c.time = c.time.Add(d) }

// press types text, or presses a key that is named.
func (c *chatTest) press(keys ...string) {
	named := map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown},
		"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+d": {Code: 'd', Mod: tea.ModCtrl},
		"alt+enter": {Code: tea.KeyEnter, Mod: tea.ModAlt}, "alt+esc": {Code: tea.KeyEscape, Mod: tea.ModAlt},
	}
	for _, k := range keys {
		if msg, ok := named[k]; ok {
			c.on(msg)
			continue
		}
		for _, r := range k {
			c.on(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// printed returns what went into the scrollback, without its dress.
func (c *chatTest) printed() string {
	text := undress(strings.Join(c.m.out, "\n"))
	c.m.out = nil
	return text
}

// live returns the part of the screen that still changes.
func (c *chatTest) live() string { return undress(c.m.View().Content) }

func (c *chatTest) effects() []effect {
	done := c.done
	c.done = nil
	return done
}

var dress = regexp.MustCompile("\x1b\\[[0-9;]*m")

func undress(text string) string {
	lines := strings.Split(dress.ReplaceAllString(text, ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func text(s string) control.Event { return control.Event{Kind: control.EventText, Text: s} }

func started(tool, s string) control.Event {
	return control.Event{Kind: control.EventStarted, Tool: tool, Text: s}
}

func replied(turn phantom.TurnID, s string) control.Event {
	return control.Event{Kind: control.EventReply, Reply: &control.Reply{Turn: turn, Text: s, State: phantom.TurnDone, Duration: 3200 * time.Millisecond}}
}

func delivered(turn phantom.TurnID, s string) control.Event {
	return control.Event{Kind: control.EventDelivered, Turn: turn, Text: s}
}

func asked(number int64, summary string) control.Event {
	return control.Event{Kind: control.EventAsked, Question: question(number, summary)}
}

func question(number int64, summary string) *approval.Question {
	return &approval.Question{
		Number: number, Conversation: "terminal:main", Tool: "bash", Summary: summary, CWD: "/work", Rule: "force-push", Reason: "It overwrites what others pushed.",
	}
}

func TestChatScrollback(t *testing.T) {
	finished := func(tool, preview string, failed bool) control.Event {
		return control.Event{Kind: control.EventFinished, Tool: tool, Text: preview, Failed: failed, Duration: 300 * time.Millisecond}
	}
	for _, tt := range []struct {
		name   string
		events []tea.Msg
		want   string
	}{
		{"a streamed answer is printed once, by its reply", []tea.Msg{text("Hel"), text("lo."), replied("t1", "Hello.")}, "\nHello.\n3.2s"},
		{"a delivery after its reply is the same text", []tea.Msg{replied("t1", "Hello."), delivered("t1", "Hello.")}, "\nHello.\n3.2s"},
		{"a delivery before its reply as well", []tea.Msg{delivered("t1", "Hello."), replied("t1", "Hello.")}, "\nHello.\n3.2s"},
		{"the same text in another turn is another answer", []tea.Msg{replied("t1", "Hi."), replied("t2", "Hi.")}, "\nHi.\n3.2s\n\nHi.\n3.2s"},
		{"a notice belongs to no turn", []tea.Msg{delivered("", "Nothing was running.")}, "\nNothing was running."},
		{"two notices may read alike", []tea.Msg{delivered("", "Due."), delivered("", "Due.")}, "\nDue.\n\nDue."},
		{
			"what is said before a tool acts stays",
			[]tea.Msg{text("I look."), started("bash", "ls"), finished("bash", "a b", false), replied("t1", "Two files.")},
			"\nI look.\n  ✓ bash ls · 0.3s\n\nTwo files.\n3.2s",
		},
		{"a failed tool says why", []tea.Msg{started("bash", "false"), finished("bash", "exit code 1", true)}, "  ✗ bash false · 0.3s\n    exit code 1"},
		{"a refused tool never started", []tea.Msg{finished("bash", "blocked: recursive-delete", true)}, "  ✗ bash blocked: recursive-delete · 0.3s"},
		{
			"a restart voids what was streamed",
			[]tea.Msg{text("Wrong beg"), control.Event{Kind: control.EventRestart, Text: "the stream broke"}, text("Right."), started("bash", "ls")},
			"↻ the stream broke\n\nRight.",
		},
		{
			"money is shown when it was spent",
			[]tea.Msg{control.Event{Kind: control.EventReply, Reply: &control.Reply{Turn: "t1", Text: "x", State: phantom.TurnDone, Cost: 12_300, Duration: time.Minute}}},
			"\nx\n1m00s · $0.0123",
		},
		{
			"a turn that did not end well says so",
			[]tea.Msg{control.Event{Kind: control.EventReply, Reply: &control.Reply{Turn: "t1", Text: "x", State: phantom.TurnStopped, Duration: time.Second}}},
			"\nx\nstopped · 1s",
		},
		{"markdown keeps its shape", []tea.Msg{replied("t1", "# Title\n- **one**\n```\n  code\n```")}, "\nTitle\n- one\n```\n  code\n```\n3.2s"},
		{"logs come above the prompt", []tea.Msg{logMsg("level=WARN msg=x")}, "level=WARN msg=x"},
		{"a message that was not taken is said", []tea.Msg{sentMsg{text: "hi", err: errors.New("disk full")}}, "not sent: disk full"},
		{"the same complaint comes once", []tea.Msg{lostMsg{err: errors.New("odd")}, lostMsg{err: errors.New("odd")}}, "odd; trying again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChatTest(t)
			c.on(tt.events...)
			if diff := cmp.Diff(tt.want, c.printed()); diff != "" {
				t.Errorf("scrollback (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChatLive(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []tea.Msg
		want   string // above the prompt
	}{
		{"nothing happens", nil, ""},
		{"a response comes in", []tea.Msg{text("Hel"), text("lo")}, "\nHello\n⠋ working · 0s · esc esc stops\n"},
		{"thinking is its last line", []tea.Msg{control.Event{Kind: control.EventThinking, Text: "first\nsecond"}}, "\n  thinking: second\n⠋ working · 0s · esc esc stops\n"},
		{"text ends thinking", []tea.Msg{control.Event{Kind: control.EventThinking, Text: "hm"}, text("So")}, "\nSo\n⠋ working · 0s · esc esc stops\n"},
		{"tools act", []tea.Msg{started("bash", "sleep 9"), started("read_file", "a")}, "\n  ⠋ bash sleep 9 · 0s\n  ⠋ read_file a · 0s\n⠋ working · 0s · esc esc stops\n"},
		{
			"many tools are counted",
			[]tea.Msg{started("a", ""), started("b", ""), started("c", ""), started("d", ""), started("e", "")},
			"\n  ⠋ a · 0s\n  ⠋ b · 0s\n  ⠋ c · 0s\n    and 2 more\n⠋ working · 0s · esc esc stops\n",
		},
		{"a reply ends it", []tea.Msg{started("bash", "ls"), replied("t1", "Done.")}, ""},
		{"a restart voids it", []tea.Msg{text("Wrong"), control.Event{Kind: control.EventRestart}}, "\n⠋ working · 0s · esc esc stops\n"},
		{
			"a question takes the place of the spinner",
			[]tea.Msg{asked(3, "git push --force"), asked(4, "rm x")},
			"\n? approval 3: y approves once · n denies · 1 more wait · git push --force\n",
		},
		{"a turn that runs already", []tea.Msg{statusMsg{status: app.Status{Turns: []phantom.TurnRef{{Turn: "t", Conversation: "terminal:main"}}}}}, "\n⠋ working · 0s · esc esc stops\n"},
		{"a turn of another conversation is not ours", []tea.Msg{statusMsg{status: app.Status{Turns: []phantom.TurnRef{{Turn: "t", Conversation: "terminal:x"}}}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChatTest(t)
			c.on(tt.events...)
			above, input, found := strings.Cut(c.live(), "› ")
			if !found {
				t.Fatalf("no prompt in %q", c.live())
			}
			if diff := cmp.Diff(tt.want, above); diff != "" {
				t.Errorf("above the prompt (-want +got):\n%s", diff)
			}
			if strings.Count(input, "\n") > 0 {
				t.Errorf("the prompt is not the last line: %q", input)
			}
		})
	}
}

func TestChatKeys(t *testing.T) {
	stop := []effect{{kind: effectSend, text: "stop"}}
	for _, tt := range []struct {
		name    string
		keys    []string
		want    []effect
		leaving bool
		input   string
	}{
		{"enter sends", []string{"hello", "enter"}, []effect{{kind: effectSend, text: "hello"}}, false, ""},
		{"an empty message is none", []string{"  ", "enter"}, nil, false, "  "},
		{"a new line does not send", []string{"a", "alt+enter", "b"}, nil, false, "a\nb"},
		{"several lines are one message", []string{"a", "alt+enter", "b", "enter"}, []effect{{kind: effectSend, text: "a\nb"}}, false, ""},
		{"/stop goes to the router as it is", []string{"/stop", "enter"}, []effect{{kind: effectSend, text: "/stop"}}, false, ""},
		{"two escapes stop", []string{"esc", "esc"}, stop, false, ""},
		{"two escapes that arrive as one stop", []string{"alt+esc"}, stop, false, ""},
		{"one escape does nothing", []string{"esc"}, nil, false, ""},
		{"a path is a message", []string{"/etc/hosts holds what?", "enter"}, []effect{{kind: effectSend, text: "/etc/hosts holds what?"}}, false, ""},
		{"a space in front makes a message of a command", []string{" /quit", "enter"}, []effect{{kind: effectSend, text: "/quit"}}, false, ""},
		{"an unknown command is not sent", []string{"/frobnicate", "enter"}, nil, false, ""},
		{"/approve takes its number", []string{"/approve 7", "enter"}, []effect{{kind: effectDecide, number: 7, approve: true}}, false, ""},
		{"/deny takes its number", []string{"/deny 7", "enter"}, []effect{{kind: effectDecide, number: 7}}, false, ""},
		{"/approve without a number decides nothing", []string{"/approve", "enter"}, nil, false, ""},
		{"/approve all decides nothing", []string{"/approve all", "enter"}, nil, false, ""},
		{"/status asks", []string{"/status", "enter"}, []effect{{kind: effectStatus, show: true}}, false, ""},
		{"ctrl-d leaves", []string{"ctrl+d"}, nil, true, ""},
		{"ctrl-d in a text does not", []string{"a", "ctrl+d"}, nil, false, "a"},
		{"ctrl-c clears first", []string{"a", "ctrl+c"}, nil, false, ""},
		{"ctrl-c twice leaves", []string{"ctrl+c", "ctrl+c"}, nil, true, ""},
		{"/quit leaves", []string{"/quit", "enter"}, nil, true, ""},
		{"/exit leaves", []string{"/exit", "enter"}, nil, true, ""},
		{"y is a letter when nothing is asked", []string{"y"}, nil, false, "y"},
		{"up brings back what was sent", []string{"/help", "enter", "/nope", "enter", "up", "up"}, nil, false, "/help"},
		{"down comes back to the draft", []string{"/help", "enter", "dra", "up", "down", "ft"}, nil, false, "draft"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChatTest(t)
			c.press(tt.keys...)
			if diff := cmp.Diff(tt.want, c.effects(), cmp.AllowUnexported(effect{})); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			if c.m.leaving != tt.leaving {
				t.Errorf("leaving = %v, want %v", c.m.leaving, tt.leaving)
			}
			if got := c.m.input.Value(); got != tt.input {
				t.Errorf("input = %q, want %q", got, tt.input)
			}
		})
	}
}

// lasting is a question that offers a lasting yes.
func lasting(number int64) control.Event {
	e := asked(number, "git push --force")
	e.Question.Lasting = true
	return e
}

func TestChatDecides(t *testing.T) {
	approve := func(n int64) effect { return effect{kind: effectDecide, number: n, approve: true} }
	deny := func(n int64) effect { return effect{kind: effectDecide, number: n} }
	for _, tt := range []struct {
		name string
		act  func(c *chatTest)
		want []effect
	}{
		{"y approves", func(c *chatTest) { c.press("y") }, []effect{approve(3)}},
		{"n denies", func(c *chatTest) { c.press("n") }, []effect{deny(3)}},
		{"enter decides nothing", func(c *chatTest) { c.press("enter", "enter") }, nil},
		{"y in a text is a letter", func(c *chatTest) { c.press("say y") }, nil},
		{"a pasted y decides nothing", func(c *chatTest) { c.on(tea.PasteMsg{Content: "y"}) }, nil},
		{"other keys decide nothing", func(c *chatTest) { c.press("esc", "up", "a", "ctrl+c") }, nil},
		{"one press decides one question", func(c *chatTest) { c.on(asked(4, "rm x")); c.press("y", "y") }, []effect{approve(3)}},
		{"the next question can be answered once it was seen", func(c *chatTest) { c.on(asked(4, "rm x")); c.press("y"); c.wait(settle); c.press("n") }, []effect{approve(3), deny(4)}},
		{"a number takes its question out of turn", func(c *chatTest) { c.on(asked(4, "rm x")); c.press("/deny 4", "enter", "y") }, []effect{deny(4), approve(3)}},
		{"A is a letter where no lasting yes is offered", func(c *chatTest) { c.press("A", "y") }, nil},
		{"A approves for good where that is offered", func(c *chatTest) { c.press("y"); c.on(lasting(4)); c.wait(settle); c.press("A") }, []effect{approve(3), {kind: effectDecide, number: 4, approve: true, always: true}}},
		{"/always takes its number", func(c *chatTest) { c.press("/always 3", "enter") }, []effect{{kind: effectDecide, number: 3, approve: true, always: true}}},
		{"a repeated question is one", func(c *chatTest) { c.on(asked(3, "git push --force")); c.press("y"); c.wait(settle); c.press("y") }, []effect{approve(3)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChatTest(t)
			c.on(asked(3, "git push --force"))
			c.wait(settle)
			tt.act(c)
			if diff := cmp.Diff(tt.want, c.effects(), cmp.AllowUnexported(effect{})); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChatKeyThatWasOnItsWayDecidesNothing(t *testing.T) {
	c := newChatTest(t)
	c.on(asked(3, "git push --force"))
	c.wait(settle - time.Millisecond)
	c.press("y")
	if got := c.effects(); len(got) > 0 {
		t.Errorf("effects = %v, want none", got)
	}
	if got := c.m.input.Value(); got != "" {
		t.Errorf("input = %q, want nothing", got)
	}
}

func TestChatQuestionShowsAllOfIt(t *testing.T) {
	c := newChatTest(t)
	command := "git push --force " + strings.Repeat("x", 300) + " && rm -rf \x1b[8m/\x1b[0m \u202e end"
	c.on(asked(3, command+"\nsecond line"))
	got := c.printed()
	for _, want := range []string{"approval 3: may I run bash?", `\u001b[8m/\u001b[0m \u202e end`, "second line", "in /work", "rule force-push", "because It overwrites what others pushed."} {
		flat := strings.NewReplacer("│\n│ ", "", " │\n│ ", "").Replace(got)
		if !strings.Contains(flat, want) {
			t.Errorf("the question does not show %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "x"); n < 300 {
		t.Errorf("%d of 300 letters of the command are shown", n)
	}
	for line := range strings.Lines(got) {
		if w := lipgloss.Width(line); w > 80 {
			t.Errorf("a line is %d wide, the terminal 80: %q", w, line)
		}
	}
}

func TestChatQuestionSaysThatItWasCut(t *testing.T) {
	c := newChatTest(t)
	c.on(asked(3, "git push --force && …"))
	if got := c.printed(); !strings.Contains(got, "the rest is not shown") {
		t.Errorf("a cut action looks whole:\n%s", got)
	}
}

func TestChatQuestionsFollowTheInstance(t *testing.T) {
	c := newChatTest(t)
	c.on(asked(3, "one"), asked(4, "two"))
	c.printed()
	c.on(control.Event{Kind: control.EventDecided})
	want := []effect{{kind: effectPending, known: []int64{3, 4}}}
	if diff := cmp.Diff(want, c.effects(), cmp.AllowUnexported(effect{})); diff != "" {
		t.Fatalf("effects (-want +got):\n%s", diff)
	}
	c.on(asked(5, "three"))
	foreign := *question(6, "elsewhere")
	foreign.Conversation = "slack:C1"
	c.on(pendingMsg{known: []int64{3, 4}, open: []approval.Question{*question(4, "two"), foreign}})
	numbers := []int64{}
	for _, q := range c.m.questions {
		numbers = append(numbers, q.Number)
	}
	if want := []int64{4, 5}; !slices.Equal(numbers, want) {
		t.Errorf("open questions = %v, want %v", numbers, want)
	}
	if got := c.printed(); !strings.Contains(got, "approval 3 is closed") || strings.Contains(got, "elsewhere") {
		t.Errorf("printed %q", got)
	}
}

func TestChatDecisionThatFailsLeavesTheQuestionOpen(t *testing.T) {
	c := newChatTest(t)
	c.on(asked(3, "one"))
	c.wait(settle)
	c.press("y")
	c.on(pendingMsg{open: []approval.Question{*question(3, "one")}})
	if len(c.m.questions) != 0 {
		t.Fatal("a question that was just answered came back")
	}
	c.on(decidedMsg{number: 3, approve: true, err: errors.New("database is locked")}, pendingMsg{open: []approval.Question{*question(3, "one")}})
	if len(c.m.questions) != 1 {
		t.Errorf("%d questions wait, want 1", len(c.m.questions))
	}
}

func TestChatFollowUps(t *testing.T) {
	c := newChatTest(t)
	c.press("first", "enter")
	c.on(text("I begin."))
	c.press("and second", "enter")
	if got := c.live(); !strings.Contains(got, "queued: and second") || !strings.Contains(got, "working, 1 queued") {
		t.Errorf("a follow-up is not shown as queued:\n%s", got)
	}
	c.on(started("bash", "ls"))
	if got := c.live(); !strings.Contains(got, "queued: and second") {
		t.Errorf("a follow-up left the queue before the step ended:\n%s", got)
	}
	c.on(text("Both."))
	if got := c.live(); strings.Contains(got, "queued") {
		t.Errorf("a follow-up is queued although the next response began:\n%s", got)
	}
	want := []effect{{kind: effectSend, text: "first"}, {kind: effectSend, text: "and second"}}
	if diff := cmp.Diff(want, c.effects(), cmp.AllowUnexported(effect{})); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestChatFollowUpThatCameTooLateKeepsItWorking(t *testing.T) {
	c := newChatTest(t)
	c.press("first", "enter")
	c.on(text("Done."))
	c.press("second", "enter")
	c.effects()
	c.on(replied("t1", "Done."))
	if !c.m.busy {
		t.Error("not busy although a message waits")
	}
	if diff := cmp.Diff([]effect{{kind: effectStatus}}, c.effects(), cmp.AllowUnexported(effect{})); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	c.on(statusMsg{status: app.Status{Queue: app.Queue{Inbox: 1}}})
	if !c.m.busy {
		t.Error("not busy although the inbox holds a message")
	}
	c.on(statusMsg{})
	if c.m.busy {
		t.Error("busy although nothing runs and nothing waits")
	}
}

func TestChatLooksAfterAQuietTurn(t *testing.T) {
	c := newChatTest(t)
	c.press("first", "enter")
	c.effects()
	c.on(tickMsg{})
	if got := c.effects(); len(got) > 0 {
		t.Errorf("effects = %v, want none so soon", got)
	}
	c.wait(quiet + time.Second)
	c.on(tickMsg{}, tickMsg{})
	if diff := cmp.Diff([]effect{{kind: effectStatus}}, c.effects(), cmp.AllowUnexported(effect{})); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestChatEndsWithItsInstance(t *testing.T) {
	c := newChatTest(t)
	c.on(lostMsg{err: control.ErrNoInstance, gone: true})
	if !c.m.leaving || c.m.err == nil {
		t.Errorf("leaving = %v, err = %v; want to leave and say why", c.m.leaving, c.m.err)
	}
}

func TestChatFitsEveryTerminal(t *testing.T) {
	for _, size := range []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 20, Height: 5}, {Width: 1, Height: 1}, {Width: 200, Height: 60}} {
		c := newChatTest(t)
		c.on(size, text(strings.Repeat("word ", 4000)), control.Event{Kind: control.EventThinking, Text: strings.Repeat("thought ", 50)})
		for range 5 {
			c.on(control.Event{Kind: control.EventStarted, Tool: "bash", Text: strings.Repeat("long ", 100)})
		}
		c.on(text("tail\n"), asked(1, strings.Repeat("long ", 100)), asked(2, "x"))
		c.on(tea.PasteMsg{Content: strings.Repeat("line\n", 100)})
		view := c.m.View()
		if got := lipgloss.Height(view.Content) + c.m.pieceHeight(); size.Height > 5 && got > size.Height {
			t.Errorf("%v: the live part and one print take %d rows", size, got)
		}
		if got := lipgloss.Width(view.Content); size.Width > 10 && got > size.Width {
			t.Errorf("%v: the live part is %d wide:\n%s", size, got, view.Content)
		}
	}
}

func TestChatPrintsInOrder(t *testing.T) {
	c := newChatTest(t)
	c.on(replied("t1", strings.Repeat("line\n", 30)))
	want := len(c.m.out)
	first := c.m.flush()
	if first == nil || c.m.flush() != nil {
		t.Fatal("flush must print one piece and then wait until it is printed")
	}
	pieces := 1
	for c.on(printedMsg{}); c.m.flush() != nil; c.on(printedMsg{}) {
		pieces++
	}
	if least := want / c.m.pieceHeight(); pieces < least || len(c.m.out) != 0 {
		t.Errorf("%d lines took %d pieces, %d are left", want, pieces, len(c.m.out))
	}
	c.press("ctrl+d")
	if c.m.flush() == nil {
		t.Error("leaving must quit once all is printed")
	}
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"

	"phantom/internal/app"
	"phantom/internal/approval"
	"phantom/internal/control"
	"phantom/internal/phantom"
)

// effect is something that the chat wants done outside itself.
type effect struct {
	kind    effectKind
	text    string  // of effectSend
	number  int64   // of effectDecide
	approve bool    // of effectDecide
	always  bool    // of effectDecide: a lasting yes
	known   []int64 // of effectPending: the questions that were open when it was asked
	show    bool    // of effectStatus: print it
}

type effectKind uint8

const (
	_ effectKind = iota
	effectSend
	effectDecide
	effectPending
	effectStatus
)

// What comes back from effects and from the feeds. A control.Event and what
// the keyboard sends are the other messages.
type (
	sentMsg struct {
		text string
		err  error
	}
	decidedMsg struct {
		number  int64
		approve bool
		always  bool
		summary string
		err     error
	}
	pendingMsg struct {
		known []int64
		open  []approval.Question
		err   error
	}
	statusMsg struct {
		status app.Status
		show   bool
		err    error
	}
	lostMsg struct {
		err  error
		gone bool // there is no instance any more
	}
	watchingMsg struct{}
	drawnMsg    struct{}
	printedMsg  struct{}
	tickMsg     struct{}
	logMsg      string
)

const (
	// tickEvery moves the spinner.
	tickEvery = 120 * time.Millisecond
	// quiet is how long a working turn may show nothing before the chat asks
	// whether it still runs: a watcher can miss events.
	quiet = 5 * time.Second
	// keptTurns bounds how many ended turns are remembered against printing twice.
	keptTurns = 64
	// firstFrame is how long the first frame is given to reach the screen. Until
	// then the library takes the whole screen for its own, and what is printed
	// would overwrite what stood there before the chat.
	firstFrame = 100 * time.Millisecond
)

// activeTool is a tool that acts.
type activeTool struct {
	name, text string
	began      time.Time
}

// waiting is a message that the agent has not been given yet.
type waitingMessage struct {
	text     string
	response int // the response during which it was sent
}

// chatModel is the state of the chat. Update is its only entrance; time, and
// everything outside, come through now and perform.
type chatModel struct {
	conversation phantom.ConversationID
	now          func() time.Time
	perform      func(effect) tea.Cmd
	look         look

	width, height int
	drawn         bool // the first frame is on the screen
	input         textarea.Model
	history       []string
	recall        int    // index into history; len(history) is the draft
	draft         string // what was being typed when the user went into the history
	hint          string // about the last key
	lastCtrlC     time.Time
	lastEsc       time.Time

	busy      bool
	ticking   bool
	began     time.Time // of the work that is shown
	heard     time.Time // when the last event came
	frame     int       // of the spinner
	streaming bool      // a response is coming in
	response  int       // counts responses
	text      string    // of the response that is coming in
	thinking  string
	tools     []activeTool
	waiting   []waitingMessage
	questions []approval.Question
	headSince time.Time      // since when the first question is the first
	decided   map[int64]bool // questions that were answered here
	turns     []phantom.TurnID
	lost      string // the last complaint about the connection

	out      []string // lines for the scrollback
	printing bool
	leaving  bool
	err      error // why the chat ended, if not by the user
}

func newChatModel(conversation phantom.ConversationID, now func() time.Time, perform func(effect) tea.Cmd) *chatModel {
	m := &chatModel{
		conversation: conversation, now: now, perform: perform, look: newLook(), input: newInput(), decided: map[int64]bool{},
	}
	m.out = []string{m.look.dim.Render("/help lists keys and commands · ctrl-d leaves")}
	return m
}

// Init implements tea.Model.
func (m *chatModel) Init() tea.Cmd { return m.input.Focus() }

// Update implements tea.Model.
func (m *chatModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.on(msg)
	return m, tea.Batch(cmd, m.flush(), m.tick())
}

// on changes the state by one message.
func (m *chatModel) on(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		return m.resize(msg.Width, msg.Height)
	case drawnMsg:
		m.drawn = true
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		return m.paste(msg.Content)
	case control.Event:
		return m.event(msg)
	case watchingMsg:
		return m.watching()
	case lostMsg:
		m.disconnected(msg)
	case sentMsg:
		m.sent(msg)
	case decidedMsg:
		return m.decision(msg)
	case pendingMsg:
		m.pending(msg)
	case statusMsg:
		m.status(msg)
	case logMsg:
		m.say(m.look.dim, printable(string(msg)))
	case printedMsg:
		m.printing = false
	case tickMsg:
		return m.ticked()
	default: // what else the input understands
		return m.edit(msg)
	}
	return nil
}

// watching begins with what is going on already.
func (m *chatModel) watching() tea.Cmd {
	m.lost = ""
	return tea.Batch(m.lookForQuestions(), m.perform(effect{kind: effectStatus}))
}

func (m *chatModel) lookForQuestions() tea.Cmd {
	known := make([]int64, len(m.questions))
	for i, q := range m.questions {
		known[i] = q.Number
	}
	return m.perform(effect{kind: effectPending, known: known})
}

func (m *chatModel) disconnected(msg lostMsg) {
	if msg.gone {
		m.err = errors.New("the instance has ended: messages without an answer are kept, and answered at the next `phantom start`")
		m.leaving = true
		return
	}
	if text := msg.err.Error(); text != m.lost {
		m.lost = text
		m.complain(text + "; trying again")
	}
}

// event shows one thing that happened in the conversation.
func (m *chatModel) event(e control.Event) tea.Cmd {
	m.heard = m.now()
	switch e.Kind {
	case control.EventText:
		m.responds()
		m.text, m.thinking = m.text+e.Text, ""
	case control.EventThinking:
		m.responds()
		m.thinking += e.Text
	case control.EventRestart:
		m.text, m.thinking = "", ""
		m.say(m.look.dim, "↻ "+printable(cmp.Or(e.Text, "the response starts again")))
	case control.EventNotice:
		m.say(m.look.warn, "! "+printable(e.Text))
	case control.EventStarted:
		m.acts()
		m.tools = append(m.tools, activeTool{e.Tool, e.Text, m.heard})
	case control.EventFinished:
		m.acts()
		m.toolDone(e)
	case control.EventAsked:
		m.acts()
		if e.Question != nil {
			m.ask(*e.Question)
		}
	case control.EventDecided:
		return m.lookForQuestions()
	case control.EventReply:
		if e.Reply != nil {
			return m.reply(*e.Reply)
		}
	case control.EventDelivered:
		return m.delivered(e)
	}
	return nil
}

// works notes that a turn runs.
func (m *chatModel) works() {
	if !m.busy {
		m.busy, m.began, m.heard = true, m.now(), m.now()
	}
}

// responds notes that a response comes in; messages that were sent before it
// began have reached the model with it.
func (m *chatModel) responds() {
	m.works()
	if m.streaming {
		return
	}
	m.streaming = true
	m.waiting = slices.DeleteFunc(m.waiting, func(w waitingMessage) bool { return w.response <= m.response })
	m.response++
}

// acts notes that the response is whole and its tools act: what it said stays.
func (m *chatModel) acts() {
	m.works()
	m.streaming, m.thinking = false, ""
	if text := strings.TrimSpace(printable(m.text)); text != "" {
		m.out = append(append(m.out, ""), m.render(text)...)
	}
	m.text = ""
}

func (m *chatModel) toolDone(e control.Event) {
	text := e.Text
	// The events carry no call id, so of several calls of one tool the oldest is taken.
	if i := slices.IndexFunc(m.tools, func(t activeTool) bool { return t.name == e.Tool }); i >= 0 {
		text = m.tools[i].text
		m.tools = slices.Delete(m.tools, i, i+1)
	}
	mark := m.look.good.Render("✓")
	if e.Failed {
		mark = m.look.bad.Render("✗")
	}
	took := m.look.dim.Render(" · " + elapsed(e.Duration))
	m.out = append(m.out, m.clip("  "+mark+" "+m.toolLine(e.Tool, text), took))
	if preview := oneLine(e.Text); e.Failed && preview != "" && preview != oneLine(text) {
		m.out = append(m.out, m.clip("    "+m.look.dim.Render(preview), ""))
	}
}

// reply prints how a turn ended.
func (m *chatModel) reply(r control.Reply) tea.Cmd {
	m.text, m.thinking, m.streaming, m.tools, m.hint = "", "", false, nil, ""
	if !m.printed(r.Turn) {
		m.answer(r.Text)
	}
	footer := []string{}
	if r.State != phantom.TurnDone {
		footer = append(footer, string(r.State))
	}
	footer = append(footer, elapsed(r.Duration))
	if r.Cost > 0 {
		footer = append(footer, r.Cost.String())
	}
	m.say(m.look.dim, strings.Join(footer, " · "))
	if len(m.waiting) > 0 {
		return m.perform(effect{kind: effectStatus}) // it may have a turn of its own
	}
	m.busy = false
	return nil
}

// delivered prints what no reply event printed. Both come for a turn, in
// either order.
func (m *chatModel) delivered(e control.Event) tea.Cmd {
	if e.Turn == "" || !m.printed(e.Turn) {
		m.answer(e.Text)
	}
	if m.busy {
		return m.perform(effect{kind: effectStatus})
	}
	return nil
}

// printed reports whether a turn's text was printed, and remembers it.
func (m *chatModel) printed(turn phantom.TurnID) bool {
	if turn == "" {
		return false
	}
	if slices.Contains(m.turns, turn) {
		return true
	}
	m.turns = append(m.turns, turn)
	if len(m.turns) > keptTurns {
		m.turns = slices.Delete(m.turns, 0, 1)
	}
	return false
}

func (m *chatModel) answer(text string) {
	if text = strings.TrimSpace(printable(text)); text != "" {
		m.out = append(append(m.out, ""), m.render(text)...)
	}
}

// sent complains about a message that was not taken and gives it back.
func (m *chatModel) sent(msg sentMsg) {
	if msg.err == nil {
		return
	}
	m.complain("not sent: " + msg.err.Error())
	if i := slices.IndexFunc(m.waiting, func(w waitingMessage) bool { return w.text == msg.text }); i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
	} else {
		m.busy = false
	}
	if m.input.Value() == "" {
		m.input.SetValue(msg.text)
	}
}

func (m *chatModel) status(msg statusMsg) {
	switch {
	case msg.err != nil && msg.show:
		m.complain(msg.err.Error())
		return
	case msg.err != nil:
		return // only a look; the watch says it if the instance is gone
	case msg.show:
		m.printStatus(msg.status)
	}
	runs := slices.ContainsFunc(msg.status.Turns, func(t phantom.TurnRef) bool { return t.Conversation == m.conversation })
	if runs || msg.status.Queue.Inbox > 0 {
		m.works()
		return
	}
	m.busy, m.waiting, m.tools, m.streaming = false, nil, nil, false
}

// ticked moves the spinner, and looks after a turn that has gone quiet.
func (m *chatModel) ticked() tea.Cmd {
	m.ticking = false
	m.frame++
	if m.busy && m.now().Sub(m.heard) > quiet {
		m.heard = m.now()
		return m.perform(effect{kind: effectStatus})
	}
	return nil
}

// tick keeps one timer going while there is something to animate.
func (m *chatModel) tick() tea.Cmd {
	if !m.busy || m.ticking || m.leaving {
		return nil
	}
	m.ticking = true
	return tea.Tick(tickEvery, func(time.Time) tea.Msg { return tickMsg{} })
}

// flush prints what waits for the scrollback, one piece at a time so that the
// order holds, and ends the program when it is to end and all is printed.
func (m *chatModel) flush() tea.Cmd {
	switch {
	case m.printing:
		return nil
	case m.drawn && len(m.out) > 0:
		n := min(len(m.out), m.pieceHeight())
		piece := strings.Join(m.out[:n], "\n")
		m.out, m.printing = m.out[n:], true
		return tea.Sequence(m.print(piece), func() tea.Msg { return printedMsg{} })
	case m.leaving:
		return tea.Quit
	}
	return nil
}

func (m *chatModel) complain(text string) { m.say(m.look.bad, printable(text)) }

func (m *chatModel) printStatus(s app.Status) {
	lines := []string{
		fmt.Sprintf("%s %s · %s · up %s", s.Name, s.Version, s.State, elapsed(time.Duration(s.UptimeS)*time.Second)),
		fmt.Sprintf("home %s · model %s (%s) · sandbox %s", s.Home, s.Model, s.Chosen, s.Sandbox.Level),
		fmt.Sprintf("%d turns run · %d messages wait · %d approvals wait · %s spent today", len(s.Turns), s.Queue.Inbox, s.Waiting, s.Today),
	}
	for _, r := range s.Reasons {
		lines = append(lines, "! "+r)
	}
	for _, l := range lines {
		m.say(m.look.dim, printable(l))
	}
}

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

const (
	// doublePress is within how long a second press counts as such.
	doublePress = 2 * time.Second
	// pasteRows bounds the input, in rows; what is pasted beyond is cut.
	pasteRows = 9_000
)

// commandShape tells a command from a message that begins with a path.
var commandShape = regexp.MustCompile(`^/[a-z]+$`)

const chatHelp = `enter sends · alt-enter or ctrl-j makes a new line · up and down go through what you sent
y approves and n denies the question shown, while the input is empty; A is yes for good, where it is offered
esc twice, or the message "stop", stops the turn · ctrl-c twice or ctrl-d leaves
/stop         stop the turn
/status       how things stand
/approve N    say yes to question N, once
/always N     say yes to question N, and to the same command in its directory from now on
/deny N       say no to question N
/quit, /exit  leave
A message that begins with a slash: put a space in front of it.`

func newInput() textarea.Model {
	in := textarea.New()
	in.Prompt = "› "
	in.Placeholder = "what should I do?"
	in.ShowLineNumbers = false
	in.DynamicHeight = true
	in.MinHeight = 1
	in.MaxContentHeight = pasteRows
	in.SetVirtualCursor(false)
	in.KeyMap.InsertNewline = key.NewBinding(key.WithKeys("alt+enter", "shift+enter", "ctrl+j"))
	styles := in.Styles()
	styles.Focused.CursorLine = lipgloss.NewStyle() // the default paints a bar on light terminals
	styles.Focused.Placeholder = lipgloss.NewStyle().Faint(true)
	styles.Focused.Prompt = lipgloss.NewStyle().Bold(true)
	styles.Cursor.Color = nil // the terminal's own
	in.SetStyles(styles)
	return in
}

func (m *chatModel) resize(width, height int) tea.Cmd {
	first := m.width == 0
	m.width, m.height = width, height
	m.input.MaxHeight = max(1, height/4)
	m.input.SetWidth(width)
	if !first {
		return nil
	}
	return tea.Tick(firstFrame, func(time.Time) tea.Msg { return drawnMsg{} })
}

// edit gives a message to the input.
func (m *chatModel) edit(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	return cmd
}

// paste puts text into the input. Terminals send the ends of lines as carriage
// returns, as the key would.
func (m *chatModel) paste(text string) tea.Cmd {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return m.edit(tea.PasteMsg{Content: printable(text)})
}

// key handles one key press.
func (m *chatModel) key(k tea.KeyPressMsg) tea.Cmd {
	m.hint = ""
	name := k.String()
	empty := m.input.Value() == ""
	switch {
	case name == "ctrl+c":
		m.interrupt(empty)
	case name == "ctrl+d" && empty:
		m.leaving = true
	case name == "esc" || name == "alt+esc": // two escapes in a hurry arrive as one
		return m.escape(name == "alt+esc")
	case name == "enter":
		return m.submit()
	case name == "up" && m.input.Line() == 0 && m.input.LineInfo().RowOffset == 0:
		m.remember(-1)
	case name == "down" && m.input.Line() == m.input.LineCount()-1 && m.input.LineInfo().RowOffset >= m.input.LineInfo().Height-1:
		m.remember(+1)
	case empty && len(m.questions) > 0 && (name == "y" || name == "Y"):
		return m.decideHead(effect{approve: true})
	case empty && len(m.questions) > 0 && (name == "n" || name == "N"):
		return m.decideHead(effect{})
	case empty && len(m.questions) > 0 && name == "A" && m.questions[0].Lasting:
		return m.decideHead(effect{approve: true, always: true})
	default:
		return m.edit(k)
	}
	return nil
}

func (m *chatModel) interrupt(empty bool) {
	switch {
	case !empty:
		m.input.Reset()
		m.recall = len(m.history)
	case m.now().Sub(m.lastCtrlC) < doublePress:
		m.leaving = true
	default:
		m.lastCtrlC = m.now()
		m.hint = "ctrl-c again leaves"
		if m.busy {
			m.hint += " · esc esc stops the turn"
		}
	}
}

func (m *chatModel) escape(double bool) tea.Cmd {
	if double || m.now().Sub(m.lastEsc) < doublePress {
		m.lastEsc = time.Time{}
		m.hint = "stopping"
		return m.perform(effect{kind: effectSend, text: "stop"})
	}
	m.lastEsc = m.now()
	m.hint = "esc again stops what runs"
	return nil
}

// remember moves through what was sent before.
func (m *chatModel) remember(step int) {
	to := m.recall + step
	if to < 0 || to > len(m.history) {
		return
	}
	if m.recall == len(m.history) {
		m.draft = m.input.Value()
	}
	m.recall = to
	if to == len(m.history) {
		m.input.SetValue(m.draft)
	} else {
		m.input.SetValue(m.history[to])
	}
	m.input.MoveToEnd()
}

// submit sends what was typed, or does what it commands.
func (m *chatModel) submit() tea.Cmd {
	raw := m.input.Value()
	text := strings.TrimSpace(raw)
	if text == "" {
		if len(m.questions) > 0 {
			m.hint = "enter decides nothing: y approves, n denies"
		}
		return nil
	}
	if len(m.history) == 0 || m.history[len(m.history)-1] != text {
		m.history = append(m.history, text)
	}
	m.recall, m.draft = len(m.history), ""
	m.input.Reset()
	first, rest, _ := strings.Cut(text, " ")
	if raw[0] == '/' && commandShape.MatchString(first) {
		return m.command(first, strings.TrimSpace(rest))
	}
	return m.send(text)
}

// send passes a message on at once, also while a turn runs.
func (m *chatModel) send(text string) tea.Cmd {
	m.out = append(append(m.out, ""), m.quote(text)...)
	if isStopWord(text) {
		return m.perform(effect{kind: effectSend, text: text})
	}
	if m.busy {
		m.waiting = append(m.waiting, waitingMessage{text, m.response})
	}
	m.works()
	return m.perform(effect{kind: effectSend, text: text})
}

// isStopWord says whether the router will obey a message instead of queueing
// it; here it only decides what is shown.
func isStopWord(text string) bool {
	switch strings.ToLower(text) {
	case "stop", "/stop", "cancel":
		return true
	}
	return false
}

func (m *chatModel) command(name, argument string) tea.Cmd {
	switch name {
	case "/help":
		m.out = append(m.out, "")
		for line := range strings.Lines(chatHelp) {
			m.say(m.look.dim, strings.TrimSuffix(line, "\n"))
		}
	case "/quit", "/exit":
		m.leaving = true
	case "/stop":
		return m.send(name)
	case "/status":
		m.out = append(m.out, "")
		return m.perform(effect{kind: effectStatus, show: true})
	case "/approve", "/deny", "/always":
		number, err := strconv.ParseInt(argument, 10, 64)
		if err != nil {
			m.complain(fmt.Sprintf("%s needs the number of a question, such as %s 3", name, name))
			return nil
		}
		return m.decide(effect{number: number, approve: name != "/deny", always: name == "/always"})
	default:
		m.complain(fmt.Sprintf("there is no command %s: /help lists them; to send it as a message, put a space in front", name))
	}
	return nil
}

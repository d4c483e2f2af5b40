package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"charm.land/bubbles/v2/spinner"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// look is how the chat dresses its text: the terminal's own colours only, so
// that it can be read on dark and on light.
type look struct {
	dim, bold, good, bad, warn, you, command, frame lipgloss.Style
}

func newLook() look {
	plain := lipgloss.NewStyle()
	return look{
		dim: plain.Faint(true), bold: plain.Bold(true),
		good: plain.Foreground(lipgloss.Green), bad: plain.Foreground(lipgloss.Red), warn: plain.Foreground(lipgloss.Yellow),
		you: plain.Foreground(lipgloss.Cyan), command: plain.Bold(true),
		frame: plain.Border(lipgloss.RoundedBorder()).BorderForeground(lipgloss.Yellow).Padding(0, 1),
	}
}

const (
	shownTools   = 3  // tools above the prompt
	shownWaiting = 3  // queued messages above the prompt
	shownQuote   = 12 // rows of a message of the user
	tabWidth     = 4
)

// pieceHeight is how many lines are printed at once. Together with the live
// part it stays within the screen: more would push the live part into the
// scrollback.
func (m *chatModel) pieceHeight() int { return max(1, m.height/4) }

func (m *chatModel) liveHeight() int { return max(1, m.height-m.pieceHeight()) }

// View implements tea.Model: the part of the screen that still changes.
func (m *chatModel) View() tea.View {
	if m.leaving || m.width == 0 {
		return tea.NewView("")
	}
	input := strings.Split(m.input.View(), "\n")
	above := m.activity()
	above = above[max(0, len(above)-max(0, m.liveHeight()-len(input))):]
	v := tea.NewView(strings.Join(append(above, input...), "\n"))
	if v.Cursor = m.input.Cursor(); v.Cursor != nil {
		v.Cursor.Y += len(above)
	}
	return v
}

// activity is what goes on, newest and most urgent last.
func (m *chatModel) activity() []string {
	lines := m.tail(max(1, m.height/3))
	if thought := lastLine(m.thinking); thought != "" {
		lines = append(lines, m.clip(m.look.dim.Render("  thinking: "+thought), ""))
	}
	spin := m.look.you.Render(spinner.MiniDot.Frames[m.frame%len(spinner.MiniDot.Frames)])
	for _, t := range m.tools[:min(len(m.tools), shownTools)] {
		lines = append(lines, m.clip("  "+spin+" "+m.toolLine(t.name, t.text), m.look.dim.Render(" · "+elapsed(m.now().Sub(t.began)))))
	}
	if more := len(m.tools) - shownTools; more > 0 {
		lines = append(lines, m.look.dim.Render(fmt.Sprintf("    and %d more", more)))
	}
	for _, w := range m.waiting[:min(len(m.waiting), shownWaiting)] {
		lines = append(lines, m.clip(m.look.dim.Render("  queued: "+oneLine(w.text)), ""))
	}
	if len(lines) > 0 || m.busy || len(m.questions) > 0 || m.hint != "" {
		lines = append([]string{""}, lines...)
	}
	if m.busy && len(m.questions) == 0 {
		state := "working"
		if len(m.waiting) > 0 {
			state = fmt.Sprintf("working, %d queued", len(m.waiting))
		}
		lines = append(lines, m.clip(spin+" "+state+m.look.dim.Render(" · "+elapsed(m.now().Sub(m.began).Truncate(time.Second))+" · esc esc stops"), ""))
	}
	if len(m.questions) > 0 {
		lines = append(lines, m.prompt())
	}
	if m.hint != "" {
		lines = append(lines, m.clip(m.look.dim.Render(m.hint), ""))
	}
	return lines
}

// prompt asks for the answer to the first question.
func (m *chatModel) prompt() string {
	q := m.questions[0]
	keys := fmt.Sprintf("approval %d: ", q.Number) + m.look.bold.Render("y") + " approves once · " + m.look.bold.Render("n") + " denies"
	if q.Lasting {
		keys += " · " + m.look.bold.Render("A") + " always here"
	}
	if more := len(m.questions) - 1; more > 0 {
		keys += fmt.Sprintf(" · %d more wait", more)
	}
	return m.clip(m.look.warn.Render("? ")+keys, m.look.dim.Render(" · "+oneLine(q.Summary)))
}

// tail is the end of the response that is coming in.
func (m *chatModel) tail(rows int) []string {
	// What is further up cannot be seen, and wrapping it again for each piece
	// would cost more with every one.
	text := m.text
	if limit := 4 * (rows + 1) * max(1, m.width); len(text) > limit {
		text = strings.ToValidUTF8(text[len(text)-limit:], "")
	}
	if text = strings.TrimSpace(printable(text)); text == "" {
		return nil
	}
	lines := m.wrap(text)
	return lines[max(0, len(lines)-rows):]
}

// say adds a line to the scrollback, wrapped. Its text must be printable.
func (m *chatModel) say(style lipgloss.Style, text string) {
	for _, line := range m.wrap(text) {
		m.out = append(m.out, style.Render(line))
	}
}

// print writes to the scrollback. The library prints it as it is, so what the
// terminal or NO_COLOR does not want is taken out here.
func (m *chatModel) print(text string) tea.Cmd { return tea.Println(lipgloss.Sprint(text)) }

// quote is a message of the user's.
func (m *chatModel) quote(text string) []string {
	lines := m.wrapTo(printable(text), m.width-2)
	if more := len(lines) - shownQuote; more > 0 {
		lines = append(lines[:shownQuote], fmt.Sprintf("(and %d more lines)", more))
	}
	for i, line := range lines {
		mark := "  "
		if i == 0 {
			mark = "› "
		}
		lines[i] = m.look.you.Render(mark + line)
	}
	return lines
}

func (m *chatModel) toolLine(name, text string) string {
	return strings.TrimRight(m.look.bold.Render(oneLine(name))+" "+oneLine(text), " ")
}

// clip cuts a line to the width so that end still fits behind it.
func (m *chatModel) clip(line, end string) string {
	room := m.width - lipgloss.Width(end)
	if m.width == 0 || lipgloss.Width(line) <= room {
		return line + end
	}
	if room < 2 {
		return lipgloss.NewStyle().MaxWidth(m.width).Render(line)
	}
	return lipgloss.NewStyle().MaxWidth(room-1).Render(line) + "…" + end
}

var (
	heading = regexp.MustCompile(`^#{1,6}\s+(.+)$`)
	strong  = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	bullet  = regexp.MustCompile(`^\s*(?:[-*+•]|\d+[.)])\s+|^\s+`)
)

// render prints an answer: Markdown as it is written, with headings and strong
// text bold and code left in its lines. The text must be printable.
func (m *chatModel) render(text string) []string {
	var out []string
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n ")
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			code = !code
			out = append(out, m.look.dim.Render(m.clip(line, "")))
		case code:
			out = append(out, chop(line, m.width)...)
		case heading.MatchString(line):
			for _, l := range m.wrap(heading.FindStringSubmatch(line)[1]) {
				out = append(out, m.look.bold.Render(l))
			}
		default:
			styled := strong.ReplaceAllStringFunc(line, func(s string) string { return m.look.bold.Render(s[2 : len(s)-2]) })
			out = append(out, m.wrap(styled)...)
		}
	}
	return out
}

func (m *chatModel) wrap(text string) []string { return m.wrapTo(text, m.width) }

// wrapTo breaks lines at words; a list item goes on below its own text.
func (m *chatModel) wrapTo(text string, width int) []string {
	width = max(8, width)
	var out []string
	for line := range strings.Lines(expandTabs(text)) {
		line = strings.TrimSuffix(line, "\n")
		lead := bullet.FindString(line)
		indent := lipgloss.Width(lead)
		if indent > width/2 {
			lead, indent = "", 0
		}
		for i, piece := range strings.Split(lipgloss.Wrap(line[len(lead):], width-indent, ""), "\n") {
			if i > 0 {
				lead = strings.Repeat(" ", indent)
			}
			out = append(out, lead+piece)
		}
	}
	return out
}

// chop breaks a line at exactly the width and loses nothing of it.
func chop(line string, width int) []string {
	width = max(2, width)
	var out []string
	var row strings.Builder
	used := 0
	for _, r := range expandTabs(line) {
		w := lipgloss.Width(string(r))
		if used+w > width {
			out = append(out, row.String())
			row.Reset()
			used = 0
		}
		row.WriteRune(r)
		used += w
	}
	return append(out, row.String())
}

func expandTabs(text string) string {
	return strings.ReplaceAll(text, "\t", strings.Repeat(" ", tabWidth))
}

// oneLine makes text from outside fit for the middle of a line.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }

// lastLine is the newest line of a text that still grows.
func lastLine(text string) string {
	const enough = 500
	text = strings.TrimSpace(text[max(0, len(text)-enough):])
	return oneLine(text[strings.LastIndexByte(text, '\n')+1:])
}

// elapsed prints a duration as briefly as it can be read.
func elapsed(d time.Duration) string {
	switch {
	case d > 0 && d < 100*time.Millisecond:
		return fmt.Sprintf("%dms", max(1, d.Milliseconds()))
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

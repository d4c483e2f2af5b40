package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"phantom/internal/approval"
)

// settle is how long a question must be the first one before a key answers
// it: a key that was already on its way meant something else.
const settle = 700 * time.Millisecond

// ask queues a question and shows it whole.
func (m *chatModel) ask(q approval.Question) {
	if m.decided[q.Number] || slices.ContainsFunc(m.questions, func(o approval.Question) bool { return o.Number == q.Number }) {
		return
	}
	m.works()
	m.questions = append(m.questions, q)
	m.out = append(m.out, m.frameQuestion(q)...)
	if len(m.questions) == 1 {
		m.headSince = m.now()
	}
}

// drop takes a question out of the queue and shows the next one again, which
// may have scrolled away.
func (m *chatModel) drop(number int64) bool {
	i := slices.IndexFunc(m.questions, func(q approval.Question) bool { return q.Number == number })
	if i < 0 {
		return false
	}
	m.questions = slices.Delete(m.questions, i, i+1)
	if i == 0 && len(m.questions) > 0 {
		m.out = append(m.out, m.frameQuestion(m.questions[0])...)
		m.headSince = m.now()
	}
	return true
}

// decideHead answers the first question by key.
func (m *chatModel) decideHead(e effect) tea.Cmd {
	if m.now().Sub(m.headSince) < settle {
		m.hint = "read it first, then press the key again"
		return nil
	}
	e.number = m.questions[0].Number
	return m.decide(e)
}

// decide answers the question that e names.
func (m *chatModel) decide(e effect) tea.Cmd {
	e.kind = effectDecide
	m.decided[e.number] = true
	m.drop(e.number)
	return m.perform(e)
}

// decision prints what became of an answer.
func (m *chatModel) decision(msg decidedMsg) tea.Cmd {
	switch {
	case msg.err != nil:
		delete(m.decided, msg.number)
		m.complain(fmt.Sprintf("approval %d: %v", msg.number, msg.err))
		return m.lookForQuestions()
	case msg.always:
		m.out = append(m.out, m.clip(fmt.Sprintf("  %s approved %d, always here %s", m.look.good.Render("✓"), msg.number, m.look.dim.Render(oneLine(msg.summary))), ""))
	case msg.approve:
		m.out = append(m.out, m.clip(fmt.Sprintf("  %s approved %d %s", m.look.good.Render("✓"), msg.number, m.look.dim.Render(oneLine(msg.summary))), ""))
	default:
		m.out = append(m.out, m.clip(fmt.Sprintf("  %s denied %d %s", m.look.bad.Render("✗"), msg.number, m.look.dim.Render(oneLine(msg.summary))), ""))
	}
	return nil
}

// pending brings the queue up to what is open: others may have decided, and
// questions may be older than the chat.
func (m *chatModel) pending(msg pendingMsg) {
	if msg.err != nil {
		m.complain("approvals: " + msg.err.Error())
		return
	}
	for _, number := range msg.known {
		open := slices.ContainsFunc(msg.open, func(q approval.Question) bool { return q.Number == number })
		if !open && m.drop(number) {
			m.say(m.look.dim, fmt.Sprintf("approval %d is closed", number))
		}
	}
	for _, q := range msg.open {
		if q.Conversation == m.conversation {
			m.ask(q)
		}
	}
}

// frameQuestion shows everything that the owner says yes to.
func (m *chatModel) frameQuestion(q approval.Question) []string {
	inner := max(20, m.width-4)
	rows := []string{m.look.bold.Render(fmt.Sprintf("approval %d: may I run %s?", q.Number, oneLine(q.Tool))), ""}
	for line := range strings.Lines(q.Summary) {
		for _, piece := range chop(visible(strings.TrimSuffix(line, "\n")), inner) {
			rows = append(rows, m.look.command.Render(piece))
		}
	}
	if strings.HasSuffix(q.Summary, "…") {
		rows = append(rows, m.look.bad.Render("This is only its beginning: the rest is not shown."))
	}
	rows = append(rows, "")
	for _, f := range []struct{ name, value string }{{"in", q.CWD}, {"rule", q.Rule}, {"because", q.Reason}} {
		if f.value == "" {
			continue
		}
		for _, piece := range chop(visible(f.name+" "+f.value), inner) {
			rows = append(rows, m.look.dim.Render(piece))
		}
	}
	return append([]string{""}, strings.Split(m.look.frame.Render(strings.Join(rows, "\n")), "\n")...)
}

// visible writes control characters out instead of dropping them, because the
// owner must see what they approve.
func visible(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if r == '\t' {
			b.WriteString(`\t`)
			continue
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

package gate

import (
	"fmt"
	"slices"
	"strings"

	"phantom/internal/gate/golden"
	"phantom/internal/gate/polarity"
	"phantom/internal/selfconf"
)

// readings keeps how lines are read for as long as one Check takes.
type readings map[string]polarity.Reading

func (r readings) of(text string) polarity.Reading {
	reading, ok := r[text]
	if !ok {
		reading = polarity.Read(text)
		r[text] = reading
	}
	return reading
}

// regression says which lesson would no longer hold: one that the new lines
// contradict, or one whose line goes.
func (h *hearing) regression(c *candidate) error {
	content := h.readings.of(c.delta.Content)
	if content.Contradicts(content) {
		return fmt.Errorf("the content contradicts itself")
	}
	for _, quote := range c.quotes {
		if polarity.Invert(c.delta.Content, quote) {
			return fmt.Errorf("the content asks for the opposite of the owner's words %q", clip(quote))
		}
	}
	for _, lesson := range h.gates.seeded {
		for _, words := range append([]string{lesson.Lesson}, lesson.Also...) {
			if content.Contradicts(h.readings.of(words)) {
				return fmt.Errorf("golden case %s: the content contradicts %q", lesson.ID, words)
			}
		}
	}
	for _, lesson := range h.owned {
		if !c.superseding && content.Contradicts(h.readings.of(lesson.Lesson)) {
			return fmt.Errorf("golden case of the owner: the content contradicts %q", clip(lesson.Lesson))
		}
	}
	if err := h.stands(c, content); err != nil {
		return err
	}
	return h.dropped(c)
}

// stands refuses content that contradicts a line which stays, in whatever
// document: no assistant could obey both. The prose of the constitution is for
// the rules and the golden cases, which say its principles one by one.
func (h *hearing) stands(c *candidate, content polarity.Reading) error {
	added := lines(c.delta.Content)
	for _, name := range selfconf.Evolvable() {
		for _, line := range lines(c.after[name]) {
			if !says(line) || name == c.delta.File && slices.Contains(added, line) {
				continue
			}
			if content.Contradicts(h.readings.of(line)) {
				return fmt.Errorf("the content contradicts %q, which stays in %s", clip(line), name)
			}
		}
	}
	return nil
}

// dropped refuses to let the last line go that says a golden case.
func (h *hearing) dropped(c *candidate) error {
	target := lines(c.delta.Target)
	if len(target) == 0 {
		return nil
	}
	for _, lesson := range h.gates.seeded {
		for _, words := range append([]string{lesson.Lesson}, lesson.Also...) {
			if h.gone(c, target, words) {
				return fmt.Errorf("golden case %s: nothing would say %q any more", lesson.ID, words)
			}
		}
	}
	if c.superseding {
		return nil
	}
	for _, lesson := range h.owned {
		if h.gone(c, target, lesson.Lesson) {
			return fmt.Errorf("golden case of the owner: nothing would say %q any more", clip(lesson.Lesson))
		}
	}
	return nil
}

// gone reports whether a line that goes says a lesson and no line that stays
// does.
func (h *hearing) gone(c *candidate, target []string, lesson string) bool {
	wanted := h.readings.of(lesson)
	holds := func(line string) bool { return says(line) && wanted.Holds(h.readings.of(line)) }
	if !slices.ContainsFunc(target, holds) {
		return false
	}
	for _, name := range selfconf.Evolvable() {
		if slices.ContainsFunc(lines(c.after[name]), holds) {
			return false
		}
	}
	return true
}

// says reports whether a line is none of a heading and a comment.
func says(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && !strings.HasPrefix(line, "#") && !(strings.HasPrefix(line, "<!--") && strings.HasSuffix(line, "-->"))
}

// clip shortens a line for a reason.
func clip(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return s
}

// lessons returns all that must go on holding, the owner's first.
func (h *hearing) lessons() []golden.Case { return slices.Concat(h.owned, h.gates.seeded) }

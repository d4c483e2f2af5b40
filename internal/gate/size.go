package gate

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"phantom/internal/selfconf"
)

// What documents and versions may have.
const (
	maxLines   = 200
	maxBytes   = 16 << 10
	maxRunes   = 400 // a line; marks that are heaped on a letter count as well
	maxChanged = 40  // lines a version
)

// What the fields of a delta may have, in bytes.
const (
	maxText         = 8 << 10
	maxRationale    = 1 << 10
	maxName         = 256
	maxObservations = 32
)

// fields refuses a delta that is too large to be looked at, or no text.
func fields(d selfconf.Delta) error {
	for _, f := range []struct {
		name, text string
		most       int
	}{
		{"file", d.File, maxName},
		{"type", string(d.Type), maxName},
		{"id", d.ID, maxName},
		{"content", d.Content, maxText},
		{"target", d.Target, maxText},
		{"rationale", d.Rationale, maxRationale},
	} {
		if err := field(f.name, f.text, f.most); err != nil {
			return err
		}
	}
	if len(d.Observations) > maxObservations {
		return fmt.Errorf("it names %d observations, at most %d may be", len(d.Observations), maxObservations)
	}
	for _, id := range d.Observations {
		if err := field("id of an observation", id, maxName); err != nil {
			return err
		}
	}
	return nil
}

func field(name, text string, most int) error {
	switch {
	case len(text) > most:
		return fmt.Errorf("its %s has %d bytes, at most %d may be", name, len(text), most)
	case !utf8.ValidString(text):
		return fmt.Errorf("its %s is no valid UTF-8", name)
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("its %s holds a zero byte", name)
	}
	return nil
}

// lines cuts a text at all line breaks that Unicode knows. A break at the end
// begins no line.
func lines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// extent is how large a document is.
type extent struct{ lines, bytes, runes int }

func extentOf(text string) extent {
	all := lines(text)
	e := extent{lines: len(all), bytes: len(text)}
	for _, line := range all {
		e.runes = max(e.runes, utf8.RuneCountInString(line))
	}
	return e
}

// check says which limit is passed.
func (e extent) check() error {
	switch {
	case e.lines > maxLines:
		return fmt.Errorf("the document would have %d lines, at most %d may be", e.lines, maxLines)
	case e.bytes > maxBytes:
		return fmt.Errorf("the document would have %d bytes, at most %d may be", e.bytes, maxBytes)
	case e.runes > maxRunes:
		return fmt.Errorf("a line would have %d characters, at most %d may be", e.runes, maxRunes)
	}
	return nil
}

// shrinks reports whether e is smaller than before, and larger in nothing.
func (e extent) shrinks(before extent) bool {
	return e.bytes < before.bytes && e.lines <= before.lines && e.runes <= before.runes
}

// changedLines is how many lines a delta changes.
func changedLines(d selfconf.Delta) int { return max(len(lines(d.Target)), len(lines(d.Content))) }

// size judges a document after a change. One that was too large before, which
// only the owner's own hand can make it, may become smaller.
func size(d selfconf.Delta, before, after string, changed int) error {
	if changed += changedLines(d); changed > maxChanged {
		return fmt.Errorf("the version would change %d lines, at most %d may be", changed, maxChanged)
	}
	was, is := extentOf(before), extentOf(after)
	err := is.check()
	if err != nil && was.check() != nil {
		if is.shrinks(was) {
			return nil
		}
		return errors.Join(err, errors.New("it was too large before: only what makes it smaller passes"))
	}
	return err
}

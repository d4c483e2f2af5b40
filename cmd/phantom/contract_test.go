package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
)

// services are the channels to services of others, each with a server that
// speaks its protocol.
var services = map[string]func(*testing.T) service{
	"slack": openSlackRoom, "telegram": openTelegramChat, "webhook": openHookSender, "email": openMailbox,
}

const (
	longLines  = 1000 // of 30 characters each
	everybody  = "@channel @here @everyone <!channel> <!here> <!everyone>"
	slowAnswer = time.Second // between the pieces of a stream
)

// longAnswer has prose, and code in a fence that spans every cut.
func longAnswer() string {
	var b strings.Builder
	b.WriteString("All of it:\n\n")
	for n := range longLines {
		switch n {
		case longLines / 4:
			b.WriteString("```go\n")
		case 3 * longLines / 4:
			b.WriteString("```\n\n")
		}
		fmt.Fprintf(&b, "line %04d says what it says.\n", n)
	}
	return b.String()
}

// talkative is the model of the contract.
func talkative(r wiretest.Request) wiretest.Answer {
	said := ""
	for _, m := range r.Messages {
		for _, p := range m.Content {
			if m.Role == llm.User && p.Kind == llm.PartText {
				said = p.Text
			}
		}
	}
	switch {
	case strings.Contains(said, "at length"):
		return wiretest.Answer{Text: longAnswer()}
	case strings.Contains(said, "everybody"):
		return wiretest.Answer{Text: "calling " + everybody}
	case strings.Contains(said, "slowly"):
		return wiretest.Answer{Text: "slow and steady", Delay: slowAnswer}
	}
	return wiretest.Answer{Text: "heard: " + strings.TrimSpace(said)}
}

var longLine = regexp.MustCompile(`line (\d{4}) says what it says\.`)

// TestChannelContract holds every channel to the same: an answer of 30,000
// characters arrives complete and in order, nobody is called by it, a slow
// answer comes once, and a message that came before a restart is not answered
// again after it.
func TestChannelContract(t *testing.T) {
	for name, open := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			i := installWith(t, s, talkative)
			d := i.start()
			// answered waits for the message after so many; what shows progress in
			// its place does not count.
			answered := func(before int, want string) string {
				t.Helper()
				var got []string
				until(t, want, func() bool { got = s.read(); return len(got) > before && strings.Contains(got[len(got)-1], want) })
				if len(got) != before+1 {
					t.Errorf("%d messages, want %d: %q", len(got), before+1, got)
				}
				return got[len(got)-1]
			}

			s.say("speak at length")
			var lines []string
			until(t, "the whole answer", func() bool {
				lines = nil
				for _, m := range longLine.FindAllStringSubmatch(strings.Join(s.read(), "\n"), -1) {
					lines = append(lines, m[1])
				}
				return len(lines) >= longLines
			})
			if len(lines) != longLines || !slices.IsSorted(lines) || len(slices.Compact(slices.Clone(lines))) != longLines {
				t.Errorf("%d lines arrived, in order %t; want %d, each once", len(lines), slices.IsSorted(lines), longLines)
			}
			parts := len(s.read())

			s.say("call everybody")
			called := answered(parts, "calling")
			if name == "slack" || name == "telegram" { // where a word can call people
				for word := range strings.FieldsSeq(everybody) {
					if strings.Contains(called, word) {
						t.Errorf("%q calls everybody", called)
					}
				}
			}
			s.say("answer slowly")
			answered(parts+1, "slow and steady")
			until(t, "nothing is left to deliver", func() bool { return i.count("SELECT count(*) FROM outbox WHERE state <> 'sent'") == 0 })
			d.end()
			s.disturb(rand.New(rand.NewPCG(1, 0)))
			d = i.start()
			s.heal()
			s.say("and now?")
			answered(parts+2, "and now?")
			d.end()
			i.checkBooks(t)
		})
	}
}

// TestChannelsWithoutOwner leaves out who the owner is: nothing connects, and
// it is said which line to add.
func TestChannelsWithoutOwner(t *testing.T) {
	for _, name := range []string{"slack", "telegram", "email"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := services[name](t)
			_, block, _, env := s.block()
			i := newInstall(t, talkative, "")
			i.write("config/channels.yaml", block)
			i.env = append(i.env, env...)
			d := i.start()
			defer d.end()
			status := i.must("status")
			if !strings.Contains(status, fmt.Sprintf("owner: {%s: …}", name)) || strings.Contains(status, "terminal, "+name) {
				t.Errorf("%s", status)
			}
		})
	}
}

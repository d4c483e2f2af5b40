package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/store"
)

var (
	tortureKills = flag.Int("torture.kills", 5, "how many times TestTorture kills the daemon on each channel")
	tortureSeed  = flag.Uint64("torture.seed", 1, "seed of TestTorture")
)

// service is another party's server, seen from both sides: what the owner
// writes there and reads there, and what goes wrong with it.
type service interface {
	// block is what config/channels.yaml says of it, with the variables that it
	// names; owner is who the owner is there.
	block() (name, yaml, owner string, env []string)
	// at tells the service where Phantom is, before anything is said.
	at(i *install)
	// say writes one message of the owner.
	say(text string)
	// disturb makes something go wrong: a cut connection, a repeated event, a
	// refusal for a while.
	disturb(rng *rand.Rand)
	// heal ends what was made to go wrong.
	heal()
	// read returns what the owner sees of Phantom, oldest first.
	read() []string
	// repeats is how often one answer may be seen.
	repeats() int
}

// taskWord is a message of the test.
var taskWord = regexp.MustCompile(`\btask-\d+\b`)

// answerAll answers whatever was asked since it last answered, as a model that
// reads its whole conversation would.
func answerAll(r wiretest.Request) wiretest.Answer {
	var open []string
	for _, m := range r.Messages {
		for _, p := range m.Content {
			if p.Kind != llm.PartText {
				continue
			}
			for _, word := range taskWord.FindAllString(p.Text, -1) {
				i := slices.Index(open, word)
				switch {
				case m.Role == llm.User && i < 0:
					open = append(open, word)
				case m.Role == llm.Assistant && i >= 0:
					open = slices.Delete(open, i, i+1)
				}
			}
		}
	}
	return wiretest.Answer{Text: "done: " + strings.Join(open, ", "), Delay: 3 * time.Millisecond}
}

// TestTorture kills the daemon at seeded random moments while a service
// delivers messages of the owner, repeats them, breaks connections and refuses
// answers. In the end the owner has one answer to each message. `make torture`
// runs it with 200 kills a channel.
func TestTorture(t *testing.T) {
	for name, open := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			torture(t, open(t))
		})
	}
}

// installWith is an installation whose owner uses one service.
func installWith(t *testing.T, s service, script wiretest.Script) *install {
	t.Helper()
	name, block, owner, env := s.block()
	settings := "spend: {per_day_usd: 100000}\n"
	if owner != "" {
		settings += fmt.Sprintf("owner: {%s: %q}\n", name, owner)
	}
	i := newInstall(t, script, settings)
	i.write("config/channels.yaml", block)
	i.env = append(i.env, env...)
	s.at(i)
	return i
}

func torture(t *testing.T, s service) {
	i := installWith(t, s, answerAll)
	rng := rand.New(rand.NewPCG(*tortureSeed, 0))
	var said []string
	for range *tortureKills {
		d := i.spawn()
		if rng.IntN(5) > 0 { // one kill in five falls anywhere, the others into work
			d.awaitUp(t.Context())
		}
		for range 1 + rng.IntN(3) {
			said = append(said, fmt.Sprintf("task-%d", len(said)))
			s.say(said[len(said)-1])
			if rng.IntN(2) == 0 {
				s.disturb(rng)
			}
		}
		time.Sleep(time.Duration(rng.IntN(1200)) * time.Millisecond)
		d.kill()
		s.heal()
	}
	d := i.start()
	if name, _, _, _ := s.block(); !strings.Contains(i.must("status", "--json"), fmt.Sprintf("%q", name)) {
		t.Fatalf("the channel is not on:\n%s", i.must("status"))
	}
	var seen map[string]int
	for deadline := time.Now().Add(time.Minute + time.Duration(len(said))*3*time.Second); ; time.Sleep(100 * time.Millisecond) {
		seen = map[string]int{}
		for _, text := range s.read() {
			for _, word := range taskWord.FindAllString(text, -1) {
				seen[word]++
			}
		}
		if len(seen) == len(said) || time.Now().After(deadline) {
			break
		}
	}
	i.awaitOutput(`"turns_waiting": 0`, "status", "--json") // so that the books can be closed
	d.end()
	twice := 0
	for _, word := range said {
		if n := seen[word]; n < 1 || n > s.repeats() {
			t.Errorf("%s was answered %d times, want once, at most %d times", word, n, s.repeats())
		} else if n > 1 {
			twice++
		}
	}
	if t.Failed() {
		i.dump("SELECT id || ' ' || state || ' tries ' || attempts || ' due ' || ((next_at - created_at) / 1000000) || ' s after it was made: ' || error FROM outbox WHERE state <> 'sent'")
		t.Logf("the owner sees: %q\n%s", s.read(), d.logs)
	}
	i.checkBooks(t)
	t.Logf("seed %d: %d kills, %d messages, all answered, %d of them twice", *tortureSeed, *tortureKills, len(said), twice)
}

// dump logs what stands in the database, one text a row.
func (i *install) dump(query string) {
	i.t.Helper()
	db, err := store.Open(i.t.Context(), store.Options{Path: i.home.Database(), ReadOnly: true})
	if err != nil {
		i.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(i.t.Context(), query)
	if err != nil {
		i.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			i.t.Fatal(err)
		}
		i.t.Log(text)
	}
	if err := rows.Err(); err != nil {
		i.t.Fatal(err)
	}
}

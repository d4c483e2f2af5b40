package tool

import (
	"regexp"
	"strings"
	"testing"

	"phantom/internal/memory"
	"phantom/internal/phantom"
)

// The owner's word is the owner's only while nobody else's is at hand.
func TestRememberKeepsWhoseWordItIs(t *testing.T) {
	b := setUp(t, nil)
	b.call("remember", values{"text": "owner:heron is the staging host"})
	b.callIn(b.tainted(t.Context()), "remember", values{"text": "owner:osprey is the billing host"})
	b.call("remember", values{"text": "tern is the backup host"})
	for words, want := range map[string]phantom.Provenance{"heron staging": phantom.Owner, "osprey billing": phantom.Tool, "tern backup": phantom.Tool} {
		found, err := b.Memory.Search(t.Context(), memory.Query{Text: words})
		if err != nil || len(found) == 0 || found[0].Provenance != want {
			t.Errorf("%s: %v, %v, want provenance %s", words, found, err, want)
		}
	}
}

func TestForget(t *testing.T) {
	b := setUp(t, nil)
	b.call("remember", values{"text": "heron is the staging host"})
	id := regexp.MustCompile(`id ([0-9a-f-]+)\)`).FindStringSubmatch(b.call("memory_search", values{"query": "heron"}).Content)
	if id == nil {
		t.Fatal("a search shows no id")
	}
	wants(t, b.call("forget", values{"id": "no such"}), true, "no such memory")
	asked := b.refused()
	wants(t, b.callIn(b.tainted(t.Context()), "forget", values{"id": id[1]}), true, "not approved")
	if *asked != 1 {
		t.Errorf("asked %d times, want once beside untrusted text", *asked)
	}
	wants(t, b.call("memory_search", values{"query": "heron"}), false, "heron")
	wants(t, b.call("forget", values{"id": id[1]}), false, "forgotten")
	wants(t, b.call("memory_search", values{"query": "heron"}), false, "nothing is remembered")
}

// What can be forgotten must not stand where nothing can be taken out.
func TestMemoryToolsLeaveNoTextInTheRecord(t *testing.T) {
	b := setUp(t, nil)
	b.call("remember", values{"text": "heron is the staging host"})
	b.call("remember", values{"txt": "heron is the staging host"})
	b.call("remember", values{"text": strings.Repeat("heron ", memory.MaxText)})
	b.call("memory_search", values{"query": "heron"})
	b.call("forget", values{"id": "heron"})
	rows := append(b.rows("intent"), b.rows("outcome")...)
	if len(rows) < 8 {
		t.Fatalf("%d rows, want all five calls on record", len(rows))
	}
	for _, r := range rows {
		if strings.Contains(strings.ToLower(r.Input+r.Detail+r.Target), "heron") {
			t.Errorf("the record holds the text: %+v", r)
		}
	}
}

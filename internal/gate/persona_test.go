package gate_test

import (
	"testing"

	"phantom/internal/gate"
	"phantom/internal/selfconf"
)

// TestThePersonaChangesLeast: what the owner's profile may lose in one step is
// too much for who Phantom is.
func TestThePersonaChangesLeast(t *testing.T) {
	lines := []string{
		"Speak calmly and politely.", "Say plainly when something went wrong.", "Keep answers short.", "Use plain words.",
		"Show the reasons for a recommendation.", "Ask one question at a time.", "Greet the owner in the morning.", "Use metric units.",
	}
	docs := documents(map[string][]string{selfconf.Persona: lines, selfconf.UserProfile: lines})
	g := open(t, deps(t))
	for name, want := range map[string]gate.Outcome{selfconf.UserProfile: gate.Accept, selfconf.Persona: gate.Reject} {
		two := removes(name, "Greet the owner in the morning.\n- Use metric units.")
		if f := check(t, g, ground(docs), two).Reports[0].Gates[gate.Drift]; f.Outcome != want {
			t.Errorf("%s: %s %q, want %s", name, f.Outcome, f.Reason, want)
		}
	}
}

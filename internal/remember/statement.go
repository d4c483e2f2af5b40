package remember

import (
	"slices"
	"strings"

	"phantom/internal/memory"
	"phantom/internal/memory/speech"
	"phantom/internal/phantom"
)

// Statement reads what the agent was told to keep. It is the owner's own word
// only if it is a whole sentence of his as he wrote it, outside of quotations:
// half of one can say the opposite. Otherwise it is the agent's. A text that is
// neither a fact nor a procedure by its form is an episode.
func Statement(text string, owner []string) memory.Item {
	text = strings.TrimSpace(text)
	i := memory.Item{Kind: memory.Episode, Text: text, Provenance: phantom.Tool, Importance: said}
	if stated(text, owner) {
		i.Provenance, i.Importance = phantom.Owner, urged
	}
	if f, ok := byRule(strings.TrimRight(text, ".!"), nil); ok && !strings.ContainsAny(text, "?\n") && len(text) <= maxSentence {
		i.Kind, i.Subject, i.Predicate, i.Object = f.Kind, f.Subject, f.Predicate, f.Object
	}
	return i
}

// stated reports whether the owner wrote a sentence.
func stated(text string, owner []string) bool {
	want, _ := bare(strings.TrimRight(text, ".!"))
	want = speech.Plain(want)
	return want != "" && slices.ContainsFunc(speech.Sentences(speech.Own(owner)), func(s speech.Sentence) bool {
		own, _ := bare(s.Text)
		return !s.Asks && speech.Plain(own) == want
	})
}

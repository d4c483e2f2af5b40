package propose

import (
	"regexp"
	"strings"
	"sync"

	"phantom/internal/evolve/observe"
	"phantom/internal/selfconf"
)

// places are what tells where a lesson belongs.
type places struct{ manner, occasion, fact, person, tool, mishap *regexp.Regexp }

func compiledPlaces() func() *places {
	return sync.OnceValue(func() *places {
		m := regexp.MustCompile
		return &places{
			manner:   m(`(?i)\b(?:answers?|repl(?:y|ies)|respond|responses?|explanations?|tone|concise|brief|terse|verbose|chatty|wordy|polite|formal|informal|emojis? (?:in|to) (?:replies|answers|messages)|apologi[sz]e|apologies|greet|greetings|jargon|bullet points|preamble|summaries|small ?talk|antwort\w*|sprich|réponds|réponses|responde|respuestas|responda|respostas|rispondi|risposte)\b|отвеча|ответ`),
			occasion: m(`(?i)^(?:whenever|when|before|after|every time|each time|if)\b|^to \pL+ [^,]+,|\b(?:before|after|whenever|when) (?:you|we|\pL+ing)\b|\bfirst$`),
			fact:     m(`(?i)^(?:our|we|the|my team|this (?:team|project|repo|repository|codebase))\b|\b(?:should|must|shall|need to|have to|may only)\b`),
			person:   m(`(?i)^(?:the owner\b|call the owner\b|ich |je |j'|yo |eu |io |prefiero|prefiro|preferisco|я |предпочитаю)`),
			tool:     m(`(?i)\b(?:use|uses|using|run|prefer|avoid|tabs|spaces|format|indent|install|tool|write|quote|sort|name|no|verwende|benutze|nutze|nimm|utilise|utilisez|usa|utiliza|utilize|usare|uses)\b|использу`),
			mishap:   m(`(?i)\b(?:fails?|error|errors|crash(?:es)?|times? out|timeout|retry|retries|does not work|doesn't work|goes wrong|breaks?)\b`),
		}
	})
}

var whereabouts = compiledPlaces()

// Place returns the document that a lesson belongs to.
func Place(o observe.Observation) string {
	w := whereabouts()
	text := strings.TrimRight(o.Text, ".! ")
	conditional := w.occasion.MatchString(text)
	switch {
	case o.Kind == observe.Error, conditional && w.mishap.MatchString(text):
		return selfconf.ErrorRecovery
	case w.manner.MatchString(text) && !w.fact.MatchString(strings.Replace(text, "The owner", "", 1)):
		return selfconf.Persona
	case w.person.MatchString(text):
		return selfconf.UserProfile
	case conditional:
		return selfconf.TaskPatterns
	case o.Kind == observe.Domain, w.fact.MatchString(text):
		return selfconf.DomainKnowledge
	case w.tool.MatchString(text):
		return selfconf.ToolPreferences
	}
	return selfconf.TaskPatterns
}

package remember

import (
	"regexp"
	"strings"
	"sync"

	"phantom/internal/memory"
	"phantom/internal/memory/speech"
	"phantom/internal/phantom"
)

const (
	maxSentence = 300 // bytes; who writes longer ones explains, or pastes
)

// table is what rules go by, compiled at the first use.
type table struct {
	lead, urge, stating                                              *regexp.Regexp
	named, it, whose, proper, like, rule, work, not, passing, forget *regexp.Regexp
	toDo, howTo, whenever, then, number, bullet                      *regexp.Regexp
}

func compiled() func() *table {
	return sync.OnceValue(func() *table {
		m := regexp.MustCompile
		return &table{
			lead:    m(`(?i)^(?:please|ok(?:ay)?|no|well|hi|hey|hello|also|and|but|so|btw|by the way|fyi|for the record|correction|actually|in fact|sorry|wait)\b[,:;!. —-]*`),
			urge:    m(`(?i)^(?:remember|note|keep in mind|do not forget|don'?t forget|memori[sz]e|from now on)(?: that)?\b[,: ]*`),
			stating: m(`(?i)\b(?:is|isn't|are|aren't|am|i'm|it's|was|were|will|i|my|we|we're|our|never|always|prefer|actually|remember|note|forget|call me|from now on|uses?|has|have|moved|changed)\b`),
			named:   m(`(?i)^(?:my name is|i am called|call me) ([\pL\pN][\pL\pN .'-]{0,60})$`),
			it:      m(`(?i)^(?:it|that|this)(?:'s| is| was| should be)(?: now| actually)? (.+)$`),
			whose:   m(`(?i)^((?:my|our|the) [\pL\pN][^,;:]{1,60}?) (is|are|lives? (?:at|in|on)|runs? (?:at|in|on)|moved to|has moved to|changed to|has changed to) (.+)$`),
			proper:  m(`^(\p{Lu}[^,;:?]{0,60}?) (is|are) (.+)$`),
			like:    m(`(?i)^i (?:(?:always|really|usually|only|never|do not|don't|much) )*(?:prefer|like|love|hate|dislike|work|live|use|speak|drink|eat|need|want|expect)\b.+$`),
			rule:    m(`(?i)^(?:never|always|from now on|under no circumstances)\b.+$`),
			work:    m(`(?i)^we (?:(?:always|usually|only|never|do not|don't) )*(?:use|deploy|release|ship|meet|host|keep|store|run|write|test|review|work)\b.+$`),
			not:     m(`(?i)(?:,? (?:and )?not (?:at )?\S.*|,? (?:now|today|from now on|instead|any ?more|again)|,? please)$`),
			// How something is done.
			toDo:     m(`(?is)^(?:from now on,? )?(?:in order )?to (\pL[^,:;]{2,80}?)(?:,|:) (.+)$`),
			howTo:    m(`(?is)^(?:(?:here(?:'s| is)|this is) )?(?:how (?:to|we|i|you) |(?:the )?(?:steps|way|procedure|recipe|checklist) (?:to|for) )(\pL[^,:;]{2,80}?)(?: (?:is|are))?:(?: (.+))?$`),
			whenever: m(`(?is)^(?:from now on,? )?(?:(?:whenever|every time|each time) (?:i|we|you) (\pL[^,:;]{1,80}?), (.+)|when (?:i|we|you) (\pL[^,:;]{1,80}?), ((?:always|first|never)\b.+))$`),
			then:     m(`(?i)^(?:and )?(?:then|next|after (?:that|this)|afterwards|finally|lastly|at last)\b[, ]*`),
			number:   m(`^\d{1,2}$`),
			bullet:   m(`^(?:[-*•–] +|\d{1,2}[.)] *)`),
			forget:   m(`(?im)(?:^|[.!?;,] |\bplease |\byou |\bto |\band )(?:forget|erase|delete from memory)\b`),
			passing:  m(`(?i)^(?:not |still |now |very |too |so |already )*(?:broken|failing|down|up|red|green|slow|wrong|done|ready|late|missing|empty|full|stuck|fine|ok|okay|good|bad|great|gone|here|there|nice|clear|right|working|running|finished|it|what|why|how|that)\b`),
		}
	})
}

// rules returns the table.
var rules = compiled()

// nobody are subjects that say nothing outside their sentence.
const nobody = " it this that there here what who how why where when he she they i you we everything nothing something anything someone all the a an these those if and but so yes no "

// states reports whether the owner's words may state anything at all: what
// asks or orders only is not worth a call of a model.
func states(words string) bool {
	for _, s := range speech.Sentences(words) {
		rest, _ := bare(s.Text)
		if _, _, done := procedure(rest); !s.Asks && (done || rules().stating.MatchString(s.Text)) {
			return true
		}
	}
	return false
}

// byRules finds what the owner plainly stated. before is what "it" means.
func byRules(words string, before *memory.Item) []memory.Item {
	var facts []memory.Item
	for _, s := range joined(speech.Sentences(words)) {
		if s.Asks || len(s.Text) > maxSteps || strings.Contains(s.Text, "…") {
			continue
		}
		f, ok := byRule(s.Text, before)
		if ok && (len(s.Text) <= maxSentence || f.Kind == memory.Procedure) {
			f.Provenance, f.Confidence = phantom.Owner, 0.9
			facts = append(facts, f)
		}
	}
	return facts
}

// bare is a sentence without what leads up to it, and whether the owner told
// to remember it.
func bare(text string) (rest string, urging bool) {
	t := rules()
	for {
		rest := t.lead.ReplaceAllString(text, "")
		if urge := t.urge.FindString(rest); urge != "" && !strings.HasPrefix(strings.ToLower(urge), "from now") {
			rest, urging = rest[len(urge):], true
		}
		if rest == text || rest == "" {
			return text, urging
		}
		text = rest
	}
}

// byRule reads one sentence.
func byRule(text string, before *memory.Item) (memory.Item, bool) {
	t := rules()
	text, urging := bare(text)
	importance := said
	if urging {
		importance = urged
	}
	f := memory.Item{Kind: memory.Fact, Text: speech.Upper(text), Importance: importance}
	if goal, steps, ok := procedure(text); ok {
		f.Kind, f.Subject, f.Predicate, f.Object = memory.Procedure, goal, doneBy, steps
		return f, steps != ""
	}
	if m := t.named.FindStringSubmatch(text); m != nil {
		f.Subject, f.Predicate, f.Object = "owner's name", "is", m[1]
		f.Text = "The owner's name is " + m[1]
		return f, true
	}
	if m := t.it.FindStringSubmatch(text); m != nil {
		object := trimmed(m[1])
		if before == nil || object == "" || t.passing.MatchString(object) {
			return memory.Item{}, false
		}
		f.Subject, f.Predicate, f.Object = before.Subject, before.Predicate, object
		f.Text = speech.Upper("the " + before.Subject + " " + before.Predicate + " " + object)
		return f, true
	}
	if t.like.MatchString(text) || t.rule.MatchString(text) || t.work.MatchString(text) {
		return f, len(strings.Fields(text)) > 2
	}
	m := t.whose.FindStringSubmatch(text)
	if m == nil {
		m = t.proper.FindStringSubmatch(text)
	}
	if m == nil {
		return f, importance == urged && len(strings.Fields(text)) > 2
	}
	subject, object := subjectOf(m[1]), trimmed(m[3])
	if subject == "" || object == "" || strings.Contains(nobody, " "+strings.ToLower(strings.Fields(m[1])[0])+" ") && !t.whose.MatchString(text) || t.passing.MatchString(object) && importance != urged {
		return memory.Item{}, false
	}
	f.Subject, f.Predicate, f.Object = subject, "is", object
	return f, true
}

// subjectOf is a subject as all its values name it.
func subjectOf(words string) string {
	lower := strings.ToLower(words)
	if rest, ok := strings.CutPrefix(lower, "my "); ok {
		return "owner's " + rest
	}
	return strings.TrimPrefix(strings.TrimPrefix(lower, "our "), "the ")
}

// trimmed is a value without what contrasts it with another.
func trimmed(object string) string {
	for {
		short := strings.TrimRight(strings.TrimSpace(rules().not.ReplaceAllString(object, "")), ",;: ")
		if short == object {
			return object
		}
		object = short
	}
}

package remember

import (
	"strings"

	"phantom/internal/memory/speech"
)

const (
	// maxSteps bounds a procedure, in bytes.
	maxSteps = 1500
	// doneBy is the predicate of all procedures: for one thing there is one
	// way at a time.
	doneBy = "is done by"
)

// imperatives are the words that steps begin with. What begins with another
// one may be a remark that only looks like a procedure.
const imperatives = " run use do go open start set call ask build copy push pull check make send write read merge tag create add remove delete update upgrade install log sign" +
	" click press choose pick select enter type first always never only restart stop wait take put move edit bump deploy release commit ship publish test verify look" +
	" keep give get switch turn change export import upload download print save fill book order mail tell let connect reboot reload clear reset close mark file follow" +
	" you we "

// What is no thing that is done: the words that noGoals has begin a remark ("to
// be honest", "to my mind") or a state, those of beginnings are one alone ("to
// start"), and those of once point at what is at hand now.
const (
	noGoals = " be am are is was were have had feel think me you us him her them my our your his their the a an this that which what" +
		" sum recap answer clarify summarize summarise "
	beginnings = " begin start conclude finish continue end "
	once       = " this that it these those them now today tonight tomorrow here "
)

// procedure reads how something is done: what for, and the steps. A heading
// whose steps follow has none yet.
func procedure(text string) (goal, steps string, ok bool) {
	t := rules()
	if m := t.howTo.FindStringSubmatch(text); m != nil {
		goal, steps = goalOf(m[1]), trimmedSteps(m[2])
		return goal, steps, goal != ""
	}
	if m := t.toDo.FindStringSubmatch(text); m != nil {
		goal, steps = goalOf(m[1]), trimmedSteps(m[2])
	} else if m := t.whenever.FindStringSubmatch(text); m != nil {
		goal, steps = goalOf(m[1]+m[3]), trimmedSteps(m[2]+m[4])
	}
	return goal, steps, goal != "" && orders(steps)
}

// orders reports whether a step says what to do; a command in marks does.
func orders(step string) bool {
	first, _, _ := strings.Cut(strings.ToLower(step), " ")
	return strings.HasPrefix(first, "`") || strings.Contains(imperatives, " "+strings.Trim(first, ",;:")+" ")
}

func trimmedSteps(steps string) string { return strings.TrimRight(strings.TrimSpace(steps), ".;,: ") }

// goalOf is what is done, as all its ways name it, or "" if it is nothing that
// is done more than once.
func goalOf(words string) string {
	fields := strings.Fields(strings.ToLower(words))
	switch {
	case len(fields) == 0, strings.Contains(noGoals, " "+fields[0]+" "), len(fields) == 1 && strings.Contains(beginnings, " "+fields[0]+" "):
		return ""
	}
	for _, word := range fields {
		if strings.Contains(once, " "+word+" ") {
			return ""
		}
	}
	return strings.Join(fields, " ")
}

// joined are the sentences, with the steps of a procedure that stand in
// sentences or lines of their own put to it.
func joined(all []speech.Sentence) []speech.Sentence {
	t := rules()
	var kept []speech.Sentence
	open, numbered := false, false
	for _, s := range all {
		if open && !s.Asks {
			if t.number.MatchString(s.Text) { // the step comes after it
				numbered = true
				continue
			}
			step := s.Text[len(t.bullet.FindString(s.Text)):]
			then := t.then.FindString(step)
			goesOn := numbered || step != s.Text || then != "" && orders(step[len(then):])
			numbered = false
			if goesOn {
				last := &kept[len(kept)-1]
				if strings.HasSuffix(last.Text, ":") {
					last.Text += " " + step
				} else {
					last.Text += "; " + step
				}
				continue
			}
		}
		kept = append(kept, s)
		rest, _ := bare(s.Text)
		_, _, begins := procedure(rest)
		open, numbered = begins && !s.Asks, false
	}
	return kept
}

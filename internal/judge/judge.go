// Package judge asks three judges, which are calls of a model, whether proposed
// changes of Phantom's own documents may be made.
//
// It owns what each judge is told, how an answer is read, and how votes become
// a ruling. One voice is enough to refuse: a fail, a doubt, a pass that is not
// sure, and every way in which a judge can fail to answer. It refuses to count
// a batch in which a judge was wrong about one of the two canaries that it was
// shown among the cases, a change that is known to be bad and one that is known
// to be good. What nobody could be asked for want of money, key or model is no
// ruling either: it waits. Its verdicts come on top of the deterministic rules
// of package gate and never in their place.
package judge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxCases is how many cases one batch may hold: as many as a judge can answer
// for with care in one go.
const MaxCases = 8

// sure is the least confidence with which a pass counts as one.
const sure = 0.7

// Vote is what a judge says to one question.
type Vote string

// The votes. The zero value is that of a judge who gave none, and refuses.
const (
	Fault Vote = ""
	Pass  Vote = "pass"
	Fail  Vote = "fail"
	Doubt Vote = "doubt"
)

// Question is what a judge is asked about a case.
type Question string

// The questions, each the one of a gate. The zero value is none and refuses.
const (
	Constitution Question = "constitution" // does it keep every principle?
	Regression   Question = "regression"   // does everything that was learnt still hold?
	Safety       Question = "safety"       // is it harmless?
)

// Case is one proposed change, as the judges see it.
type Case struct {
	File, Type, Target, Content, Rationale string
	Before, After                          string   // the document
	Quotes                                 []string // the owner's own words that the change rests on
	Golden                                 []string // lessons that must go on holding
}

// Batch is what the judges are shown at once.
type Batch struct {
	Principles string // the text of the constitution
	Cases      []Case
}

// Opinion is what one judge says of one case. A judge that failed has fault
// votes, and the reason says how.
type Opinion struct {
	Judge        string  `json:"judge"`
	Constitution Vote    `json:"constitution"`
	Regression   Vote    `json:"regression"`
	Safety       Vote    `json:"safety"`
	Confidence   float64 `json:"confidence"`
	Reason       string  `json:"reason,omitempty"`
}

// Ruling is what the three judges say of one case.
type Ruling struct {
	Opinions []Opinion
}

var (
	// ErrVoid says that a judge was wrong about a canary: nothing of the batch
	// counts.
	ErrVoid = errors.New("the panel is void: a judge was wrong about a change whose answer is known")
	// ErrUnavailable says that nothing was judged for want of money, key or
	// model: the batch waits. A model may return it as well.
	ErrUnavailable = errors.New("the judges are not available")
	// ErrBudget is what a model returns when the budget of self-evolution has
	// nothing left for a call.
	ErrBudget = errors.New("the budget of self-evolution is spent")
)

// on is the opinion's vote on a question: a word that is none is a fault, and a
// pass that is not sure a doubt.
func (o Opinion) on(q Question) Vote {
	var v Vote
	switch q {
	case Constitution:
		v = o.Constitution
	case Regression:
		v = o.Regression
	case Safety:
		v = o.Safety
	}
	return settled(v, o.Confidence)
}

// settled is what a vote counts as.
func settled(v Vote, confidence float64) Vote {
	switch v {
	case Fail, Doubt:
		return v
	case Pass:
		if confidence >= sure && confidence <= 1 { // false for what is no number
			return Pass
		}
		return Doubt
	case Fault:
	}
	return Fault
}

// On reports whether the panel passes a question, and if not, who is against it
// and why. One voice against it is enough, and so is a voice that is missing.
func (r Ruling) On(q Question) (passed bool, reason string) {
	if !r.complete() {
		return false, "the opinions are not those of the three judges"
	}
	var against []string
	for _, o := range r.Opinions {
		switch v := o.on(q); v {
		case Pass:
		case Fail, Doubt:
			against = append(against, fmt.Sprintf("%s: %s (%.2f): %s", o.Judge, v, o.Confidence, o.Reason))
		case Fault:
			against = append(against, fmt.Sprintf("%s gave no vote: %s", o.Judge, o.Reason))
		}
	}
	return len(against) == 0, strings.Join(against, "; ")
}

// Faulty reports whether a question is refused only because a judge failed, not
// because one had something against it.
func (r Ruling) Faulty() bool {
	faults := !r.complete()
	for _, o := range r.Opinions {
		for _, q := range []Question{Constitution, Regression, Safety} {
			switch o.on(q) {
			case Fail, Doubt:
				return false
			case Fault:
				faults = true
			case Pass:
			}
		}
	}
	return faults
}

// complete reports whether each of the three judges is there, once.
func (r Ruling) complete() bool {
	bench := judges()
	if len(r.Opinions) != len(bench) {
		return false
	}
	for _, j := range bench {
		if !slices.ContainsFunc(r.Opinions, func(o Opinion) bool { return o.Judge == j.name }) {
			return false
		}
	}
	return true
}

// check says what keeps a batch from being judged.
func (b Batch) check() error {
	switch {
	case strings.TrimSpace(b.Principles) == "":
		return errors.New("judge: no principles to judge by")
	case len(b.Cases) == 0 || len(b.Cases) > MaxCases:
		return fmt.Errorf("judge: %d cases, want 1 to %d", len(b.Cases), MaxCases)
	}
	return nil
}

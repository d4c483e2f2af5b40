package arch

import "slices"

// evolutionControls keep what Phantom learns within what its owner said and
// within its principles.
var evolutionControls = slices.Concat(judgeControls, gateControls, ruleControls, documentControls, learningControls)

// judgeControls make the three judges and the replay say no when in doubt.
var judgeControls = []sabotaged{
	{
		"one judge is enough to refuse", "internal/judge/judge.go",
		`return len(against) == 0, strings.Join`, `return len(against) <= 1, strings.Join`,
		"TestOnNeedsThreePasses", "",
	},
	{
		"a judge that failed refuses", "internal/judge/judge.go",
		`against = append(against, fmt.Sprintf("%s gave no vote: %s", o.Judge, o.Reason))`, `_ = o.Reason`,
		"TestFaults", "",
	},
	{
		"a pass that is not sure is none", "internal/judge/judge.go",
		`if confidence >= sure && confidence <= 1 {`, `if confidence >= 0 {`,
		"TestFaults", "",
	},
	{
		"two judges are no panel", "internal/judge/judge.go",
		`if !r.complete() {`, `if !r.complete() && len(r.Opinions) == 0 {`,
		"TestOnRefusesWhatIsNoPanel", "",
	},
	{
		"a judge that passes what is known to be bad voids the batch", "internal/judge/docket.go",
		`case it.kind == knownBad && passes:`, `case it.kind == knownBad && passes && name == "":`,
		"TestCanaries", "",
	},
	{
		"and one that refuses what is known to be good", "internal/judge/docket.go",
		`case it.kind == knownGood && !passes:`, `case it.kind == knownGood && !passes && name == "":`,
		"TestCanaries", "",
	},
	{
		"of a void batch nothing counts", "internal/judge/panel.go",
		`if errors.Is(h.err, ErrVoid) {`, `if errors.Is(h.err, ErrVoid) && h.judge == "" {`,
		"TestCanaries", "",
	},
	{
		"a judge that nobody paid is no vote", "internal/judge/panel.go",
		`if Unavailable(h.err) {`, `if Unavailable(h.err) && h.judge == "" {`,
		"TestUnavailable", "",
	},
	{
		"a canary can stand anywhere", "internal/judge/docket.go",
		`mathrand.Shuffle(len(d.items), `, `mathrand.Shuffle(0*len(d.items), `,
		"TestEachHearingIsDrawnAnew", "",
	},
	{
		"a judge sees what is hidden", "internal/judge/docket.go",
		`visible(string(raw))`, `string(raw)`,
		"TestInjection", "",
	},
	{
		"an answer to another hearing is none", "internal/judge/answer.go",
		`err != nil || given != nonce {`, `err != nil || given == "" {`,
		"TestParse", "",
	},
	{
		"no field counts twice or in capitals", "internal/judge/answer.go",
		`twice || !slices.Contains(names, name) {`, `twice && !slices.Contains(names, name) {`,
		"TestParse", "",
	},
	{
		"a late answer is none", "internal/judge/panel.go",
		`case ctx.Err() != nil: // also`, `case ctx.Err() != nil && err != nil: // also`,
		"TestALateYesIsNone", "",
	},
	{
		"an answer that the ledger cut short waits", "internal/judge/panel.go",
		`if curtailed(response, request.MaxTokens) {`, `if curtailed(response, 0) {`,
		"TestCurtailed", "",
	},
	{
		"a lesson that a change breaks is noticed by asking", "internal/gate/replay/replay.go",
		`return &RegressedError{Question: c.Question}`, `continue`,
		"TestRun", "",
	},
	{
		"what could not be asked counts as broken", "internal/gate/replay/replay.go",
		`return false, &RegressedError{c.Question, err}`, `return true, nil`,
		"TestRun", "",
	},
}

// gateControls are the deterministic parts of the five gates and their order.
var gateControls = []sabotaged{
	{
		"one gate is enough to refuse", "internal/gate/gate.go",
		`r.Verdict = Reject`, `r.Verdict = r.Gates[Size].Outcome`,
		"TestOneVoteRefuses", "",
	},
	{
		"judges overrule no rule", "internal/gate/gate.go",
		`	if c.standing() {
			left = append(left, c)`, `	if c.report.Verdict != Wait {
			left = append(left, c)`,
		"TestJudgesComeOnTopOfTheRules", "",
	},
	{
		"a check that was cut short accepts nothing", "internal/gate/gate.go",
		`if ctx.Err() != nil {`, `if ctx == nil {`,
		"TestTheEndOfTheContextAcceptsNothing", "",
	},
	{
		"without judges lessons wait", "internal/gate/model.go",
		`if d.Panel == nil && d.Required {`, `if d.Panel == nil && d.Required && len(left) == 0 {`,
		"TestWithoutJudges", "",
	},
	{
		"judges whom nobody can pay do not become none", "internal/gate/model.go",
		`wait(batch, err.Error())`, `_ = batch`,
		"TestPanelsThatDoNotAnswer", "",
	},
	{
		"a void batch waits", "internal/gate/model.go",
		`wait(batch, void)`, `_ = void`,
		"TestPanelsThatDoNotAnswer", "",
	},
	{
		"what judges refuse is refused", "internal/gate/model.go",
		`if passed && reason == "" {`, `if passed || reason == "" {`,
		"TestOneVoteRefuses", "",
	},
	{
		"what the replay finds is refused", "internal/gate/model.go",
		`c.set(Regression, Finding{Outcome: Reject, Reason: err.Error()})
	}`, `_ = c
	}`,
		"TestReplay", "",
	},
	{
		"what judges refuse leaves nothing in the documents", "internal/gate/gate.go",
		`docs = h.again(ctx, still, `, `_ = h.again(ctx, still, `,
		"TestWhatFallsLeavesNoTrace", "",
	},
	{
		"deltas of a batch see each other", "internal/gate/hearing.go",
		`docs = c.after`, `_ = c.after`,
		"TestDeltasOfABatchSeeEachOther", "",
	},
	{
		"a batch changes no more lines than one delta may", "internal/gate/hearing.go",
		`changed += changedLines(c.delta)`, ``,
		"TestChangedLinesOfABatchAreCountedOverAllDocuments", "",
	},
	{
		"documents stay short", "internal/gate/size.go",
		`case e.lines > maxLines:`, `case e.lines > 100*maxLines:`,
		"TestSize", "",
	},
	{
		"a line break in disguise is one", "internal/gate/size.go",
		`"\u0085", "\n", "\u2028", "\n", `, ``,
		"TestSize", "",
	},
	{
		"what is too large to be read is refused", "internal/gate/size.go",
		`case len(text) > most:`, `case len(text) > 1000*most:`,
		"TestWhatCannotBeAppliedIsRefused", "",
	},
	{
		"no lesson contradicts another", "internal/gate/regression.go",
		`if content.Contradicts(h.readings.of(line)) {`, `if content.Contradicts(h.readings.of("")) {`,
		"TestRegression", "",
	},
	{
		"nor what Phantom is", "internal/gate/regression.go",
		`if content.Contradicts(h.readings.of(words)) {`, `if content.Contradicts(h.readings.of("")) {`,
		"TestRegression", "",
	},
	{
		"nor what the owner taught and nothing newer of his replaces", "internal/gate/regression.go",
		`if !c.superseding && content.Contradicts(`, `if c.superseding && content.Contradicts(`,
		"TestRegression", "",
	},
	{
		"no lesson turns the owner's words round", "internal/gate/regression.go",
		`if polarity.Invert(c.delta.Content, quote) {`, `if polarity.Invert(quote, quote) {`,
		"TestRegression", "",
	},
	{
		"the last line that says a golden case stays", "internal/gate/regression.go",
		`if h.gone(c, target, lesson.Lesson) {`, `if h.gone(c, nil, lesson.Lesson) {`,
		"TestRegression", "",
	},
	{
		"a negation is read", "internal/gate/polarity/polarity.go",
		`return (s.ban != s.flip) != (o.ban != o.flip) != (order < 0)`, `return s.flip != o.flip != (order < 0)`,
		"TestContradict", "",
	},
	{
		"a lesson is a case after its version proved itself", "internal/gate/golden/golden.go",
		`return read(ctx, s.db, holds, holds)`, `return read(ctx, s.db, holds, proposed)`,
		"TestALessonHoldsAfterItsVersionProvedItself", "",
	},
	{
		"a lesson that was taken back is no case", "internal/gate/golden/golden.go",
		`retired, c.ID)`, `holds, c.ID)`,
		"TestRetire", "",
	},
	{
		"a case that lost words is none", "internal/gate/golden/golden.go",
		`retired, id)`, `holds, id)`,
		"TestErase", "",
	},
	{
		"a step is measured against the version of 30 days ago", "internal/gate/drift/drift.go",
		`{base.Last, base.Month, base.First}`, `{base.Last, base.Last, base.First}`,
		"TestCheck", "",
	},
	{
		"and against the first", "internal/gate/drift/drift.go",
		`{base.Last, base.Month, base.First}`, `{base.Last, base.Month, base.Month}`,
		"TestCheck", "",
	},
	{
		"what a document said does not get lost", "internal/gate/drift/drift.go",
		`m.Lost > allowed {`, `m.Lost > 1000+allowed {`,
		"TestCheck", "",
	},
	{
		"what replaces a line speaks of the same", "internal/gate/drift/drift.go",
		`if !all.any(o, now, related, relatedEdit) && !shares(o, now) {`, `if !all.any(o, now, -1, relatedEdit) && !shares(o, now) {`,
		"TestSubject", "",
	},
	{
		"what cannot be measured is refused", "internal/gate/drift/meaning.go",
		`if !unit(v) {`, `if v == nil {`,
		"TestWhatCannotBeMeasuredIsRefused", "",
	},
	{
		"who Phantom is changes least", "internal/gate/hearing.go",
		`name == selfconf.Persona)`, `name == selfconf.Constitution)`,
		"TestThePersonaChangesLeast", "",
	},
}

// ruleControls are what the constitution and the safety gate know without a
// model.
var ruleControls = []sabotaged{
	{
		"no characters that are not seen", "internal/gate/text/text.go",
		`if why := hidden(runes, i); why != "" {`, `if why := hidden(runes, i); why == "?" {`,
		"TestCheck", "",
	},
	{
		"no words of several scripts", "internal/gate/text/text.go",
		`if a, b := scripts(word); b != "" {`, `if a, b := scripts(word); b == "?" {`,
		"TestCheck", "",
	},
	{
		"letters that look alike are read alike", "internal/gate/text/fold.go",
		`return strings.Map(read, word)`, `return word`,
		"TestFold", "",
	},
	{
		"the principles are read in what a delta says", "internal/gate/rule/rule.go",
		`if want(l.name) && (l.broken(`, `if !want(l.name) && (l.broken(`,
		"TestReasons", "",
	},
	{
		"what protects somebody is not taken away", "internal/gate/rule/weaken.go",
		`if !kept[why] {`, `if !kept[why] && why == "" {`,
		"TestWhatProtectsStays", "",
	},
	{
		"no address that the owner did not allow", "internal/gate/rule/link.go",
		`case !r.host(host):`, `case !r.host(host) && host == "":`,
		"TestAddresses", "",
	},
	{
		"no command that the guard refuses", "internal/gate/rule/command.go",
		`case v.Decision == phantom.Block:`, `case v.Decision == phantom.Block && line == "":`,
		"TestCommandsOfTheGuard", "",
	},
	{
		"nor one that it would ask about, without waiting", "internal/gate/rule/command.go",
		`if t.is.has(r.eager) && !r.grammar.denied(tokens, i) {`, `if t.is.has(r.eager) && r.grammar.denied(tokens, i) {`,
		"TestCommandsOfTheGuard", "",
	},
	{
		"no secret in a lesson", "internal/gate/rule/rule.go",
		`if r.redactor.String(form) != form {`, `if r.redactor.String(form) == "" {`,
		"TestReasons", "",
	},
	{
		"what reads like harm is refused, whatever its words", "internal/gate/hearing.go",
		`h.gates.likeness.Check(ctx, c.delta), errs[Safety])`, `errs[Safety])`,
		"TestLikeness", "",
	},
}

package arch

// documentControls keep the documents, their versions and the constitution
// what they are.
var documentControls = []sabotaged{
	{
		"no delta names another file", "internal/selfconf/document.go",
		`if !slices.Contains(Evolvable(), delta.File) {`, `if !slices.Contains(Names(), delta.File) {`,
		"TestNoDeltaReachesTheConstitution", "",
	},
	{
		"nothing is applied under another constitution", "internal/selfconf/apply.go",
		`if err := s.constitution(ctx); err != nil {`, `if err := ctx.Err(); err != nil {`,
		"TestApplyRefuses", "",
	},
	{
		"another constitution is told of", "internal/selfconf/constitution.go",
		`case sum(text) != pin:`, `case text == "":`,
		"TestAnotherConstitutionIsToldOfAndNeverTakenOver", "",
	},
	{
		"nothing gets in but what was judged", "internal/selfconf/apply.go",
		`if !maps.Equal(docs, next.Documents) {`, `if docs, err = next.Documents, docs.complete(); err != nil {`,
		"TestApplyRefuses", "",
	},
	{
		"a version is made of the current one", "internal/selfconf/commit.go",
		`if number != p.parent.Number {`, `if number < p.parent.Number {`,
		"TestWhatHappensBeforeAVersionIsStored", "",
	},
	{
		"no version without a record", "internal/selfconf/commit.go",
		`intent, err := s.intent(ctx, v)`, `intent, _ := s.intent(ctx, v)`,
		"TestNoIntentNoVersion", "",
	},
	{
		"what the owner edited is not written over", "internal/selfconf/selfconf.go",
		`edited[name] = text
		}`, `stale = append(stale, name)
		}`,
		"TestAHandEditBecomesAVersionOfTheOwner", "",
	},
	{
		"what a crash left undone is done", "internal/selfconf/selfconf.go",
		`case !there, now.had(name, text), old.had(name, text):`, `case !there, now.had(name, text):`,
		"TestAHalfDoneApplyIsEnded", "",
	},
	{
		"a link is no document", "internal/selfconf/disk.go",
		`if !seen.Mode().IsRegular() {`, `if seen == nil {`,
		"TestWhatIsNoDocumentIsRefused", "",
	},
	{
		"a version keeps its texts", "internal/selfconf/read.go",
		`if whole && st.docs.Hash() != v.Hash {`, `if whole && v.Hash == "" {`,
		"TestATextThatWasExchangedIsNoticed", "",
	},
	{
		"what was forgotten meanwhile does not come back", "internal/selfconf/commit.go",
		`if err == nil && marks != p.forgotten {`, `if err == nil && marks < p.forgotten {`,
		"TestWhatHappensBeforeAVersionIsStored", "",
	},
	{
		"nor by an edit that is no version yet", "internal/selfconf/erase.go",
		`if after != words {`, `if after == "" {`,
		"TestWhatTheOwnerIsWritingIsReconciledFirst", "",
	},
	{
		"going back restores no constitution", "internal/selfconf/apply.go",
		`docs[Constitution] = p.parent.docs[Constitution]`, ``,
		"TestAdoptPinsAnotherConstitution", "",
	},
	{
		"what is forgotten leaves every version", "internal/selfconf/erase.go",
		`if err := eraseTexts(ctx, tx, text); err != nil {`, `if err := ctx.Err(); err != nil {`,
		"TestWhatIsForgottenStandsNowhere", "",
	},
}

// learningControls decide from whose words what is learnt, what it may cost,
// and when it is taken back.
var learningControls = []sabotaged{
	{
		"rules learn of the owner alone", "internal/evolve/observe/observe.go",
		`	for _, m := range t.Said {
		if !m.Provenance.Trusted() {`, `	for _, m := range t.Said {
		if m.Text == "" {`,
		"TestOnlyTheOwnerTeaches", "",
	},
	{
		"what he forwards is not his word", "internal/evolve/observe/own.go",
		`if at := c.letter.FindStringIndex(text); at != nil {`, `if at := c.letter.FindStringIndex(text); len(at) == 1 {`,
		"TestRulesLearnNothingElse", "",
	},
	{
		"a model is shown the owner's words alone", "internal/evolve/observe/model.go",
		`if m.Provenance.Trusted() {`, `if m.Text != "" {`,
		"TestModelSeesTheOwnersWordsOnly", "",
	},
	{
		"a quote that nobody wrote teaches nothing", "internal/evolve/observe/model.go",
		`l.quote, asks = around(own, sentences, quote); l.quote == "" {`, `l.quote, asks = around(own, sentences, quote); l.quote == "" && func() bool { l.quote = c.Quote; return false }() {`,
		"TestModelKeepsToTheOwnersWords", "",
	},
	{
		"a lesson is made of the words that it quotes", "internal/evolve/observe/ground.go",
		`case all == 0 || 100*theirs < minShare*all:`, `case all < 0:`,
		"TestModelKeepsToTheOwnersWords", "",
	},
	{
		"and does not turn them round", "internal/evolve/observe/ground.go",
		`case denies(text) != denies(quote), polarity.Invert(text, quote):`, `case polarity.Invert("", "") && quote == "":`,
		"TestModelKeepsToTheOwnersWords", "",
	},
	{
		"others' words become no change", "internal/evolve/propose/propose.go",
		`case !o.Provenance.Trusted():`, `case o.Text == "":`,
		"TestOnlyTheOwnersWordIsProposed", "",
	},
	{
		"a model takes away only what is spoken of", "internal/evolve/propose/model.go",
		`return "it takes away what its observations do not speak of"`, `continue`,
		"TestModelWritesWhatWasTaughtOnly", "",
	},
	{
		"a turn is considered once for learning", "internal/evolve/cycle.go",
		`SET state = 'done' WHERE turn = ? AND state = 'waiting'`, `SET tries = tries WHERE turn = ? AND state = 'waiting'`,
		"TestModelIsAskedOnlyIfThereIsSomething", "",
	},
	{
		"nothing is learnt under another constitution", "internal/evolve/cycle.go",
		`	c := record.Cycle{ID: phantom.NewID(), Cause: cause, Began: s.Now()}
	if err := s.lawful(ctx); err != nil {`, `	c := record.Cycle{ID: phantom.NewID(), Cause: cause, Began: s.Now()}
	if err := ctx.Err(); err != nil {`,
		"TestConstitutionIsChecked", "",
	},
	{
		"no model is asked for nothing", "internal/evolve/queue.go",
		`if len(own) > 0 && observe.Teaches(own) {`, `if len(own) > 0 {`,
		"TestModelIsAskedOnlyIfThereIsSomething", "",
	},
	{
		"turns wait for money", "internal/evolve/cycle.go",
		`	if budget.Unpaid(err) {
		return s.rest(`, `	if budget.Unpaid(err) && c == nil {
		return s.rest(`,
		"TestTurnsWaitForMoney", "",
	},
	{
		"what was refused is not proposed again", "internal/evolve/decide.go",
		`why, is := known[lesson.Alike(d)]`, `why, is := known[""]`,
		"TestRefusedIsNotProposedAgain", "",
	},
	{
		"the owner is asked where he wants to be", "internal/evolve/decide.go",
		`if s.Settings.Apply != "auto" {`, `if s.Settings.Apply == "" {`,
		"TestApproval", "",
	},
	{
		"his no is one", "internal/evolve/ask.go",
		`if !approved {`, `if !approved && q.ID == "" {`,
		"TestApproval", "",
	},
	{
		"a bad lesson is taken back", "internal/evolve/watching.go",
		`return s.takeBack(ctx, version, r)`, `return nil`,
		"TestBadLessonIsTakenBack", "",
	},
	{
		"bad luck is not", "internal/evolve/watch/watch.go",
		`case p <= first:`, `case p <= 4*first:`,
		"TestNoiseExactly", "",
	},
	{
		"nor is the turn that taught it", "internal/evolve/watching.go",
		`slices.Contains(causes, e.turn)`, `slices.Contains(causes, "")`,
		"TestCauseIsNotCounted", "",
	},
	{
		"the watch can be told to leave versions alone", "internal/evolve/watching.go",
		`if !s.Settings.Watch.Rollback {`, `if !s.Settings.Watch.Rollback && s.Notify == nil {`,
		"TestRollbackCanBeOff", "",
	},
	{
		"a lesson that proved itself is kept", "internal/evolve/watching.go",
		`if err := s.Gates.Confirm(ctx, number); err != nil {`, `if err := ctx.Err(); err != nil {`,
		"TestGoodLessonProvesItself", "",
	},
	{
		"secrets are not learnt", "internal/evolve/queue.go",
		`t.Said[i].Text = s.Redactor.String(t.Said[i].Text)`, `_ = i`,
		"TestSecretsAreNotLearnt", "",
	},
	{
		"what is forgotten leaves what was observed", "internal/evolve/forget/forget.go",
		`SET quote = ? WHERE id = ?`, `SET provenance = ? WHERE id = ?`,
		"TestForgottenIsGivenUp", "internal/evolve",
	},
	{
		"learning has a budget", "internal/evolve/budget/budget.go",
		`if bound.limit > 0 && bound.used+worst > bound.limit {`, `if bound.limit > 0 && bound.used > bound.limit {`,
		"TestBounds", "",
	},
	{
		"also for calls side by side", "internal/evolve/budget/budget.go",
		`	b.cycle += worst
	b.today += worst`, ``,
		"TestCallsSideBySide", "",
	},
	{
		"a model without a price is not called to learn", "internal/evolve/budget/budget.go",
		`worst, err := m.budget.deps.Prices.Worst(req)`, `worst, _ := m.budget.deps.Prices.Worst(req)
		var err error`,
		"TestUnpricedModelIsRefused", "",
	},
	{
		"nobody judges himself", "internal/config/learning/learning.go",
		`if same(s.JudgeModel, model) {`, `if s.JudgeModel == "" {`,
		"TestWhoJudges", "",
	},
	{
		"a model that cannot judge is no judge", "internal/config/learning/learning.go",
		`case at == "" && provider == offline:`, `case at == "?" && provider == offline:`,
		"TestWhoJudges", "",
	},
}

package arch

// rememberControls keep others' words out of what is learnt of turns, and
// what is forgotten out of the rest.
var rememberControls = []sabotaged{
	{
		"the owner's words alone make facts", "internal/remember/remember.go",
		`if m.Provenance.Trusted() {
			own = append(own, text)`,
		`if true {
			own = append(own, text)`,
		"TestWhoseWordsBecomeWhat", "",
	},
	{
		"a client's episode keeps its taint", "internal/remember/remember.go",
		`e.Provenance, e.Taint = m.Provenance, phantom.Taint{`,
		`e.Provenance, _ = m.Provenance, phantom.Taint{`,
		"TestWhoseWordsBecomeWhat", "",
	},
	{
		"a fact's quote is the owner's", "internal/remember/model.go",
		`case !strings.Contains(own, quote):`, `case quote == "":`,
		"TestModelCannotPutWordsIntoTheOwnersMouth", "",
	},
	{
		"no fact turns its quote round", "internal/remember/model.go",
		`case speech.Negated(f.Text) != speech.Negated(f.Quote):`, `case quote == "":`,
		"TestModelCannotPutWordsIntoTheOwnersMouth", "",
	},
	{
		"no fact invents names and numbers", "internal/remember/model.go",
		`for _, word := range speech.Particulars(f.Text + " " + f.Subject) {`, `for _, word := range speech.Particulars("") {`,
		"TestModelCannotPutWordsIntoTheOwnersMouth", "",
	},
	{
		"quotations are somebody else's words", "internal/memory/speech/speech.go",
		`m = t.quoted.ReplaceAllString(t.fence.ReplaceAllString(m, "\n"), "…")`, `m = t.fence.ReplaceAllString(m, "\n")`,
		"TestOwnIsWithoutWhatIsQuoted", "",
	},
	{
		"half a sentence is not the owner's word", "internal/remember/statement.go",
		`return !s.Asks && speech.Plain(own) == want`, `return !s.Asks && strings.Contains(speech.Plain(own), want)`,
		"TestOnlyWholeSentencesOfTheOwnerAreHisWord", "",
	},
	{
		"a turn is considered once", "internal/remember/remember.go",
		`SET state = 'done' WHERE turn = ?`, `SET tries = 1 WHERE turn = ?`,
		"TestTurnIsConsideredOnce", "",
	},
	{
		"what was forgotten is not learnt again", "internal/remember/remember.go",
		`if words == "" || rules().forget.MatchString(words) {`, `if words == "" {`,
		"TestWhoseWordsBecomeWhat", "",
	},
	{
		"forgetting leaves the records readable", "internal/remember/erase.go",
		`case input || !strings.Contains(structure, " "+key+" "):`, `default:`,
		"TestForgettingLeavesTheRestOfTheTranscript", "",
	},
	{
		"what a turn forgot is erased after a restart", "internal/remember/erase.go",
		`if turn == "" {`, `if turn != "" {`,
		"TestWhatATurnForgotIsErasedAfterARestart", "",
	},
	{
		"beside untrusted text nothing is kept as the owner's word", "internal/tool/recall.go",
		`if !read.Taint.Clean() && item.Provenance.Trusted() {`, `if read.Taint.Clean() && item.Text == "" {`,
		"TestRememberKeepsWhoseWordItIs", "",
	},
	{
		"forgetting asks beside untrusted text", "internal/tool/recall.go",
		`if read := phantom.ReadingFrom(ctx).Taint; !read.Clean() {`, `if read := phantom.ReadingFrom(ctx).Taint; false {`,
		"TestForget", "",
	},
	{
		"memory tools leave no text in the record", "internal/tool/chain.go",
		`if def.private {`, `if false {`,
		"TestMemoryToolsLeaveNoTextInTheRecord", "",
	},
	{
		"no turn waits long for memory", "internal/agent/agent.go",
		`ctx, cancel := context.WithTimeout(ctx, recallPatience)`, `ctx, cancel := context.WithCancel(ctx)`,
		"TestTurnDoesNotWaitForMemory", "",
	},
	{
		"nobody says yes to what is forgotten", "internal/approval/erase.go",
		`for _, id := range append(changed, reasons...) {`, `for _, id := range append(changed, reasons...)[:0] {`,
		"TestForgottenQuestionIsWithdrawn", "",
	},
	{
		"a lasting yes goes with its words", "internal/approval/erase.go",
		`for _, number := range lasting {`, `for _, number := range lasting[:0] {`,
		"TestForgottenQuestionIsWithdrawn", "",
	},
	{
		"nothing is called erased when nobody erases", "internal/remember/erase.go",
		`if len(e.Owners) == 0 {`, `if len(e.Owners) < 0 {`,
		"TestEraserWithoutOwnersErasesNothing", "",
	},
	{
		"no spelling escapes forgetting", "internal/remember/erase.go",
		`if !plain {`, `if !plain && raw == "" {`,
		"TestForgettingFindsEverySpelling", "",
	},
}

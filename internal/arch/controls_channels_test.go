package arch

// What holds for everything that comes in on a channel and goes out again.
var channelControls = []sabotaged{
	{
		"no reaction is a yes", "internal/router/press.go",
		`in.Kind == phantom.InboundButton && (`, `(`,
		"TestQuestionsAndFeedback", "",
	},
	{
		"a stranger is told once", "internal/router/stranger.go",
		`if err != nil || !first {`, `if err != nil || !first && false {`,
		"TestStrangersOfEveryKind", "",
	},
	{
		"nobody is written to whom no service vouches for", "internal/router/stranger.go",
		`|| !in.Polite `, ``,
		"TestStrangersOfEveryKind", "",
	},
	{
		"what others wrote beside a message is nobody's order", "internal/router/inbox.go",
		`other, phantom.Stranger, state)`, `other, phantom.Owner, state)`,
		"TestEditsFilesAndWhatStandsBeside", "",
	},
	{
		"only replies of ours are valued", "internal/router/press.go",
		`if errors.Is(err, sql.ErrNoRows) || err == nil && turn == "" {`, `if errors.Is(err, sql.ErrTxDone) || err == nil && turn == "" {`,
		"TestQuestionsAndFeedback", "",
	},
	{
		"a channel that asks for a wait gets it", "internal/router/outbox.go",
		`return max(backoff(attempts), min(asked.RetryAfter(), maxBackoff))`, `return backoff(attempts)`,
		"TestWhatChannelsAskFor", "",
	},
	{
		"a flood of strangers is counted", "internal/router/stranger.go",
		`return c.n <= maxRefusals`, `return true`,
		"TestFloodOfStrangers", "",
	},
	{
		"few strangers are told in a day", "internal/router/stranger.go",
		`|| told >= maxTold `, ``,
		"TestFloodOfStrangers", "",
	},
	{
		"a question is answered where it was put", "internal/router/press.go",
		`if !here {`, `if !here && false {`,
		"TestQuestionsAndFeedback", "",
	},
	{
		"a thumb under a question is no opinion of a reply", "internal/router/press.go",
		` AND o.question = 0`, ``,
		"TestQuestionsAndFeedback", "",
	},
	{
		"a stop that comes as a command is obeyed", "internal/router/press.go",
		`; isStop(in.Text) {`, `; isStop(in.Text) && false {`,
		"TestStopAsACommand", "",
	},
	{
		"nothing is hidden where the owner is asked", "internal/router/press.go",
		`unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)`, `false`,
		"TestQuestionInWords", "",
	},
	{
		"a picture gives way to the answer", "internal/router/stage/stage.go",
		`st.stopPicture()`, `_ = 0`,
		"TestPictureThatTakesLongIsBrokenOff", "",
	},
	{
		"nothing is shown as waiting after its end", "internal/router/stage/stage.go",
		`due = append(due, st.ended...)`, `due = append(slices.Clone(st.ended), due...)`,
		"TestWaitingIsShownBeforeTheEnd", "",
	},
	{
		"an end that a kill took along is shown", "internal/router/router.go",
		`errors.Join(r.resume(ctx), r.endAgain(ctx))`, `errors.Join(r.resume(ctx), nil)`,
		"TestEndIsShownAfterARestart", "",
	},
	{
		"what stands beside a message is not counted as one", "internal/router/inbox.go",
		`if provenance == beside {`, `if provenance == beside && false {`,
		"TestStopDropsMessagesAndWhatStandsBesideThem", "",
	},
	{
		"a reply that fails holds back no fresh one", "internal/router/outbox.go",
		`CASE WHEN attempts = 0 THEN 0 ELSE next_at END`, `next_at`,
		"TestWhatWasNeverTriedGoesFirst", "",
	},
}

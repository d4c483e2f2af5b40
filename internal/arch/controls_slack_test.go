package arch

// slackControls are those of the channel slack.
var slackControls = []sabotaged{
	{
		"an event of Slack is acknowledged only when it is committed", "internal/channel/slack/run.go",
		`err == nil || s.c.final(err) {`, `err == nil || err != nil {`,
		"TestCommitFirst", "",
	},
	{
		"a stranger's file is not fetched from Slack", "internal/channel/slack/commit.go",
		`if len(ev.Uploads) > 0 && in.Sender == c.Owner {`, `if len(ev.Uploads) > 0 {`,
		"TestFiles", "",
	},
	{
		"a stranger has no thread read", "internal/channel/slack/commit.go",
		`if ev.Thread && c.answers(in.Sender) {`, `if ev.Thread {`,
		"TestStrangerNotTold", "",
	},
	{
		"the token goes to Slack's files only", "internal/channel/slack/commit.go",
		`if err != nil || !c.holdsFiles(address) {`, `if err != nil || address == nil {`,
		"TestForeignServer", "",
	},
	{
		"the connection goes to Slack only", "internal/channel/slack/run.go",
		`if api, err := url.Parse(c.API); !slacks && (`, `if api, err := url.Parse(c.API); !slacks && host == "" && (`,
		"TestForeignConnection", "",
	},
	{
		"no answer of Slack leads elsewhere", "internal/channel/slack/slack.go",
		`return http.ErrUseLastResponse }`, `return nil }`,
		"TestFollowsNoRedirect", "",
	},
	{
		"an answer of Slack is bounded", "internal/channel/slack/slack.go",
		`io.LimitReader(resp.Body, maxAnswer)`, `resp.Body`,
		"TestAnswersAreBounded", "",
	},
	{
		"what other apps write in Slack is not heard", "internal/channel/slack/event/event.go",
		`return m.Bot == "" && `, `return `,
		"TestRead", "",
	},
	{
		"what Phantom writes in Slack is not heard", "internal/channel/slack/event/event.go",
		` && m.User != who.User && m.User != "USLACKBOT"`, ` && m.User != "USLACKBOT"`,
		"TestRead", "",
	},
	{
		"a thread without Phantom is not heard", "internal/channel/slack/commit.go",
		`		if !part {
			return errNotMeant`, `		if !part && ev.TS == "" {
			return errNotMeant`,
		"TestDrops", "",
	},
	{
		"what somebody forwards in Slack is not their own word", "internal/channel/slack/event/event.go",
		`if !f.Share && !f.Quote {`, `if f.Share || f.Quote {`,
		"TestForwarded", "",
	},
	{
		"no text can pose as somebody else's line of a thread", "internal/channel/slack/thread.go",
		`strings.Join(strings.Fields(mrkdwn.Plain(m.Text, who.user, c.Deps.Name)), " ")`, `mrkdwn.Plain(m.Text, who.user, c.Deps.Name)`,
		"TestThread", "",
	},
	{
		"an answer in Slack names its question", "internal/channel/slack/event/event.go",
		`if err != nil || number <= 0 {`, `if err != nil && number < 0 {`,
		"TestRead", "",
	},
	{
		"mass mentions are defused in Slack", "internal/channel/slack/deliver.go",
		`safe := text.Defuse(markdown)`, `safe := markdown`,
		"TestTexts", "",
	},
	{
		"a model cannot call everybody in Slack's own notation", "internal/channel/slack/mrkdwn/mrkdwn.go",
		`strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")`, `strings.NewReplacer("&", "&amp;")`,
		"TestRender", "",
	},
	{
		"Slack fetches no address of a reply", "internal/channel/slack/deliver.go",
		`, slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl()}`, `}`,
		"TestUnfurlsNothing", "",
	},
	{
		"a part whose fate is not known is looked for before it is sent again", "internal/channel/slack/deliver.go",
		`	if s.Begun {
		since`, `	if s.Begun && s.ID == "" {
		since`,
		"TestOnce", "",
	},
	{
		"only what Phantom wrote counts as sent", "internal/channel/slack/deliver.go",
		`if m.User == who.user && m.Metadata`, `if m.Metadata`,
		"TestForgedMetadata", "",
	},
	{
		"no progress comes after its answer", "internal/channel/slack/present.go",
		`if p.Answered || `, `if `,
		"TestProgress", "",
	},
	{
		"the details of work are shown in direct messages only", "internal/channel/slack/present.go",
		`if at.Direct() && line.Detail != "" {`, `if line.Detail != "" {`,
		"TestProgress", "",
	},
	{
		"nothing follows an end", "internal/channel/slack/mark/mark.go",
		`if sign == "" || again && status != phantom.StatusQueued {`, `if sign == "" {`,
		"TestReactions", "internal/channel/slack",
	},
	{
		"no error of Slack holds a token", "internal/channel/slack/fault/fault.go",
		`f.Text = t.Redact.String(f.Text)`, ``,
		"TestOf", "",
	},
	{
		"no more is asked of Slack than the work needs", "internal/channel/slack/manifest.go",
		`		"reactions:write", // status
`, `		"reactions:write", // status
		"users:read",
`,
		"TestManifest", "",
	},
}

package arch

// telegramControls are those of the channel telegram.
var telegramControls = []sabotaged{
	{
		"an update of Telegram is confirmed only when it is committed", "internal/channel/telegram/poll.go",
		`		err := c.take(ctx, u, receive)
		if err == nil {`, `		err := c.take(ctx, u, receive)
		if err == nil || err != nil {`,
		"TestConfirmedWhenCommitted", "",
	},
	{
		"a stranger's file is not fetched from Telegram", "internal/channel/telegram/inbound.go",
		`		if m.From.ID == c.owner {
			in.Files, tell`, `		if m.From.ID != 0 {
			in.Files, tell`,
		"TestStrangersAreHandedOn", "",
	},
	{
		"what the owner forwards is not the owner's words", "internal/channel/telegram/inbound.go",
		`	return c.foreign(m, in), "", true
}

// foreign`, `	return in, "", true
}

// foreign`,
		"TestRead", "",
	},
	{
		"a command that the owner forwards is none", "internal/channel/telegram/inbound.go",
		`	if m.author() != "" {
		return "", false
	}`, ``,
		"TestRead", "",
	},
	{
		"who writes as a chat of Telegram is nobody", "internal/channel/telegram/inbound.go",
		` || m.SenderChat != nil`, ``,
		"TestRead", "",
	},
	{
		"a group of Telegram is heard only where Phantom is spoken to", "internal/channel/telegram/inbound.go",
		` && c.spokenTo(m))`, `)`,
		"TestReadGroups", "",
	},
	{
		"an answer on Telegram names its question", "internal/channel/telegram/press.go",
		`return in, err == nil && number > 0`, `return in, err == nil || number <= 0`,
		"TestRead", "",
	},
	{
		"Telegram fetches no address of a reply", "internal/channel/telegram/deliver.go",
		`off := true`, `off := false`,
		"TestDeliver", "",
	},
	{
		"mass mentions are defused on Telegram", "internal/channel/telegram/deliver.go",
		`text.Split(text.Defuse(d.Text), maxText, measure)`, `text.Split(d.Text, maxText, measure)`,
		"TestDeliver", "",
	},
	{
		"the details of work are shown in private chats only", "internal/channel/telegram/present.go",
		`if private && line.Detail != "" {`, `if line.Detail != "" {`,
		"TestPicture", "",
	},
	{
		"no call to Telegram is sent on elsewhere", "internal/channel/telegram/api.go",
		`return http.ErrUseLastResponse`, `return nil`,
		"TestFollowsNoRedirect", "",
	},
	{
		"no error holds the token of the bot", "internal/channel/telegram/api.go",
		`strings.ReplaceAll(err.Error(), c.Token.Reveal(), "[token]")`, `err.Error()`,
		"TestNoSecretsLeave", "",
	},
	{
		"an answer of Telegram is bounded", "internal/channel/telegram/api.go",
		`io.LimitReader(response.Body, maxAnswer)`, `response.Body`,
		"TestAnswersAreBounded", "",
	},
}

package arch

// webhookControls are those of the door for other systems.
var webhookControls = []sabotaged{
	{
		"a webhook counts only with a signature", "internal/channel/webhook/signature.go",
		`if hmac.Equal(want, given) {`, `if len(want) == len(given) {`,
		"TestSignaturesThatDoNotCount", "",
	},
	{
		"a webhook's id is signed", "internal/channel/webhook/signature.go",
		"	if p.form == standard {\n		mac.Write([]byte(p.id + \".\"))\n	}\n", "",
		"TestPeers|TestSignaturesThatCount", "",
	},
	{
		"a webhook's time is signed", "internal/channel/webhook/signature.go",
		`mac.Write([]byte(p.stamp + "."))`, ``,
		"TestPeers|TestSignaturesThatCount", "",
	},
	{
		"an old webhook is refused", "internal/channel/webhook/signature.go",
		`if off := now.Unix() - seconds; off > int64(window/time.Second) || -off`, `if off := now.Unix() - seconds; -off`,
		"TestSignaturesThatDoNotCount", "",
	},
	{
		"a webhook from the future is refused", "internal/channel/webhook/signature.go",
		`|| -off > int64(window/time.Second) {`, `{`,
		"TestSignaturesThatDoNotCount", "",
	},
	{
		"a header of a webhook that stands there twice counts nothing", "internal/channel/webhook/signature.go",
		"		case len(given) > 1:\n			return proof{}, fmt.Errorf(\"the header %s stands there %d times\", name, len(given))\n		case len(given) == 1:", "		case len(given) >= 1:",
		"TestSignaturesThatDoNotCount", "",
	},
	{
		"an id of a webhook ends in one place only", "internal/channel/webhook/signature.go",
		` || c == '.' && p.form == standard {`, ` {`,
		"FuzzHeaders", "",
	},
	{
		"a short secret of a webhook is refused", "internal/channel/webhook/signature.go",
		`if len(text) < minKey {`, `if len(text) == 0 {`,
		"TestNewRefuses", "",
	},
	{
		"no secret of a webhook is two senders'", "internal/channel/webhook/webhook.go",
		`if other, taken := keys[key.Reveal()]; taken {`, `if other, taken := keys[key.Reveal()]; taken && other == "" {`,
		"TestNewRefuses", "",
	},
	{
		"a sender of webhooks does not go by the owner's name", "internal/channel/webhook/webhook.go",
		`case s.Name == c.Owner:`, `case s.Name == "":`,
		"TestNewRefuses", "",
	},
	{
		"refused webhooks look alike", "internal/channel/webhook/door.go",
		`return refuse(http.StatusUnauthorized, sayUnsigned, err.Error())`, `return refuse(http.StatusUnauthorized, err.Error(), err.Error())`,
		"TestSignaturesThatDoNotCount", "",
	},
	{
		"refused webhooks are recorded or not served", "internal/channel/webhook/door.go",
		`f = refusal{status: http.StatusServiceUnavailable, say: sayUnrecorded}`, ``,
		"TestRefusalsAreRecorded", "",
	},
	{
		"the bodies of webhooks that are read at the same time are bounded", "internal/channel/webhook/door.go",
		"		default:\n			return refuse(http.StatusServiceUnavailable, sayBusy", "		case c.waiting <- struct{}{}:\n			defer func() { <-c.waiting }()\n		default:\n			return refuse(http.StatusServiceUnavailable, sayBusy",
		"TestSlowBodiesAreBounded", "",
	},
	{
		"a question about a task counts once", "internal/channel/webhook/door.go",
		`won, err = c.claim(ctx, q.name(), ""); err == nil && !won {`, `won, err = c.claim(ctx, q.name(), ""); err == nil && !won && false {`,
		"TestTasks", "",
	},
	{
		"a signature of the simple form counts under one id", "internal/channel/webhook/door.go",
		`err != nil || first != q.name() {`, `err != nil || first == "" {`,
		"TestReplays", "",
	},
	{
		"ids of webhooks are kept as long as they can come again", "internal/channel/webhook/used.go",
		`last := spanOf(u.now()) - 2`, `last := spanOf(u.now())`,
		"TestOldIDsAreDropped", "",
	},
	{
		"a message is kept before its id counts", "internal/channel/webhook/door.go",
		`		id, err := c.Receive(keep, in)
`, `		if won, err := c.claim(keep, q.name(), "00000000-0000-0000-0000-000000000000-00000000000000000000000000000000"); err != nil || !won {
			return "", errors.Join(err, errUsed)
		}
		id, err := c.Receive(keep, in)
`,
		"TestErrorsOfTheRouter", "",
	},
	{
		"a task is told to its sender alone", "internal/channel/webhook/task.go",
		`mac.Write([]byte(sender + "\n" + id))`, `mac.Write([]byte(id))`,
		"TestTasks", "",
	},
	{
		"a task is told to who was given its id", "internal/channel/webhook/task.go",
		`err != nil || !hmac.Equal([]byte(want), []byte(seal)) {`, `err != nil || len(want) != len(seal) {`,
		"TestTasks", "",
	},
	{
		"a sender's words are not the owner's", "internal/channel/webhook/door.go",
		`	if q.sender.owner {`, `	if q.sender.owner || m.User == c.Owner {`,
		"TestWhoseWordsTheyAre", "",
	},
	{
		"what stands beside a webhook's message is nobody's words", "internal/channel/webhook/door.go",
		`Text: m.Text, Beside: m.beside(),`, `Text: m.Text + m.beside(),`,
		"TestWhoseWordsTheyAre", "",
	},
	{
		"a conversation of a webhook stays its sender's", "internal/channel/webhook/body.go",
		`conversationSigns = "-_.:@+="`, `conversationSigns = "-_.:@+=/"`,
		"TestBodies", "",
	},
	{
		"a key of a webhook's body stands there once", "internal/channel/webhook/body.go",
		`if seen[key] {`, `if false {`,
		"TestBodies", "",
	},
	{
		"replies to webhooks are redacted", "internal/channel/webhook/door.go",
		`Reply: c.Redactor.String(reply.Text)`, `Reply: reply.Text`,
		"TestRepliesAreRedacted", "",
	},
	{
		"an address for replies is judged when it is named", "internal/channel/webhook/door.go",
		`v.Decision != phantom.Allow {`, `v.Decision == phantom.Ask {`,
		"TestAddressesAreJudgedWhenTheyAreNamed", "",
	},
	{
		"an address for replies is judged when it is dialled", "internal/channel/webhook/webhook.go",
		`client: d.Web.Client(),`, `client: &http.Client{},`,
		"TestCallbacks", "",
	},
	{
		"an address for replies leads nowhere else", "internal/channel/webhook/webhook.go",
		`return http.ErrUseLastResponse }`, `return nil }`,
		"TestCallbacks", "",
	},
	{
		"an error of a callback holds nothing of its address", "internal/channel/webhook/callback.go",
		`			err = outer.Err
`, `			err = outer
`,
		"TestCallbacks", "",
	},
	{
		"on a surface that nobody knows no client is heard", "internal/app/clients.go",
		"	default:\n		return false", "	default:\n		return true",
		"TestHolders", "",
	},
	{
		"a sender of webhooks that is taken out gives no work", "internal/app/clients.go",
		`known := h.hooks.Enabled && slices`, `known := slices`,
		"TestHolders", "",
	},
	{
		"a sender of webhooks gives work and no more", "internal/app/clients.go",
		`return known && phantom.ScopeOperator.Includes(need)`, `return known && phantom.ScopeAdmin.Includes(need)`,
		"TestHolders", "",
	},
	{
		"what a client began by a webhook is never the owner's", "internal/app/channels.go",
		`mcpserver.Name, webhook.Name}`, `mcpserver.Name}`,
		"TestWebhookOff", "cmd/phantom",
	},
}

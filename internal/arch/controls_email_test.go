package arch

// emailControls are those of the owner's mail, and of the mail that the agent
// writes.
var emailControls = []sabotaged{
	{
		"only the receiving server's word counts", "internal/channel/email/vouch/vouch.go",
		`		if !names(server, id) {`, `		if id == "" {`,
		"TestJudge", "",
	},
	{
		"only the topmost word of the server counts", "internal/channel/email/vouch/vouch.go",
		`		return false, id + " does not say that DKIM, SPF or DMARC passes for " + domain
`, `		why = id + " does not say"
`,
		"TestJudge", "",
	},
	{
		"an unreadable word of the server is the last", "internal/channel/email/vouch/vouch.go",
		`			if id != "" && names(server, id) {`, `			if id == "" && names(server, id) {`,
		"TestJudge", "",
	},
	{
		"DMARC that fails outweighs the rest", "internal/channel/email/vouch/vouch.go",
		`r.method == "dmarc" && r.value == "fail"`, `r.method == "dmarc" && r.value == "failed"`,
		"TestJudge", "",
	},
	{
		"a signature is one of the author's domain", "internal/channel/email/vouch/vouch.go",
		`			return domainOf(d) == domain
`, `			return domainOf(d) != ""
`,
		"TestJudge", "",
	},
	{
		"an envelope is one of the author's domain", "internal/channel/email/vouch/vouch.go",
		`return domainOf(r.properties["smtp.mailfrom"]) == domain`, `return domainOf(r.properties["smtp.mailfrom"]) != ""`,
		"TestJudge", "",
	},
	{
		"DMARC is that of the author's domain", "internal/channel/email/vouch/vouch.go",
		`return domainOf(r.properties["header.from"]) == domain`, `return true`,
		"TestJudge", "",
	},
	{
		"a method that does not pass vouches for nothing", "internal/channel/email/vouch/vouch.go",
		`if r.value != "pass" || domain == "" {`, `if domain == "" {`,
		"TestJudge", "",
	},
	{
		"comments say nothing", "internal/channel/email/vouch/vouch.go",
		`		if s.next() != '(' {
			return true`, `		if s.next() != '(' || s.take('(') {
			return true`,
		"TestJudge", "",
	},
	{
		"what stands in quotes proves nothing", "internal/channel/email/vouch/vouch.go",
		`twice || !plain {`, `twice {`,
		"TestJudge", "",
	},
	{
		"a property that stands there twice proves nothing", "internal/channel/email/vouch/vouch.go",
		`twice || !plain {`, `!plain && !twice {`,
		"TestJudge", "",
	},
	{
		"nobody passes for the owner without the server's word", "internal/channel/email/header.go",
		`	case !l.verified:
		return "unverified:" + l.from.String()
`, ``,
		"TestStrangers", "",
	},
	{
		"a message has one author", "internal/channel/email/header.go",
		`len(from) != 1 || len(from[0]) > 2000`, `len(from) == 0 || len(from[0]) > 2000`,
		"TestStrangers", "",
	},
	{
		"mail to others is no order", "internal/channel/email/header.go",
		`	case !c.addressed(h):`, `	case !c.addressed(h) && false:`,
		"TestStrangers", "",
	},
	{
		"what machines send is passed over", "internal/channel/email/intake.go",
		`	if l.automatic != "" {`, `	if l.automatic == "never" {`,
		"TestAutomatic", "",
	},
	{
		"Phantom does not answer itself", "internal/channel/email/header.go",
		`	if l.from == c.own {`, `	if l.from.local == "" && l.from == c.own {`,
		"TestAutomatic", "",
	},
	{
		"of strangers' mail only the header is read", "internal/channel/email/intake.go",
		`	if sender != c.Owner {`, `	if sender != c.Owner && l.verified {`,
		"TestStrangers", "",
	},
	{
		"quoted words are not the owner's", "internal/channel/email/intake.go",
		`	own, rest := quote.Split(body.text)`, `	_, rest := quote.Split(body.text)
	own := strings.TrimSpace(body.text)`,
		"TestOwnersMail", "",
	},
	{
		"a yes is the whole first line", "internal/channel/email/intake.go",
		`^[*_ ]*(approve|deny)`, `^[*_ ]*(?:.*)(approve|deny)`,
		"TestOwnersMail", "",
	},
	{
		"an answer to a question counts once", "internal/channel/email/intake.go",
		`	if err != nil || found {
		return err`, `	if err != nil || found && in.Question == 0 {
		return err`,
		"TestOnePress", "",
	},
	{
		"a message is seen when it is committed", "internal/channel/email/listen.go",
		`		if err := c.take(ctx, e, receive); err != nil {
			return err`, `		if err := c.take(ctx, e, receive); err != nil && ctx.Err() != nil {
			return err`,
		"TestSeenWhenCommitted", "",
	},
	{
		"nothing is said to an IMAP server without TLS", "internal/channel/email/listen.go",
		`	client, err := imapclient.NewStartTLS(conn, options)
`, `	client, err := imapclient.New(conn, options), error(nil)
`,
		"TestTLS", "",
	},
	{
		"nothing is said to an SMTP server without TLS", "internal/channel/email/send.go",
		`mail.WithTLSPolicy(mail.TLSMandatory)`, `mail.WithTLSPolicy(mail.TLSOpportunistic)`,
		"TestTLS", "",
	},
	{
		"a certificate is one of the roots'", "internal/channel/email/dial.go",
		`RootCAs: roots,`, `RootCAs: roots, InsecureSkipVerify: true,`,
		"TestTLS", "",
	},
	{
		"messages are bounded", "internal/channel/email/intake.go",
		`	if e.size > maxMessage {`, `	if e.size > 2*maxMessage {`,
		"TestWhatCannotBeTaken", "",
	},
	{
		"parts are bounded", "internal/channel/email/body.go",
		`c.parts > maxParts || depth > maxDepth`, `c.parts > 100*maxParts || depth > 100*maxDepth`,
		"TestBounds", "",
	},
	{
		"attachments are bounded", "internal/channel/email/body.go",
		`	case len(data) > maxAttachment:`, `	case len(data) > 2*maxAttachment:`,
		"TestReadBody", "",
	},
	{
		"what was sent is not sent again", "internal/channel/email/compose.go",
		`	if strings.HasSuffix(value, sentMark) {
		return nil, nil`, `	if strings.HasPrefix(value, sentMark) {
		return nil, nil`,
		"TestSentOnce", "",
	},
	{
		"nothing that is kept ends a header", "internal/channel/email/compose.go",
		`	if ids := messageIDs(bracketed([]string{t.ID})); len(ids) == 1 {
		clean.ID = ids[0]
	}`, `	clean.ID = t.ID`,
		"TestAnswers", "",
	},
	{
		"pictures are not fetched", "internal/channel/email/compose.go",
		`	r.Register(ast.KindImage,`, `	r.Register(ast.KindTextBlock,`,
		"TestAnswers", "",
	},
	{
		"the agent writes only to whom the owner allows", "internal/channel/email/send.go",
		`		if !c.Allows(to) {`, `		if !c.Allows(to) && to == "" {`,
		"TestSend", "",
	},
	{
		"the agent writes so often a day", "internal/channel/email/send.go",
		`	if sent+n > c.PerDay {`, `	if sent+n > 10*c.PerDay {`,
		"TestSend", "",
	},
	{
		"a clock that is set back begins no new day", "internal/channel/email/send.go",
		`		if day >= today {`, `		if day == today {`,
		"TestCount", "",
	},
	{
		"the tool writes only to whom the owner allows", "internal/tool/mail.go",
		`		if !c.Mail.Allows(address) {`, `		if !c.Mail.Allows(address) && address == "" {`,
		"TestSendEmail", "",
	},
	{
		"only work for the owner sends mail", "internal/tool/mail.go",
		`.Kind != phantom.KindOwner {`, `.Kind == 0 {`,
		"TestSendEmail", "",
	},
	{
		"mail beside untrusted text asks, and no secret leaves in one", "internal/tool/mail.go",
		`		c.outward(&p, read, input, "whoever gets the email", "sends it away")
`, `		_, _ = read, input
`,
		"TestEmailBesideUntrustedText", "",
	},
	{
		"a secret in a subject is not kept", "internal/channel/email/header.go",
		`c.Redactor.String(oneLine(decoded(h.Get("Subject")), maxSubject))`, `oneLine(decoded(h.Get("Subject")), maxSubject)`,
		"TestSecretInASubject", "",
	},
}

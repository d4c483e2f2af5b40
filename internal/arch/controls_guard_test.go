package arch

// chainControls are those that a call of a tool meets.
var chainControls = []sabotaged{
	{
		"no call without an intent", "internal/tool/chain.go",
		`intent, err := c.Audit.Intent(ctx, k.entry)
	if err != nil {
		return phantom.ToolResult{}, err
	}
	k.emit`,
		`intent, _ := c.Audit.Intent(ctx, k.entry)
	k.emit`,
		"TestNoIntentNoAction", "",
	},
	{
		"only the owner's turns use tools", "internal/tool/chain.go",
		`if !c.mayUse(principal) {`,
		`if false {`,
		"TestRefusals", "",
	},
	{
		"a client's turn uses tools as long as its token lasts", "internal/tool/chain.go",
		`c.Clients != nil && c.Clients.Holds(p.Surface, p.Name, phantom.ScopeOperator)`,
		`c.Clients != nil`,
		"TestClientsTurns", "",
	},
	{
		"what is blocked does not run", "internal/tool/chain.go",
		`return c.refuse(ctx, k, blocked(p.verdict))`,
		``,
		"TestRefusals|TestUnknownToolName|TestFileToolsRefuse", "",
	},
	{
		"what asks waits for a yes", "internal/tool/chain.go",
		`if refused, err := c.approve(ctx, k); err != nil || refused != "" {`,
		`if refused, err := c.approve(ctx, k); err != nil && refused != "" {`,
		"TestApproval", "",
	},
	{
		"what was approved is what runs", "internal/tool/chain.go",
		`if err != nil || !p.covers(again) {`,
		`if err != nil {`,
		"TestApprovalOfAnExchangedDirectory", "",
	},
	{
		"results are redacted", "internal/tool/chain.go",
		`text := c.Redactor.String(strings.ToValidUTF8(out.text, "\uFFFD"))`,
		`text := strings.ToValidUTF8(out.text, "\uFFFD")`,
		"TestNothingShowsASecret", "",
	},
	{
		"untrusted text raises an action to a question", "internal/tool/taint.go",
		`return phantom.Verdict{Decision: phantom.Ask, Rule: ruleTaint,`,
		`return phantom.Verdict{Decision: phantom.Allow, Rule: ruleTaint,`,
		"TestReachOfCommands", "",
	},
	{
		"beside untrusted text a command has no network", "internal/tool/bash.go",
		`		o.network = false
		o.withheld =`,
		`		o.withheld =`,
		"TestReachOfCommands", "",
	},
	{
		"beside untrusted text no address is made up", "internal/tool/taint.go",
		`if !link.In(address, r.Pages) {`,
		`if false {`,
		"TestAddressesUnderTaint", "",
	},
	{
		"links are followed so often", "internal/tool/taint.go",
		`n > maxFollowed {`,
		`n > maxFollowed<<20 {`,
		"TestFollowedLinksEnd", "",
	},
	{
		"no address holds a secret", "internal/tool/taint.go",
		`if c.Redactor.String(address) != address {`,
		`if address == "" {`,
		"TestAddressWithASecret", "",
	},
	{
		"a lent secret asks", "internal/tool/secrets.go",
		`p.verdict = phantom.Verdict{Decision: phantom.Ask, Rule: ruleSecret,`,
		`p.verdict = phantom.Verdict{Decision: phantom.Allow, Rule: ruleSecret,`,
		"TestBashSecrets", "",
	},
	{
		"a secret steers no program", "internal/tool/secrets.go",
		`|| steering.MatchString(variable) {`,
		`|| steering == nil {`,
		"TestBashSecretsRefused", "",
	},
	{
		"headers with secrets go over https", "internal/tool/secrets.go",
		`if err != nil || to.Scheme != "https" {`,
		`if err != nil {`,
		"TestFetchHeaders", "",
	},
	{
		"a result keeps its taint", "internal/agent/taint.go",
		`t = t.Add(p.Result.Taint...)`,
		``,
		"TestTaintOfContext", "",
	},
	{
		"a memory keeps its taint", "internal/tool/recall.go",
		`item.Taint, item.Source = read.Taint,`,
		`item.Taint, item.Source = nil,`,
		"TestRememberedTaint", "",
	},
	{
		"file tools keep out of protected places", "internal/policy/path.go",
		`if place.Within(p.cfg.Protected, path) && (write || !place.Within(p.cfg.Readable, path)) {`,
		`if write && false {`,
		"TestPathGuard", "",
	},
	{
		"file tools stay in the workspace", "internal/policy/path.go",
		`return refuse("path-outside",`,
		`return phantom.Allowed()
	return refuse("path-outside",`,
		"TestPathGuard", "",
	},
	{
		"where a path leads is judged", "internal/policy/path.go",
		`for _, at := range []string{path, filepath.Clean(real)} {`,
		`for _, at := range []string{path, path} {
		_ = real`,
		"TestPathGuard", "",
	},
	{
		"critical rules cannot be lowered", "internal/policy/policy.go",
		`case to == "ask" && r.severity == critical:`,
		`case to == "" && r.severity == critical:`,
		"TestOwnerSettings", "",
	},
	{
		"a pause shows no part of a value of many lines", "internal/secret/stream.go",
		`min(openBlock(held, s.at.armour), f.known.unfinished(s.text, s.done, end)-s.done)`,
		`min(openBlock(held, s.at.armour), max(len(held), f.reach*0))`,
		"TestFlushHidesNothing|TestFlushWords", "",
	},
	{
		"a pause shows no part of a key", "internal/secret/stream.go",
		`min(openBlock(held, s.at.armour), f.known`,
		`min(len(held), f.known`,
		"TestFlush|TestFlushWords", "",
	},
	{
		"a line that names a secret is shown whole", "internal/secret/stream.go",
		`names(s.text[line:]) {`,
		`names(nil) {`,
		"TestFlushHidesNothing|TestFlushWords", "",
	},
	{
		"what streams is redacted", "internal/agent/loop.go",
		`}, show.event)`,
		`}, show.show)`,
		"TestSecretsStayInside", "cmd/phantom",
	},
	{
		"what streams waits for its words", "internal/agent/live.go",
		`_ = l.text.FlushWords()`,
		`_ = l.text.Close()`,
		"TestLiveShowsNoSecret", "",
	},
	{
		"errors of commands are redacted", "cmd/phantom/main.go",
		`printable(secret.NewRedactor().String(err.Error()))`,
		`printable(secret.New(err.Error()).Reveal())`,
		"TestErrorsOfCommandsShowNoSecret", "",
	},
	{
		"the first answer wins", "internal/approval/approval.go",
		"columns+`WHERE number = ? AND state = 'pending'`, number",
		"columns+`WHERE number = ?`, number",
		"TestFirstAnswerWins", "cmd/phantom",
	},
	{
		"a turn that waits gives up its place", "internal/router/mailbox.go",
		`				s.give()
				return nil`,
		`				return nil`,
		"TestWaitingTurnGivesUpItsPlace", "cmd/phantom",
	},
	{
		"a restart keeps the deadline of a question", "internal/approval/approval.go",
		`same = first == digest
			return nil`,
		`same = first == digest
			q.Expires = now.Add(Expiry)
			return nil`,
		"TestQuestionOutlivesTheProcess", "cmd/phantom",
	},
	{
		"a secret value never prints", "internal/secret/value.go",
		`func (Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }`,
		`func (v Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(v.Reveal())) }`,
		"TestValueNeverPrints", "",
	},
}

// vaultControls guard stored secrets.
var vaultControls = []sabotaged{
	{
		"a sealed value opens only as itself", "internal/vault/row.go",
		`for _, part := range append([]string{r.name}, r.hosts...) {`,
		`for _, part := range []string(nil) {`,
		"TestRowOpensOnlyAsItself", "",
	},
	{
		"rows are sealed together", "internal/vault/row.go",
		`mac.Write(bound[:])
		mac.Write(sealed[:])`,
		`_, _ = bound, sealed`,
		"TestTamperedRows", "",
	},
	{
		"nothing is written over rows of another hand", "internal/vault/vault.go",
		`if err := unchanged(keys, rows, sum, next); err != nil {`,
		`if err := unchanged(keys, rows, sum, next); err == nil && keys == nil {`,
		"TestTamperedRows", "",
	},
	{
		"every sealing has a nonce of its own", "internal/vault/row.go",
		`rand.Read(nonce) // never fails: the runtime ends the process instead`,
		`if r.keyID != "" {
		rand.Read(nonce)
	}`,
		"TestNoncesDiffer", "",
	},
	{
		"a link works once", "internal/vault/link.go",
		`case used.Valid:`,
		`case false:`,
		"TestOneWinner", "",
	},
	{
		"a new link ends the one before", "internal/vault/link.go",
		`UPDATE secret_links SET token = ?, expires_at = ? WHERE token = ?`,
		`INSERT INTO secret_links SELECT ?, fields, reason, conversation, turn, created_at, ?, used_at FROM secret_links WHERE token = ?`,
		"TestRequestAgain", "",
	},
	{
		"a link expires", "internal/vault/link.go",
		`case !time.Now().Before(f.Expires):`,
		`case f.Expires.IsZero():`,
		"TestLinkExpires", "",
	},
	{
		"a link asks for what it says", "internal/vault/link.go",
		`if len(values) != len(f.Fields) {`,
		`if len(values) < len(f.Fields) {`,
		"TestCollect|TestLinksThatAreNone|TestRequestsThatAreRefused", "",
	},
	{
		"only a digest of a link is kept", "internal/vault/link.go",
		`return hex.EncodeToString(sum[:])`,
		`_ = hex.EncodeToString(sum[:])
	return token`,
		"TestCollect", "",
	},
	{
		"the form knows its hosts", "internal/httpserver/collect/collect.go",
		`if !known {`,
		`if false {`,
		"TestRefused", "",
	},
	{
		"foreign pages send nothing", "internal/httpserver/httpserver.go",
		`http.NewCrossOriginProtection().Handler(mux)`,
		`http.Handler(mux)`,
		"TestBadRequests", "",
	},
	{
		"the page loads nothing from elsewhere", "internal/httpserver/collect/collect.go",
		`return "default-src 'none'; style-src "`,
		`return "style-src "`,
		"TestHeaders", "",
	},
	{
		"reading the page uses nothing up", "internal/httpserver/collect/collect.go",
		`write(w, http.StatusOK, page(asked, ""))`,
		`_ = f.Vault.Collect(r.Context(), r.PathValue("token"), map[string]secret.Value{asked.Fields[0].Name: secret.New("previewed value")})
	write(w, http.StatusOK, page(asked, ""))`,
		"TestOnceAndOnlyBySending", "",
	},
}

// auditControls keep the record honest.
var auditControls = []sabotaged{
	{
		"a hash of the tree is what was signed", "internal/audit/verify.go",
		`if !slices.Equal(stored[:len(hashes)], hashes) {`,
		`if slices.Equal(stored, nil) {`,
		"TestTampering", "",
	},
	{
		"a cut or longer log is seen", "internal/audit/verify.go",
		`if err := sameEnd(signed.Size, v.rows, v.hashes); err != nil {`,
		`if err := error(nil); err != nil {`,
		"TestTampering", "",
	},
	{
		"a start reads the last rows", "internal/audit/open.go",
		`if at >= int64(len(p.stored)) || leaf.hash != p.stored[at] {`,
		`if at < 0 {`,
		"TestStartRefuses", "",
	},
	{
		"a database that was put back is seen", "internal/audit/open.go",
		`if newest.Size > l.tree.size {`,
		`if newest.Size > l.tree.size {
		return nil
	}
	if newest.Size < 0 {`,
		"TestStartRefuses", "",
	},
	{
		"the list of open intents is not believed", "internal/audit/audit.go",
		`AND kind = 'intent' AND NOT EXISTS (SELECT 1 FROM audit_log AS o WHERE o.intent = a.seq) ORDER BY seq`,
		`ORDER BY seq`,
		"TestOpenListIsNotBelieved", "",
	},
	{
		"a verification sees one moment", "internal/audit/verify.go",
		`readPage(ctx, view, from, to)`,
		`readPage(ctx, v.db, from, to)`,
		"TestVerifyBesideRetention", "",
	},
	{
		"a log whose signatures were all removed is not signed again", "internal/audit/open.go",
		`if rows > 0 && !l.deps.NewKey {`,
		`if rows < 0 {`,
		"TestStartRefuses", "",
	},
	{
		"only a key that was made now is a new one", "internal/app/key.go",
		`return key, false, err`,
		`return key, err == nil, err`,
		"TestLogWithoutSignaturesIsRefused", "cmd/phantom",
	},
	{
		"a closed log takes no row", "internal/audit/commit.go",
		`if l.closed {
		return errClosed`,
		`if false {
		return errClosed`,
		"TestRefusedWrites", "",
	},
	{
		"a group that fails fails each of its members", "internal/audit/commit.go",
		`b.done <- err
		}
	}()`,
		`b.done <- func(error) error { return nil }(err)
		}
	}()`,
		"TestGroupFails", "",
	},
	{
		"a flood has one row a minute", "internal/audit/flood/flood.go",
		`case now.Sub(known.since) < window:
		known.more++`,
		`case now.IsZero():
		known.more++`,
		"TestFloodByMinute", "",
	},
}

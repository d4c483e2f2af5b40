package arch

import "slices"

// controls are the security controls and the tests that fail without them.
var controls = slices.Concat(doorControls, mcpControls, accessControls, taskControls, chainControls, taintControls, dynamicControls, remoteControls, memoryControls, rememberControls, vaultControls, auditControls, channelControls, emailControls, telegramControls, slackControls, webhookControls, evolutionControls)

var doorControls = []sabotaged{
	// Who is heard.
	{
		"only the owner is heard", "internal/router/inbox.go",
		`&& in.Sender == r.Owners[channel]`, ``,
		"TestStrangerIsRefusedAndAudited", "",
	},
	{
		"only messages are heard", "internal/router/inbox.go",
		`|| !known(in.Kind)`, ``,
		"TestStrangerIsRefusedAndAudited", "",
	},
	{
		"a client is heard in its own conversations only", "internal/router/inbox.go",
		`in.Conversation.Client() == in.Sender && r.holds`, `r.holds`,
		"TestClientsAreAdmitted", "",
	},
	{
		"a client is heard only with a token that holds", "internal/router/inbox.go",
		`r.Clients != nil && r.Clients.Holds(channel, client, phantom.ScopeOperator)`, `r.Clients != nil`,
		"TestClientsAreAdmitted", "",
	},
	{
		"a client's turn is not the owner's", "internal/router/mailbox.go",
		`if client := r.clientOf(conversation); client != "" {`, `if client := r.clientOf(conversation); client == "-" {`,
		"TestClientsTurnIsTheClients", "",
	},
	{
		"nothing is done for a client whose token was taken back", "internal/router/mailbox.go",
		`&& !r.holds(m.conversation.Channel(), client) {`, `&& client == "-" {`,
		"TestRevokedClientIsNotWorkedFor", "",
	},
	{
		"stop words act outside the model", "internal/router/inbox.go",
		`case "stop", "/stop", "cancel":`, `case "":`,
		"TestStop", "",
	},
	{
		"no reply leaves without a record", "internal/router/outbox.go",
		`return idleScan, err // what cannot be recorded is not sent; it stays queued`, `intent, err = audit.Intent{}, nil`,
		"TestDeliveriesAreAudited", "",
	},
	{
		"replies are redacted", "internal/router/outbox.go",
		`r.Redactor.String(p.text)`, `p.text`,
		"TestDeliveriesAreAudited", "",
	},
	{
		"a caller proves that it can read the key", "internal/control/handshake.go",
		`if !hmac.Equal(proof, prove(key, other, theirs, mine)) {`, `if len(proof) == 0 || other == "" {`,
		"TestCallersWithoutTheKey", "",
	},

	// Approvals.
	{
		"only the owner decides", "internal/approval/approval.go",
		"if p.Kind != phantom.KindOwner {\n\t\treturn Question{}, ErrNotOwner", "if false {\n\t\treturn Question{}, ErrNotOwner",
		"TestAsk.*", "",
	},
	{
		"without an owner nobody says yes", "internal/approval/approval.go",
		`if p := phantom.PrincipalFrom(ctx); p.Kind != phantom.KindOwner {`, `if false {`,
		"TestAskRefuses", "",
	},
	{
		"an approval is for one exact action", "internal/approval/approval.go",
		`same = first == digest`, `same = first != ""`,
		"TestAsk.*", "",
	},
	{
		"an approval holds once", "internal/approval/approval.go",
		`answer.Approved, next = true, "used"`, `answer.Approved, next = true, ""`,
		"TestAsk.*", "",
	},
	{
		"an approval expires", "internal/approval/approval.go",
		`case state == "approved" && time.Now().Before(phantom.FromMicros(expires)):`, `case state == "approved" && expires > 0:`,
		"TestStaleYes", "",
	},

	// Addresses that others chose.
	{
		"an address is judged when it is dialled", "internal/netguard/netguard.go",
		`ControlContext: g.control,`, `ControlContext: func(context.Context, string, string, syscall.RawConn) error { return nil },`,
		"TestRebinding", "",
	},
	{
		"special blocks are refused", "internal/netguard/addr.go",
		`if b.prefix.Contains(addr) {`, `if false {`,
		"TestAddressBlocks", "",
	},
	{
		"metadata services are refused", "internal/netguard/addr.go",
		`{netip.MustParsePrefix("168.63.129.16/32"), ruleMetadata, "the metadata service of Azure"},`, ``,
		"TestAddress.*", "",
	},
	{
		"only public IPv6 is reached", "internal/netguard/addr.go",
		`if !global.Contains(addr) {`, `if false {`,
		"TestAddress.*", "",
	},
	{
		"embedded IPv4 is refused", "internal/netguard/addr.go",
		`if isatap(addr) {`, `if false {`,
		"TestAddress", "",
	},
	{
		"own addresses are refused", "internal/netguard/addr.go",
		`if prefix.Addr() == addr {`, `if !prefix.IsValid() {`,
		"TestOwnAddresses", "",
	},
	{
		"redirects are counted", "internal/netguard/transport.go",
		`len(via) > maxRedirects`, `false`,
		"TestRedirects", "",
	},
	{
		"no redirect leads from https to http", "internal/netguard/transport.go",
		`via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https"`, `false`,
		"TestRedirectFromTLS", "",
	},
	{
		"credentials do not follow a redirect", "internal/netguard/transport.go",
		`if !slices.Contains(portable[:], name) {`, `if name == "" {`,
		"TestRedirects", "",
	},
	{
		"answers are bounded", "internal/netguard/transport.go",
		`resp.Body = &capped{body: resp.Body, host: to.host, left: maxBody, limit: maxBody}`, ``,
		"TestGet", "",
	},
	{
		"no proxy of the environment", "internal/netguard/transport.go",
		`ForceAttemptHTTP2:      true,`, `ForceAttemptHTTP2:      true, Proxy: http.ProxyFromEnvironment,`,
		"TestProxyOfEnvironmentIsIgnored", "",
	},
	{
		"URL rules hold", "internal/netguard/transport.go",
		`req.URL, req.Host = to.url, to.url.Host`, ``,
		"TestGet|TestURL|TestNothingLeaves|TestNameIsAbsolute|TestRedirects", "",
	},

	// Configuration, prompt, money, files.
	{
		"secrets that others can read are refused", "internal/config/disk/disk.go",
		`mode.Perm()&forbidden != 0`, `false`,
		"TestLoosePermissionsAreRefused", "internal/config",
	},
	{
		"data stays in its frame", "internal/prompt/prompt.go",
		`return frameMark.ReplaceAllString(text, "<\u200b$1")`, `return text`,
		"TestDataCannotLeaveItsFrame", "",
	},
	{
		"no prompt without the constitution", "internal/prompt/prompt.go",
		`return "", fmt.Errorf("the constitution`, `_ = fmt.Errorf("the constitution`,
		"TestBuildNeedsTheConstitution", "",
	},
	{
		"spending ends at the ceiling", "internal/spend/spend.go",
		`if least > left {`, "if least > left {\n\t\t\treturn least, nil\n\t\t}\n\t\tif false {",
		"TestCeilings", "",
	},
	{
		"a model without a price is refused", "internal/spend/spend.go",
		`if err != nil {
			yield(llm.Event{}, err)
			return
		}
		var done`, `if _, priced := errors.AsType[*CeilingError](err); priced {
			yield(llm.Event{}, err)
			return
		}
		var done`,
		"TestUnpricedModelIsRefused", "",
	},
}

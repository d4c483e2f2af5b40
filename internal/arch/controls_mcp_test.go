package arch

// mcpControls are those of the door for other agents.
var mcpControls = []sabotaged{
	{
		"a foreign host is refused over MCP", "internal/mcpserver/door.go",
		`case !s.places.host(r.Host):`, `case r.Host == "":`,
		"TestOrderOfChecks", "",
	},
	{
		"a page of another origin is refused over MCP", "internal/mcpserver/door.go",
		`case !s.places.origin(r.Header):`, `case r.Host == "":`,
		"TestForeignOriginsAreOurs", "",
	},
	{
		"the word for a source counts only behind a proxy", "internal/mcpserver/source.go",
		`if !p.proxied || !from.IsLoopback() || len(said) == 0 {`, `if len(said) == 0 {`,
		"TestSource", "",
	},
	{
		"who fails is limited by source", "internal/mcpserver/door.go",
		`		s.Clients.Fail(from)
`, ``,
		"TestGuessing", "",
	},
	{
		"nobody comes in over MCP without a token", "internal/mcpserver/door.go",
		`client, err := access.Client{}, access.ErrNoToken`, `client, err := access.Client{Name: "x", Scope: 3}, error(nil)`,
		"TestOrderOfChecks", "",
	},
	{
		"a token that stands there twice is none", "internal/mcpserver/door.go",
		`err = fmt.Errorf("%w: the header stands there twice", access.ErrRefused)`, `client, err = s.Clients.Authenticate(r.Context(), header[0], from)`,
		"TestOrderOfChecks", "",
	},
	{
		"a client's requests are limited", "internal/mcpserver/door.go",
		`if wait, ok := s.Clients.Take(client.Name, 1); !ok {`, `if wait, ok := s.Clients.Take(client.Name, 1); !ok && wait < 0 {`,
		"TestRateLimit", "",
	},
	{
		"each message of a batch is charged", "internal/mcpserver/dispatch.go",
		`first := x.seen.Add(1) == 1; !first {`, `first := x.seen.Add(1) > 0; !first {`,
		"TestBatchesAreCharged", "",
	},
	{
		"a call needs its scope", "internal/mcpserver/scope.go",
		`case !c.Scope.Includes(need):`, `case need == phantom.NoScope:`,
		"TestMatrix", "",
	},
	{
		"an unknown method or tool needs the highest scope", "internal/mcpserver/scope.go",
		"	return phantom.ScopeAdmin\n}\n\n// sees", "	return phantom.ScopeRead\n}\n\n// sees",
		"TestForgottenEntriesRefuse", "",
	},
	{
		"a tool without an entry needs the highest scope", "internal/mcpserver/scope.go",
		"		return phantom.ScopeOperator\n	}\n	return phantom.ScopeAdmin", "		return phantom.ScopeOperator\n	}\n	return phantom.ScopeRead",
		"TestForgottenEntriesRefuse", "",
	},
	{
		"a dynamic tool needs the operator's scope", "internal/mcpserver/scope.go",
		`		return phantom.ScopeOperator
	}
	return phantom.ScopeAdmin`, `		return phantom.ScopeRead
	}
	return phantom.ScopeAdmin`,
		"TestMatrix", "",
	},
	{
		"a list shows only what may be called", "internal/mcpserver/dispatch.go",
		`return !s.scopes.sees(c, t.Name)`, `return t.Name == ""`,
		"TestListsShowWhatMayBeCalled", "",
	},
	{
		"a token for certain tools calls no other", "internal/mcpserver/scope.go",
		`return c.Tools == nil || slices.Contains(c.Tools, tool)`, `return true`,
		"TestTokensForTools", "",
	},
	{
		"nor reads what they show elsewhere", "internal/mcpserver/scope.go",
		`case c.Tools != nil && slices.Contains(beyondTools, method):`, `case c.Tools != nil && method == "":`,
		"TestTokensForTools", "",
	},
	{
		"a session is its client's", "internal/mcpserver/session.go",
		`if found == nil || found.client != client {`, `if found == nil {`,
		"TestSessionsBelongToClients", "",
	},
	{
		"a revoked client's sessions end", "internal/mcpserver/session.go",
		`case revoked[found.client]:`, `case found.client == "":`,
		"TestRevocationEndsEverything", "",
	},
	{
		"a revoked client's calls end", "internal/mcpserver/session.go",
		`if same, _ := stands(w.client); !same {`, `if same, _ := stands(w.client); !same && w == nil {`,
		"TestRevokedStreamsEnd", "",
	},
	{
		"idle sessions end", "internal/mcpserver/session.go",
		`case found.open == 0 && now.Sub(found.last) >= idleLimit:`, `case found.open < 0:`,
		"TestIdleSessionsEnd", "",
	},
	{
		"a client's sessions are limited", "internal/mcpserver/session.go",
		`if c.sessions >= maxSessions {`, `if c.sessions < 0 {`,
		"TestSessionsAreLimited", "",
	},
	{
		"no session stays behind that the door does not know", "internal/mcpserver/door.go",
		`_ = ended.server.Close()`, `_ = ended`,
		"TestNoSessionIsLeftBehind", "",
	},
	{
		"a client's requests under way are limited", "internal/mcpserver/session.go",
		`case !w.call && c.requests >= maxRequests:`, `case c.requests < 0:`,
		"TestStreamsAreLimited", "",
	},
	{
		"a session speaks one revision", "internal/mcpserver/door.go",
		`		r.Header.Set(versionHeader, version)
`, `		_ = version
`,
		"TestBatches", "",
	},
	{
		"a body that is too long is not read", "internal/mcpserver/door.go",
		`	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
`, ``,
		"TestTheDoorHasItsOwnLimit", "",
	},
	{
		"no message is served without its record", "internal/mcpserver/dispatch.go",
		"	intent, err := s.Audit.Intent(ctx, e)\n	if err != nil {", "	intent, err := s.Audit.Intent(ctx, e)\n	if err == context.Canceled {",
		"TestNothingWithoutTheLog", "",
	},
	{
		"a refused message is on record", "internal/mcpserver/dispatch.go",
		`if err := s.Audit.Refuse(ctx, e, why); err != nil {`, `if err := error(nil); err != nil {`,
		"TestMatrix", "",
	},
	{
		"a message that was not understood is on record", "internal/mcpserver/door.go",
		`if err := s.Audit.Refuse(context.WithoutCancel(ctx), e, fmt.Sprintf("%d: %s", a.status, cmp.Or(a.text, "not served"))); err != nil {`, `if err := error(nil); err != nil && cmp.Or(true) {`,
		"TestBadInput", "",
	},
	{
		"a call before initialize is on record", "internal/mcpserver/door.go",
		`a.form == held || a.status == http.StatusOK && ctx.Err() == nil`, `a.form == held`,
		"TestWhatIsNotServedIsOnRecord", "",
	},
	{
		"a failing tool is a failure on record", "internal/mcpserver/dispatch.go",
		`ok && r.IsError {`, `ok && r == nil {`,
		"TestArgumentsAreJudged", "",
	},
	{
		"results of calls are redacted", "internal/mcpserver/clean.go",
		`		return s.cleanCall(r)
`, `		return nil
`,
		"TestEverythingAnswers", "",
	},
	{
		"resources are redacted", "internal/mcpserver/clean.go",
		`c.Text = s.Redactor.String(c.Text)
		}
	case *mcp.GetPromptResult:`, `_ = c
		}
	case *mcp.GetPromptResult:`,
		"TestEverythingAnswers", "",
	},
	{
		"what is shown meanwhile is redacted", "internal/mcpserver/offer/ask.go",
		`	text = s.offer.Redactor.String(text)
`, ``,
		"TestAsk", "internal/mcpserver",
	},
	{
		"what a client says of its tool is redacted", "internal/mcpserver/offer/dynamic.go",
		`Description: o.Redactor.String(t.Description)`, `Description: t.Description`,
		"TestDynamicTools", "internal/mcpserver",
	},
	{
		"a memory says whose words it is", "internal/mcpserver/offer/look.go",
		`!i.Provenance.Trusted() || !i.Taint.Clean()`, `false`,
		"TestMemoriesAreData", "internal/mcpserver",
	},
	{
		"a panic of a tool stays inside", "internal/mcpserver/dispatch.go",
		`if p := recover(); p != nil {`, `if p := error(nil); p != nil {`,
		"TestPanicsStayInside", "",
	},
	{
		"a panic of what is watched stays inside", "internal/mcpserver/watch.go",
		`defer s.contain(ctx, func(failure error) { err = failure })`, `_ = s.contain`,
		"TestWatchingHoldsNothingUp", "",
	},
	{
		"watching holds up no revocation", "internal/mcpserver/mcpserver.go",
		`beside.Go(func() { s.watch(ctx) })`, `s.watch(ctx)`,
		"TestWatchingHoldsNothingUp", "",
	},
	{
		"a schema of a client does not bring the door down", "internal/mcpserver/offer/dynamic.go",
		`if p := recover(); p != nil {`, `if p := error(nil); p != nil {`,
		"TestHostileSchemas", "internal/mcpserver",
	},
	{
		"a list has no cursor that a client could forge", "internal/mcpserver/dispatch.go",
		`	if cursor(req) {`, `	if cursor(nil) {`,
		"TestCursorsAreRefused", "",
	},
	{
		"what a token brought ends with it", "internal/mcpserver/session.go",
		`if same, _ := stands(w.client); !same {`, `if _, known := stands(w.client); !known {`,
		"TestWhatAnOldTokenBroughtEnds", "",
	},
}

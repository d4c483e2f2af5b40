package arch

// accessControls are those of clients' tokens.
var accessControls = []sabotaged{
	{
		"a token that nobody has lets nobody in", "internal/access/access.go",
		`subtle.ConstantTimeCompare(digest[:], t.tokens[i].digest[:])`, `subtle.ConstantTimeCompare(digest[:0], t.tokens[i].digest[:0])`,
		"TestWhoIsLetIn", "",
	},
	{
		"a token expires", "internal/access/access.go",
		`case found.client.expired(now):`, `case now.IsZero():`,
		"TestExpiryIsExact", "",
	},
	{
		"a client whose tokens expired is not known", "internal/access/access.go",
		`c.Name != name || c.expired(now)`, `c.Name != name`,
		"TestExpiryIsExact", "",
	},
	{
		"a token holds in its networks only", "internal/access/access.go",
		`case !found.client.allows(from):`, `case now.IsZero():`,
		"TestWhoIsLetIn", "",
	},
	{
		"only a bearer scheme carries a token", "internal/access/access.go",
		`if !strings.EqualFold(scheme, "bearer") {`, `if scheme == "" {`,
		"TestWhoIsLetIn", "",
	},
	{
		"nobody is let in while the file is damaged", "internal/access/access.go",
		`r.table = &table{} // nobody`, ``,
		"TestTheFileIsObeyedWhileItChanges", "",
	},
	{
		"a change of the file is obeyed", "internal/access/access.go",
		`since >= 0 && since < recheck {`, `since < since+recheck {`,
		"TestTheFileIsObeyedWhileItChanges", "",
	},
	{
		"a change in one tick of the clock is seen", "internal/access/access.go",
		`if err == nil && now.Sub(info.ModTime()) > settle {`, `if err == nil {`,
		"TestAChangeInTheSameTickIsSeen", "",
	},
	{
		"a scope includes what is below it and no more", "internal/access/access.go",
		`return ok && c.Scope.Includes(need)`, `return ok && (c.Scope.Includes(need) || need > 0)`,
		"TestTheFileIsObeyedWhileItChanges", "",
	},
	{
		"a client has its bucket only", "internal/access/limit.go",
		`if l.AllowN(now, n) {`, `if l.AllowN(now, n) || n == 1 {`,
		"TestTraceOfAClient", "",
	},
	{
		"a bucket outlives its token", "internal/access/limit.go",
		`if !named[name] && l.TokensAt(now) >= float64(l.Burst()) {`, `if !named[name] {`,
		"TestNothingRefillsABucket", "",
	},
	{
		"a source that fails is shut out", "internal/access/limit.go",
		`if l == nil || l.TokensAt(now) >= 1 {`, `if l == nil || l.Burst() > 0 {`,
		"TestTraceOfASource", "",
	},
	{
		"a crowd makes no source be forgotten", "internal/access/limit.go",
		`if limiterOf(oldest).TokensAt(now) < failBurst {`, `if limiterOf(oldest) == nil {`,
		"TestACrowdOfSources", "",
	},
	{
		"only the owner changes tokens", "internal/access/issue.go",
		`if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {`, `if phantom.PrincipalFrom(ctx).Kind == phantom.KindStranger {`,
		"TestWhoMayChangeTokens", "",
	},
	{
		"no token is made without a record", "internal/access/issue.go",
		`return i.deps.Recorder.Record(ctx, method, target, func(ctx context.Context) error {
		return config.EditMCP(ctx, i.deps.File, decide)
	})`,
		`_ = method + target
	return config.EditMCP(ctx, i.deps.File, decide)`,
		"TestWhoMayChangeTokens", "",
	},
	{
		"an old token ends with its grace time", "internal/access/issue.go",
		`if outlives(t.Expires, until) {`, `if until.IsZero() {`,
		"TestRotation", "",
	},
	{
		"a token is kept as its digest", "internal/access/issue.go",
		`sum := sha256.Sum256([]byte(text))`, `sum := raw; _ = sha256.Size`,
		"TestATokenIsShownOnce", "",
	},
	{
		"the tokens of a client agree", "internal/config/mcp.go",
		`if other.Client == t.Client && !other.sameRights(t) {`, `if other.Hash == "" {`,
		"TestBadInput", "",
	},
	{
		"what is written is read before it counts", "internal/config/tokens.go",
		`err != nil || !got.equal(want) {`, `err != nil && got.equal(want) {`,
		"TestEditsThatAreRefused", "",
	},
	{
		"an edit gives way to the owner's", "internal/config/tokens.go",
		`err != nil || !bytes.Equal(now, before) {`, `err != nil && !bytes.Equal(now, before) {`,
		"TestAnEditGivesWayToTheOwner", "",
	},
	{
		"no client goes by a name that the log uses", "internal/config/mcp.go",
		`r.OK(s) && !taken(s)`, `r.OK(s)`,
		"TestEditsThatAreRefused", "",
	},
}

package arch

// remoteControls are those of the tools of other servers.
var remoteControls = []sabotaged{
	{
		"a changed description asks the owner", "internal/tool/remote/call.go",
		`	if !e.changed() {
		return job, nil`,
		`	if true {
		return job, nil`,
		"TestChangedDescriptionsWaitForTheOwner", "",
	},
	{
		"the model reads the description that is pinned", "internal/tool/remote/call.go",
		`plain(redact(e.pinned.description), toldLimit)`, `plain(redact(e.offered.description), toldLimit)`,
		"TestChangedDescriptionsWaitForTheOwner", "",
	},
	{
		"a call reaches the tool that was judged", "internal/tool/remote/call.go",
		`e.offered.hash == j.Hash && !e.changed()`, `e.tool != "" && j.Hash != ""`,
		"TestCallsOfWhatWasJudged", "",
	},
	{
		"a yes is to what was shown", "internal/tool/remote/table.go",
		`AND offered_hash = ?`, `AND ? <> '-'`,
		"TestChangedDescriptionsWaitForTheOwner", "",
	},
	{
		"the words of a schema do not reach the model", "internal/tool/remote/call.go",
		`redact(string(e.pinned.schema.Bare()))`, `redact(string(e.pinned.schema.JSON()))`,
		"TestCallsOverHTTP", "",
	},
	{
		"nor when an input does not fit", "internal/tool/dynamic/schema.go",
		`	if !e.ByOwner() {
		schema, err`, `	if e.Name == "" {
		schema, err`,
		"TestWhatDoesNotFit", "",
	},
	{
		"the input of a tool of another server is judged", "internal/tool/remote/call.go",
		`	checked, err := e.pinned.schema.Judge(input)`,
		`	checked, err := input, error(nil)`,
		"TestCallsOverHTTP", "",
	},
	{
		"two tools of a name are none", "internal/tool/remote/offer.go",
		`times[t.Name] > 1 {`, `times[t.Name] > 2 {`,
		"TestHostileOffers", "",
	},
	{
		"names are what they look like", "internal/tool/remote/offer.go",
		`	case !toolName.MatchString(tool):`, `	case tool == "":`,
		"TestHostileOffers", "",
	},
	{
		"no registered tool takes the name of one of another server", "internal/tool/dynamic/form.go",
		`case strings.Contains(name, "__"):`, `case strings.Contains(name, "___"):`,
		"TestRefusedRegistrations", "",
	},
	{
		"a call ends with its caller's patience", "internal/tool/remote/call.go",
		`	answer, err := job.link.session.CallTool(ctx,`, `	answer, err := job.link.session.CallTool(context.WithoutCancel(ctx),`,
		"TestCancellationReachesTheServer", "",
	},
	{
		"a named server is reached at its own address alone", "internal/netguard/server.go",
		`req.URL.Scheme != s.to.url.Scheme || req.URL.Host != s.host || req.URL.User != nil {`, `req.URL.User != nil {`,
		"TestNamedServer", "",
	},
	{
		"a named server leads nowhere else", "internal/netguard/server.go",
		`		return denied(req.URL.Hostname(), ruleRedirects,`,
		`		return nil
		return denied(req.URL.Hostname(), ruleRedirects,`,
		"TestNamedServer", "",
	},
	{
		"an exception opens no metadata service", "internal/netguard/server.go",
		`(d.Rule == ruleLoopback || d.Rule == rulePrivate)`, `d.Rule != ""`,
		"TestNamedServerAddresses", "",
	},
	{
		"nothing goes in clear over a network", "internal/netguard/server.go",
		`	if s.to.url.Scheme != "https" && !to.Addr().IsLoopback() {`, `	if s.to.url.Scheme == "" {`,
		"TestNamedServerAddresses", "",
	},
	{
		"the answers of a named server are bounded", "internal/netguard/server.go",
		`left: limit, limit: limit}`, `left: 1 << 40, limit: limit}`,
		"TestNamedServer", "",
	},
	{
		"a server that is a program lives in the sandbox of tools", "internal/tool/remote/link.go",
		`Profile: sandbox.Tool, Argv: s.Command,`, `Profile: sandbox.Computer, Argv: s.Command,`,
		"TestStandardStreams", "",
	},
	{
		"beside untrusted text a tool of another server asks", "internal/tool/foreign.go",
		`c.outward(&p, read, job.Input`, `c.outward(&p, nil, job.Input`,
		"TestToolsOfOtherServersAsk", "",
	},
	{
		"no secret goes to another server", "internal/tool/foreign.go",
		`c.outward(&p, read, job.Input`, `c.outward(&p, read, nil`,
		"TestToolsOfOtherServers", "",
	},
	{
		"what another server says is text from elsewhere", "internal/tool/foreign.go",
		`from: phantom.Web, taint: result.Taint}`, `from: phantom.Tool}`,
		"TestToolsOfOtherServers", "",
	},
	{
		"http is for this machine only", "internal/config/remote.go",
		`	case r.URL != "" && strings.HasPrefix(r.URL, "http:") && !onThisMachine(r.URL):`, `	case r.URL == "http:":`,
		"TestRemotes", "",
	},
	{
		"a list of no tools is not all of a server's", "internal/config/remote.go",
		`some("tools", &r.Tools, rule.ServerTool())`, `strict.Texts("tools", &r.Tools, rule.ServerTool())`,
		"TestRemotes", "",
	},
	{
		"this machine is closed unless the owner opens it", "internal/config/remote.go",
		`	case r.URL != "" && onThisMachine(r.URL) && !r.Private:`, `	case r.URL == "-":`,
		"TestRemotes", "",
	},
}

package arch

// dynamicControls are those of the tools that are registered at run time.
var dynamicControls = []sabotaged{
	{
		"only the owner and admins register tools", "internal/tool/dynamic/dynamic.go",
		`(by.Kind != phantom.KindClient || !by.Scope.Includes(phantom.ScopeAdmin)) {`, `by.Kind == 99 {`,
		"TestPrincipals", "",
	},
	{
		"only the owner and admins unregister tools", "internal/tool/dynamic/dynamic.go",
		`if err := mayChange(phantom.PrincipalFrom(ctx)); err != nil {`, `if err := mayChange(phantom.Principal{Kind: phantom.KindOwner}); err != nil {`,
		"TestPrincipals", "",
	},
	{
		"only the owner and operators call tools", "internal/tool/dynamic/call.go",
		`(by.Kind != phantom.KindClient || !by.Scope.Includes(phantom.ScopeOperator)) {`, `by.Kind == 99 {`,
		"TestPrincipals", "",
	},
	{
		"no registered tool takes a built-in one's name", "internal/tool/dynamic/form.go",
		`case slices.Contains(r.Reserved, name):`, `case slices.Contains(r.Reserved, name+"-"):`,
		"TestRefusedRegistrations", "",
	},
	{
		"no registered tool takes a name of Phantom's own", "internal/tool/dynamic/form.go",
		`case strings.HasPrefix(name, ownPrefix):`, `case strings.HasPrefix(name, ownPrefix+"-"):`,
		"TestRefusedRegistrations", "",
	},
	{
		"the names of all built-in tools are kept", "internal/tool/registered.go",
		`"send_message", "unregister_tool",`, `"send_message",`,
		"TestNamesAreKept", "",
	},
	{
		"a tool is a shell's or a script", "internal/tool/dynamic/form.go",
		`	default:
		return t, nil,`,
		`	case "inline", "", "Shell":
		return t, schema, nil
	default:
		return t, nil,`,
		"TestRefusedRegistrations", "",
	},
	{
		"the guard judges a tool when it is registered", "internal/tool/dynamic/dynamic.go",
		`if v := draft.Verdict; v.Decision != phantom.Allow && (`, `if v := draft.Verdict; v.Decision == 99 && (`,
		"TestRefusedRegistrations", "",
	},
	{
		"the guard judges a tool at each call", "internal/tool/dynamic/call.go",
		`if job.Verdict.Decision != phantom.Allow {`, `if job.Verdict.Decision == 99 {`,
		"TestCodeThatAsks", "",
	},
	{
		"a blocked tool does not run, whoever asks", "internal/tool/dynamic/call.go",
		` || job.Verdict.Decision == phantom.Block {`, ` {`,
		"TestGuardJudgesAgain", "",
	},
	{
		"all of a script is judged", "internal/tool/dynamic/program.go",
		`if strings.TrimSpace(piece) != "" {`, `if from == 0 {`,
		"TestRefusedRegistrations", "",
	},
	{
		"a script that changed does not run", "internal/tool/dynamic/program.go",
		`if t.Hash != "" && t.Hash != p.hash {`, `if t.Hash == "-" {`,
		"TestChangedScripts", "",
	},
	{
		"what is registered is what was shown", "internal/tool/dynamic/dynamic.go",
		`if wanted != "" && wanted != p.hash {`, `if wanted == "-" {`,
		"TestRefusedRegistrations", "",
	},
	{
		"code in the table is the code that was registered", "internal/tool/dynamic/dynamic.go",
		`digest([]byte(t.Code)) != kept {`, `kept == "-" {`,
		"TestBrokenRows", "",
	},
	{
		"a broken tool holds up nothing", "internal/tool/dynamic/dynamic.go",
		`broken = append(broken, Broken{Name: row.Name, Reason: err.Error()})`, `return err`,
		"TestBrokenRows", "",
	},
	{
		"the input of a tool is judged", "internal/tool/dynamic/schema.go",
		`if err := e.schema.Validate(value); err != nil {`, `if err := e.schema.Validate(value); err != nil && len(input) == 0 {`,
		"TestInputIsJudged", "",
	},
	{
		"a tool reads the input that was judged", "internal/tool/dynamic/schema.go",
		`return plain, nil`, `return input, nil`,
		"TestShellGetsItsInput", "",
	},
	{
		"a schema is judged in bounded time", "internal/tool/dynamic/schema.go",
		`w.parts > maxParts || depth > maxDepth {`, `depth > maxDepth {`,
		"TestRefusedRegistrations", "",
	},
	{
		"a pattern is of bounded size", "internal/tool/dynamic/schema.go",
		`w.steps > maxSteps {`, `w.steps < 0 {`,
		"TestSchemasThatTakeLong", "",
	},
	{
		"an input is judged in bounded time", "internal/tool/dynamic/schema.go",
		`work > maxWork {`, `work < 0 {`,
		"TestInputsThatTakeLong", "",
	},
	{
		"a tool has no network that it was not registered with", "internal/tool/dynamic/call.go",
		`Network: job.Tool.Network,`, `Network: true,`,
		"TestNetwork", "",
	},
	{
		"a tool sees its private directory alone", "internal/tool/dynamic/call.go",
		`Profile: sandbox.Tool,`, `Profile: sandbox.Computer,`,
		"TestPlantedKeyIsNotFound", "",
	},
	{
		"the environment of a tool is five variables", "internal/tool/dynamic/call.go",
		`"export -n PWD OLDPWD SHLVL TMPDIR; "`, `""`,
		"TestEnvironment", "",
	},
	{
		"the output of a tool is bounded", "internal/tool/dynamic/call.go",
		`Output: maxOutput}`, `Output: 1 << 40}`,
		"TestOutput", "",
	},
	{
		"the owner is asked about each tool", "internal/tool/registered.go",
		`p.verdict = phantom.Verdict{Decision: phantom.Ask, Rule: ruleRegister,`, `p.verdict = phantom.Verdict{Decision: phantom.Allow, Rule: ruleRegister,`,
		"TestRegisterTool", "",
	},
	{
		"the owner sees all of a tool", "internal/tool/registered.go",
		`strings.ContainsFunc(exact, hidden):`, `strings.ContainsFunc(exact[:0], hidden):`,
		"TestRefusedTools", "",
	},
	{
		"no tool is made beside untrusted text", "internal/tool/registered.go",
		`!read.Clean() {
		return plan{}, fmt.Errorf("no tool`,
		`false {
		return plan{}, fmt.Errorf("no tool`,
		"TestNoToolBesideUntrustedText", "",
	},
	{
		"no script that was written beside untrusted text becomes a tool", "internal/tool/registered.go",
		`!at.Clean() {
			return plan{}, fmt.Errorf("the script`,
		`false {
			return plan{}, fmt.Errorf("the script`,
		"TestNoToolBesideUntrustedText", "",
	},
	{
		"a client's turn makes no tool", "internal/tool/registered.go",
		`if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {`, `if phantom.PrincipalFrom(ctx).Kind == phantom.Nobody {`,
		"TestClientsTurnsRegisterNothing", "",
	},
	{
		"a tool with the network asks beside untrusted text", "internal/tool/registered.go",
		`p.verdict, p.raised = raise(p.verdict, read, "it gives`, `_, p.raised = raise(p.verdict, read, "it gives`,
		"TestToolWithTheNetwork", "",
	},
	{
		"a tool with the network is given no secret", "internal/tool/registered.go",
		`if c.Redactor.String(string(input)) != string(input) {`, `if len(input) == 0 {`,
		"TestToolWithTheNetwork", "",
	},
	{
		"a client's words about its tool are data", "internal/tool/dynamic/show.go",
		`if !t.ByOwner() {`, `if t.Name == "" {`,
		"TestClientsTool", "internal/tool",
	},
	{
		"results of a client's tool are untrusted", "internal/tool/dynamic/call.go",
		`if !job.Tool.ByOwner() {`, `if job.Tool.Name == "" {`,
		"TestProvenance", "",
	},
	{
		"results from the network are untrusted", "internal/tool/dynamic/call.go",
		`result.Provenance = phantom.Web`, `result.Provenance = phantom.Tool`,
		"TestProvenance", "",
	},
	{
		"clients' calls leave the owner a place", "internal/tool/dynamic/call.go",
		`places = []chan struct{}{r.guests, r.running} // so`, `places = []chan struct{}{r.running} // so`,
		"TestClientsCallsLeaveTheOwnerAPlace", "",
	},
}

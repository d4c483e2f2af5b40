package arch

// taintControls are those that follow untrusted text to where it goes.
var taintControls = []sabotaged{
	{
		"links of one response are counted", "internal/tool/taint.go",
		`n := len(r.Pages) + r.Beside`, `n := len(r.Pages)`,
		"TestFollowedLinksEnd", "",
	},
	{
		"a yes that knew of no untrusted text is none beside it", "internal/tool/chain.go",
		` && (p.raised || !q.raised)`, ``,
		"TestYesBesideTaint", "",
	},
	{
		"what was written beside untrusted text runs with no network unasked", "internal/tool/bash.go",
		`case !code.Clean():`, `case false:`,
		"TestReachOfCleanCommands", "",
	},
	{
		"names are text", "internal/tool/bash.go",
		`.Add(marked.Shown(printed + "\n" + o.line)...)`, ``,
		"TestWrittenTaintComesBack", "",
	},
	{
		"what a command is found to have fetched is untrusted", "internal/tool/trace.go",
		`if o.reached.Load() || `, `if `,
		"TestFetchesByItself", "",
	},
	{
		"where nobody watches, programs may have fetched", "internal/tool/trace.go",
		` || !exit.Tracked && o.opaque {`, ` {`,
		"TestFetchesByItself", "",
	},
	{
		"a job that reaches out taints from there on", "internal/tool/jobs.go",
		`if j.reached.Load() {`, `if false {`,
		"TestFetchesByItself", "",
	},
	{
		"what a command writes is marked while it runs", "internal/tool/mark/view.go",
		`if w.sure && at.changed.After(`, `if !w.sure && at.changed.After(`,
		"TestFilesOfARunningCommand", "internal/tool",
	},
	{
		"nobody hides at the port where names are looked up", "internal/sandbox/track/address.go",
		`err == nil && slices`, `err == nil || slices`,
		"TestTrackerHearsOfAddresses", "internal/sandbox",
	},
	{
		"a second name has the mark of the first", "internal/tool/mark/view.go",
		`if at.names > 1 && `, `if at.names > 1<<40 && `,
		"TestWrittenTaintComesBack", "internal/tool",
	},
	{
		"a summary is not the owner's word", "internal/agent/taint.go",
		`!strings.HasPrefix(p.Text, summaryHead)`, `!strings.HasPrefix(p.Text, "\x00"+summaryHead)`,
		"TestReadingTexts", "",
	},
	{
		"addresses beyond this machine are heard of", "internal/sandbox/track/track.go",
		`if !t.record.closed {`, `if t.record.closed {`,
		"TestTrackerHearsOfAddresses", "internal/sandbox",
	},
	{
		"nothing connects by sending", "internal/sandbox/seccomp/seccomp.go",
		`Val: unix.MSG_FASTOPEN, SkipTrue: 1}`, `Val: 0, SkipTrue: 1}`,
		"TestFilter", "",
	},
	{
		"only known protocols are spoken", "internal/sandbox/seccomp/seccomp.go",
		`unless(0, unix.IPPROTO_TCP,`, `unless(0, unix.IPPROTO_SCTP, unix.IPPROTO_TCP,`,
		"TestFilter", "",
	},
	{
		"a loopback interface needs a network of its own", "internal/sandbox/run.go",
		` && !spec.Network && o.Level == Full`, ` && !spec.Network`,
		"TestLoopback", "",
	},
	{
		"settings above a project count", "internal/policy/egress/fetch.go",
		`append(above, l.Home)`, `[]string{c.Cwd, l.Home}`,
		"TestNetwork", "internal/policy",
	},
	{
		"submodules count", "internal/policy/egress/git.go",
		`modules != "" && !alone ||`, `modules == "\x00" && !alone ||`,
		"TestNetwork", "internal/policy",
	},
	{
		"Phantom's own port is asked for", "internal/policy/egress/local.go",
		`&& !slices.Contains(l.Own, port)`, `&& port > 0`,
		"TestNetwork", "internal/policy",
	},
	{
		"hooks of git are code", "internal/policy/egress/near.go",
		`filepath.Join(git, "hooks"), filepath.Join(at`, `filepath.Join(at`,
		"TestNetworkCode", "internal/policy",
	},
	{
		"what lies above a project is code, too", "internal/policy/egress/near.go",
		`return append(dirs, l.ambient(dirs, read)...)`, `return dirs`,
		"TestNetworkCode", "internal/policy",
	},
	{
		"a planted program is code", "internal/tool/bash.go",
		`.Add(planted...), marked.Code`, `, marked.Code`,
		"TestPlantedPrograms", "",
	},
	{
		"a planted program is not the listed one", "internal/tool/bash.go",
		`reach.Kind == policy.ReachListed && planted.Clean()`, `reach.Kind == policy.ReachListed`,
		"TestPlantedPrograms", "",
	},
	{
		"statements from files are code", "internal/policy/egress/near.go",
		`case fed(c, read):`, `case fed(c, read) && name == "":`,
		"TestNetworkCode", "internal/policy",
	},
	{
		"settings that a line names are code", "internal/policy/egress/near.go",
		`append(l.settings(name), told(c)...)`, `append(l.settings(name), told(c)[:0]...)`,
		"TestNetworkCode", "internal/policy",
	},
	{
		"a client of a forge calls git", "internal/policy/egress/near.go",
		`(name == "gh" || name == "glab") && moves(c)`, `name == "gh" && name == "glab" && moves(c)`,
		"TestNetworkCode", "internal/policy",
	},
}

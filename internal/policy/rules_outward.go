package policy

// outwardRules see what goes out of the machine for good, and what lets others in.
func outwardRules() []rule {
	return []rule{
		{id: "publish", family: "publish", severity: destructive, programs: "npm pnpm yarn bun npx bunx pnpx uvx pipx python python3 lerna changeset vsce ovsx flit hatch poetry uv pdm maturin twine cabal cargo gem mvn mvnw gradle gradlew dotnet nuget choco mix pod dart flutter", reason: "publishes a package, which cannot be called back", suggestion: "try it with --dry-run and ask the owner", match: func(c *call) bool { return c.use().Published() }},
		{id: "way-in", family: "fetch-and-run", severity: destructive, programs: "ssh autossh ttyd gotty shellinaboxd wetty tmate upterm sshx teleconsole awk gawk mawk perl", reason: "lets another machine into this one", suggestion: "ask the owner", match: func(c *call) bool { return c.use().Opened() }},
		{id: "hand-over", family: "secrets", severity: destructive, programs: "nc ncat netcat", reason: "hands what it reads to another machine", suggestion: "ask the owner", match: func(c *call) bool { return c.use().Handed() }},
		{id: "admin-port", family: "accounts", severity: destructive, programs: "curl wget http https xh curlie nc ncat", reason: "asks a port from which the machine is ruled", suggestion: "use the program that is made for it", match: func(c *call) bool { return c.use().Administered() }},
		{id: "fill-up", family: "fork-bomb", severity: destructive, programs: "cat pv cp tail sort tac yes", reason: "fills the disk or the memory without end", suggestion: "say how much: head -c", match: func(c *call) bool { return c.use().Filled(c.Writes) }},
		{id: "package-source", family: "injection", severity: destructive, programs: "pip pip3 npm pnpm yarn git", reason: "has programs come from somewhere else from now on", suggestion: "name the source for this one call", match: func(c *call) bool { return c.use().Sourced() }},
		{id: "cloud-grant", family: "cloud", severity: destructive, programs: "aws gcloud az kubectl oc gh", reason: "gives rights, or shows to all", suggestion: "ask the owner", match: func(c *call) bool { return c.use().Granted() }},
		{id: "purge", family: "files", severity: destructive, programs: "fdupes jdupes rdfind systemd-tmpfiles flashrom svn nomad", reason: "deletes many things at once, or for all", suggestion: "list them first and ask the owner", match: func(c *call) bool { return c.use().Purged() }},
		{id: "kill-parent", family: "process", severity: destructive, programs: "python python3 perl ruby node php lua", reason: "kills the program that started it", suggestion: "end by itself", match: func(c *call) bool { return c.use().Orphaned() }},
		{id: "secret-kept", family: "secrets", severity: destructive, programs: "nmcli sqlite3 sqlite gdb gcore lldb", reason: "shows secrets that programs keep", suggestion: "ask the owner for what you need", match: func(c *call) bool { return c.use().Disclosed(c.searched) }},
	}
}

package policy

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/place"
	"phantom/internal/policy/program"
	"phantom/internal/policy/shell"
)

// readPaths returns the files that a call shows or sends.
func (c *call) readPaths() []string {
	out := slices.Clone(c.Reads)
	if c.name == "git" && len(shell.GitWords(c.Argv)) > 0 {
		return append(out, shell.GitReads(shell.GitWords(c.Argv))...)
	}
	if w := c.words(); c.name == "gh" && landmark.Starts(w, "gist", "create") {
		return append(out, w[2:]...)
	}
	short, ok := landmark.Reader(c.name)
	if !ok {
		if c.name == "source" || c.name == "." || c.name == "test" || c.name == "[" {
			return nil
		}
		return out
	}
	o := shell.ParseOptions(c.args(), short, []string{"exclude", "include", "exclude-from", "header", "output", "regexp", "target-directory", "rsh", "glob", "file", "exclude-dir", "request", "user"}, false)
	operands := o.Operands
	switch c.name {
	case "grep", "egrep", "fgrep", "rg", "ag", "ack", "zgrep", "awk", "gawk", "mawk", "sed":
		if !o.Has("e", "regexp", "f", "file") && len(operands) > 0 {
			operands = operands[1:]
		}
	case "jq", "yq", "tr":
		operands = operands[min(1, len(operands)):]
	case "cp", "mv", "install", "ln":
		if _, given := o.Value("t", "target-directory"); !given && len(operands) > 0 {
			operands = operands[:len(operands)-1]
		}
	case "tar", "bsdtar":
		if len(operands) > 0 && len(c.Argv) > 1 && !strings.HasPrefix(c.Argv[1], "-") {
			operands = operands[1:]
		}
	case "scp", "rsync":
		if n := len(operands); n > 1 {
			operands = operands[:n-1]
		}
	case "curl":
		operands = nil
		for _, a := range c.args() {
			if _, file, sends := strings.Cut(a, "@"); sends && !strings.Contains(a, "://") && !strings.HasPrefix(a, "git@") {
				file, _, _ = strings.Cut(file, ";")
				operands = append(operands, file)
			}
			if file, ok := strings.CutPrefix(a, "file://"); ok {
				operands = append(operands, file)
			}
		}
		operands = append(operands, c.opts("TKE", "upload-file").Values("T", "upload-file")...)
	case "wget":
		operands = nil
		for _, a := range c.args() {
			if v, ok := strings.CutPrefix(a, "--post-file="); ok {
				operands = append(operands, v)
			} else if v, ok := strings.CutPrefix(a, "--body-file="); ok {
				operands = append(operands, v)
			}
		}
	case "dd":
		operands = nil
		for _, a := range c.args() {
			if v, ok := strings.CutPrefix(a, "if="); ok {
				operands = append(operands, v)
			}
		}
	case "openssl":
		operands = o.Operands
		if c.has("x509", "req", "s_client", "verify", "rand", "genrsa", "genpkey", "dhparam", "s_server") {
			operands = nil
		}
	}
	if strings.HasSuffix(c.name, "grep") || c.name == "rg" {
		operands = append(operands, o.Values("include", "glob", "g")...)
	}
	return append(out, operands...)
}

func secretRules() []rule {
	const family = "secrets"
	const safer = "use ${secret:name}, which fills the value in where it is needed"
	return []rule{
		{id: "environment-dump", family: family, severity: destructive, programs: "env printenv set export declare typeset ps docker podman", reason: "prints the environment, which may hold secrets", suggestion: "print the one variable you need", match: dumpsEnvironment},
		{id: "secret-file", family: family, severity: destructive, reason: "shows or sends a file that usually holds secrets", suggestion: safer, match: func(c *call) bool {
			paths := c.Reads
			if !c.Wrapper {
				paths = c.readPaths()
			}
			return slices.ContainsFunc(paths, func(f string) bool {
				if f == "" || strings.HasPrefix(f, "-") {
					return false
				}
				path := c.abs(f)
				return landmark.SecretFile(f) || path != "" && landmark.SecretFile(path) || landmark.SecretPattern(f) || landmark.SecretPattern(path) || strings.HasSuffix(f, "/environ")
			})
		}},
		{id: "secret-store", family: family, severity: destructive, programs: "getent gpg gpg2 security pass vault aws kubectl oc gcloud az gh op bw heroku git doppler sops chamber secret-tool keyring lpass ansible-vault flyctl fly age kwallet-query hcloud", reason: "prints secrets from where they are kept", suggestion: safer, match: func(c *call) bool { return landmark.OpensStore(c.name, c.args(), c.words(), shell.GitWords(c.Argv)) }},
		{id: "metadata-service", family: family, severity: blocked, reason: "asks the cloud's metadata service, which hands out credentials", suggestion: "ask the owner for what you need", match: func(c *call) bool {
			if slices.ContainsFunc(slices.Concat(c.Reads, c.Writes), func(r string) bool {
				return strings.HasPrefix(r, "/dev/tcp/") && landmark.Metadata(strings.Split(r, "/")[3])
			}) {
				return true
			}
			if slices.Contains([]string{"echo", "printf", "grep", "rg", "git", "gh", "sed", "awk", "egrep", "jq", "man", "tee"}, c.name) || c.Wrapper {
				return false
			}
			return slices.ContainsFunc(c.args(), func(a string) bool {
				// The address may stand among others in one word, as in --resolve.
				return landmark.Metadata(a) || strings.Count(a, ".") >= 3 && slices.ContainsFunc(strings.FieldsFunc(a, func(r rune) bool { return strings.ContainsRune(":,=/@", r) }), landmark.Metadata)
			})
		}},
	}
}

func dumpsEnvironment(c *call) bool {
	w := c.words()
	// A filter that lets only plain names through makes a dump harmless.
	filtered := len(c.Next) > 1 && (c.Next[0] == "grep" || c.Next[0] == "rg") && !slices.ContainsFunc(c.Next[1:], func(a string) bool {
		return landmark.SecretName(a) || a == "-v" || a == "." || a == "" || strings.HasPrefix(a, "-") && strings.Contains(a, "v") || a == "="
	})
	switch c.name {
	case "env":
		o := shell.ParseOptions(c.args(), "uCS", []string{"unset", "chdir", "split-string"}, true)
		return !filtered && !c.asksHelp() && len(o.Values("S", "split-string")) == 0 && !slices.ContainsFunc(o.Operands, func(a string) bool { return !strings.Contains(a, "=") })
	case "printenv":
		if len(w) == 0 {
			return !filtered && !c.asksHelp()
		}
		return slices.ContainsFunc(w, landmark.SecretName)
	case "set":
		return len(c.Argv) == 1 && !filtered
	case "export", "declare", "typeset":
		return !filtered && (len(c.Argv) == 1 || c.has("-p", "-px", "-xp", "-x") && len(w) == 0)
	case "docker", "podman":
		return landmark.Starts(c.dockerWords(), "inspect") && strings.Contains(strings.Join(c.args(), " "), "Env")
	case "ps":
		return slices.ContainsFunc(c.args(), func(a string) bool {
			return !strings.HasPrefix(a, "-") && strings.Contains(a, "e") && strings.Trim(a, "aeuxwf") == "" && a != "e" || a == "e" || a == "eww"
		})
	}
	return false
}

func protectedRules() []rule {
	const family = "protected"
	return []rule{{id: "protected-file", family: family, severity: critical, reason: "touches Phantom's own configuration, data or secrets", suggestion: "ask the owner; Phantom's documents change only through its own learning", match: func(c *call) bool {
		for _, w := range c.Writes {
			if c.touches(w, true) {
				return true
			}
		}
		for _, r := range c.Reads {
			if c.touches(r, false) {
				return true
			}
		}
		if c.Wrapper || landmark.Talker(c.name) || len(c.Argv) == 0 {
			return false
		}
		write := !landmark.Looker(c.name) || c.name == "find" && c.has("-delete", "-exec", "-execdir", "-fprint", "-ok")
		for i, a := range c.Argv {
			if i > 0 && (program.Message(c.name, c.Argv, i) || program.Pattern(c.name, c.Argv, i)) {
				continue
			}
			for _, part := range landmark.PathsIn(a) {
				if c.touches(part, write && !program.Copied(c.name, c.Argv, i)) {
					return true
				}
			}
		}
		return false
	}}}
}

// touches reports whether arg names a protected file, or a wildcard or link
// that leads to one.
func (c *call) touches(arg string, write bool) bool {
	path := c.abs(strings.TrimPrefix(arg, "file://"))
	if path == "" || c.Remote || len(arg) > 4096 {
		return false
	}
	hit := func(at string) bool {
		return c.p.places.Own(at) && (write || !place.Within(c.p.cfg.Readable, at))
	}
	if hit(path) || write && c.p.ownFile(path) {
		return true
	}
	if strings.ContainsAny(arg, "*?[") {
		for _, g := range c.p.cfg.Protected {
			if _, inside := place.Overlaps(path, g); inside && (write || !place.Within(c.p.cfg.Readable, g)) {
				return true
			}
		}
	}
	if head, rest, open := strings.Cut(path, shell.Unknown); open {
		if !strings.HasSuffix(head, "/") || rest != "" && rest[0] != '/' {
			return false
		}
		// What a search found below a directory may be any file of it.
		return !landmark.Namer(c.name) && slices.ContainsFunc(c.p.cfg.Protected, func(g string) bool {
			return landmark.Under(filepath.Clean(head), g) && (write || !place.Within(c.p.cfg.Readable, g))
		})
	}
	if c.descends() && slices.ContainsFunc(c.p.cfg.Protected, func(g string) bool { return landmark.Under(path, g) && !place.Within(c.p.cfg.Readable, g) }) {
		return true
	}
	real, err := c.p.cfg.Files.Resolve(path)
	return err == nil && real != path && hit(real)
}

// ownFile reports whether a path right in Phantom's home is named like a file
// of settings, data or keys.
func (p *Policy) ownFile(path string) bool {
	return filepath.Dir(path) == p.cfg.Home && slices.Contains([]string{".yaml", ".yml", ".db", ".key", ".sock", ".toml", ".json"}, filepath.Ext(path))
}

// descends reports whether a call reads all that lies below its operands.
func (c *call) descends() bool {
	switch c.name {
	case "grep", "egrep", "fgrep":
		return c.opts("ABCmefdD").Has("r", "R", "recursive", "dereference-recursive")
	case "cp", "scp":
		return c.opts("tSiPoFcJl").Has("r", "R", "a", "recursive", "archive")
	case "rg", "ag", "ack", "tar", "bsdtar", "zip", "7z", "rsync", "restic", "borg", "rclone", "duplicity":
		return true
	}
	return false
}

func opensShell(c *call) bool {
	switch c.name {
	case "nc", "ncat", "netcat":
		return c.opts("psqwio").Has("e", "c", "exec", "sh-exec")
	case "socat":
		return slices.ContainsFunc(c.args(), func(a string) bool {
			a = strings.ToUpper(a)
			return strings.HasPrefix(a, "EXEC:") || strings.HasPrefix(a, "SYSTEM:")
		})
	}
	return slices.ContainsFunc(slices.Concat(c.Reads, c.Writes), func(p string) bool { return strings.HasPrefix(p, "/dev/tcp/") || strings.HasPrefix(p, "/dev/udp/") })
}

func formRules() []rule {
	form := func(id, family string, s severity, problem, reason, suggestion string) rule {
		return rule{id: id, family: family, severity: s, problem: problem, reason: reason, suggestion: suggestion}
	}
	return []rule{
		{id: "remote-shell", family: "fetch-and-run", severity: blocked, programs: "nc ncat netcat socat sh bash dash zsh ksh", reason: "gives another machine a shell on this one", suggestion: "ask the owner", match: opensShell},
		form("fork-bomb", "fork-bomb", critical, shell.ForkBomb, "starts processes without end", "start a fixed number of jobs and wait for them"),
		form("unknown-script", "fetch-and-run", blocked, shell.UnknownScript, "runs a text that nobody has seen", "save it to a file, read it, then run it"),
		form("hidden-code", "fetch-and-run", blocked, shell.HiddenCode, "runs code that is hidden", "write the code out"),
		form("unknown-program", "opaque", blocked, shell.UnknownProgram, "runs a program whose name is not known", "write the program's name out"),
		form("unparsable", "opaque", critical, shell.Unparsable, "cannot be read as a bash command", "check the quotes and brackets"),
		form("too-large", "opaque", critical, shell.TooLarge, "is too large to judge", "put the data into a file"),
		form("too-deep", "opaque", critical, shell.TooDeep, "is nested too deep to judge", "write it in plain steps"),
		form("too-long", "opaque", critical, shell.TooLong, "does too much to judge in time", "split it into several commands"),
	}
}

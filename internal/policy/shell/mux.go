package shell

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// Here reports whether what ssh and its kin call a host is this machine.
func Here(host string) bool {
	host = strings.TrimPrefix(strings.ToLower(host), "ssh://")
	if _, after, ok := strings.Cut(host, "@"); ok {
		host = after
	}
	if name, _, ok := strings.Cut(host, ":"); ok && !strings.HasPrefix(host, "[") && strings.Count(host, ":") == 1 {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if slices.Contains([]string{"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "0", "127.1"}, host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.Unmap().IsLoopback() || addr.IsUnspecified())
}

// runScreen walks what screen starts in a window, or types into one.
func runScreen(m *machine, argv []string, in *stream) string {
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0]))
	o := ParseOptions(argv[1:], "SsLceEhTtpX", []string{"logfile"}, true)
	rest := o.Operands
	if verb, ok := o.Value("X"); ok {
		switch {
		case len(rest) == 0:
		case verb == "stuff" || verb == "eval":
			s.typed(rest)
		case verb == "exec" || verb == "screen" || verb == "at":
			s.invoke(slices.DeleteFunc(slices.Clone(rest), func(w string) bool { return strings.Trim(w, "!.:|") == "" }), redirs{}, in)
		}
		return Unknown
	}
	// A log file's name may follow -L, and a bare number the options.
	for _, v := range o.Values("L") {
		s.guess(strings.Join(append([]string{v}, rest...), " "))
	}
	if len(rest) > 0 {
		s.invoke(rest, redirs{}, in)
	}
	return Unknown
}

// runTmux walks what each command of a tmux line starts or types.
func runTmux(m *machine, argv []string, in *stream) string {
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0]))
	words := ParseOptions(argv[1:], "cfLST", nil, true).Operands
	for len(words) > 0 {
		cmd := words
		if i := slices.IndexFunc(words, func(w string) bool { return w == ";" || w == "\\;" }); i >= 0 {
			cmd, words = words[:i], words[i+1:]
		} else {
			words = nil
		}
		if len(cmd) < 2 {
			continue
		}
		letters := "ceFfnstxylp"
		if strings.HasSuffix(cmd[0], "popup") {
			letters = "bcdehsStTwxy"
		}
		rest := ParseOptions(cmd[1:], letters, nil, true).Operands
		switch cmd[0] {
		case "send-keys", "send":
			s.typed(ParseOptions(cmd[1:], "ctN", nil, true).Operands)
		case "run-shell", "run", "if-shell", "if", "set-hook", "pipe-pane", "pipep", "bind-key", "bind", "confirm-before", "confirm", "set-option", "set", "set-buffer", "display-menu":
			for _, w := range rest {
				f, _, _ := parse(w)
				if f == nil || len(f.Stmts) == 0 {
					continue
				}
				s.stmts(f.Stmts, &stream{})
				if inner := heads(f.Stmts[0]); len(inner) > 1 && s.depth < maxDepth {
					// The word may be a command of tmux's own.
					s.depth++
					runTmux(s, append([]string{"tmux"}, inner...), in)
					s.depth--
				}
			}
			s.guess(strings.Join(rest, " "))
		case "new-session", "new", "new-window", "neww", "split-window", "splitw", "respawn-pane", "respawnp", "respawn-window", "respawnw", "display-popup", "popup":
			if len(rest) == 1 {
				s.script(rest[0], &stream{})
			} else if len(rest) > 1 {
				s.invoke(rest, redirs{}, in)
			}
		}
	}
	return Unknown
}

// typed walks keys that are sent to a terminal, as lines for its shell. What
// does not parse is for another program.
func (m *machine) typed(keys []string) {
	var line strings.Builder
	for _, k := range keys {
		switch k {
		case "Enter", "C-m", "KPEnter", "C-j":
			k = "\n"
		case "Space":
			k = " "
		}
		line.WriteString(strings.NewReplacer("\\n", "\n", "\\r", "\n", "^M", "\n", "\\015", "\n", "\r", "\n").Replace(k))
	}
	for _, text := range []string{line.String(), strings.Join(keys, " ")} {
		if f, _, _ := parse(text); f != nil {
			m.stmts(f.Stmts, &stream{})
			continue
		}
		// Each line runs as it is ended, whatever follows it.
		for part := range strings.SplitSeq(text, "\n") {
			m.guess(part)
		}
	}
}

// runFleet walks what is run on many machines at once.
func runFleet(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	s := m.sub()
	s.remote, s.cwd = true, Unknown
	s.via = append(slices.Clone(m.via), name)
	letters := map[string]string{"ansible": "aefilmtuM", "pdsh": "wxRlutfgC", "clush": "wxgfltuoGXO", "dsh": "gmfFrNo"}[name]
	if strings.HasSuffix(name, "ssh") && letters == "" {
		letters = "hHlpoetOx"
	}
	words := ParseOptions(argv[1:], letters, []string{"args", "module-name", "inventory", "user", "limit", "hosts", "host", "options"}, name != "ansible")
	switch name {
	case "ansible":
		module, _ := words.Value("m", "module-name")
		args, _ := words.Value("a", "args")
		s.module(module[strings.LastIndex(module, ".")+1:], args)
	case "salt", "salt-call":
		for i, a := range argv[1:] {
			switch verb := argv[i+2:]; {
			case strings.HasPrefix(a, "cmd.") && len(verb) > 0:
				s.inner(name, verb[0], nil, &stream{})
			case a == "system.reboot" || a == "system.shutdown" || a == "system.poweroff" || a == "system.halt":
				s.invoke([]string{"reboot"}, redirs{}, in)
			case a == "file.remove" && len(verb) > 0:
				s.invoke([]string{"rm", "-rf", "--", verb[0]}, redirs{}, in)
			}
		}
	default:
		if rest := words.Operands; len(rest) > 0 {
			s.inner(name, strings.Join(rest, " "), nil, &stream{})
		}
	}
	for _, a := range argv[1:] {
		if strings.Contains(a, " ") && name != "ansible" {
			s.inner(name, a, nil, &stream{})
		}
	}
	return runOther(m, argv, in)
}

// module walks a module of ansible with its arguments.
func (m *machine) module(name, args string) {
	value := func(key string) string {
		for w := range strings.FieldsSeq(args) {
			if k, v, ok := strings.Cut(w, "="); ok && k == key {
				return strings.Trim(v, `'"`)
			}
		}
		return ""
	}
	gone := value("state") == "absent"
	switch name {
	case "", "shell", "command", "raw", "script":
		if strings.TrimSpace(args) != "" {
			m.inner("ansible", args, nil, &stream{})
		}
	case "reboot", "shutdown":
		m.invoke([]string{"reboot"}, redirs{}, &stream{})
	case "file":
		if path := value("path") + value("dest"); gone {
			m.invoke([]string{"rm", "-rf", "--", path}, redirs{}, &stream{})
		} else if mode := value("mode"); mode != "" {
			m.invoke([]string{"chmod", mode, path}, redirs{}, &stream{})
		}
	case "user", "group":
		if gone {
			m.invoke([]string{"userdel", value("name")}, redirs{}, &stream{})
		}
	case "apt", "dnf", "yum", "package":
		if gone {
			m.invoke([]string{"apt-get", "remove", value("name") + value("pkg")}, redirs{}, &stream{})
		}
	case "service", "systemd", "systemd_service":
		if value("state") == "stopped" {
			m.invoke([]string{"systemctl", "stop", value("name")}, redirs{}, &stream{})
		}
	case "filesystem", "parted":
		m.invoke([]string{"mkfs", value("dev") + value("device")}, redirs{}, &stream{})
	case "lineinfile", "copy", "template", "blockinfile", "replace", "get_url":
		if path := value("path") + value("dest"); path != "" {
			m.invoke([]string{"tee", path}, redirs{}, &stream{})
		}
	}
}

// runDaemon walks what start-stop-daemon and its kin start.
func runDaemon(m *machine, argv []string, in *stream) string {
	if filepath.Base(argv[0]) != "start-stop-daemon" {
		return m.launched(argv, ParseOptions(argv[1:], "acelopuEnUrOFPD", []string{"name", "user", "chroot", "output", "pidfile", "env", "chdir"}, true).Operands, in)
	}
	o := ParseOptions(argv[1:], "xapnugcdNPIkRsrT", []string{"exec", "startas", "pidfile", "name", "user", "group", "chuid", "chdir", "nicelevel", "signal", "retry", "pid", "ppid", "chroot", "output"}, false)
	start, ok := o.Value("a", "startas")
	if !ok {
		start, ok = o.Value("x", "exec")
	}
	if ok && !o.Has("K", "stop") {
		return m.launched(argv, append([]string{start}, o.Operands...), in)
	}
	return Unknown
}

// launched invokes words that a program starts.
func (m *machine) launched(argv, words []string, in *stream) string {
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0]))
	if len(words) > 0 {
		s.invoke(words, redirs{}, in)
	}
	return Unknown
}

// runPackaged walks a program that npx and its kin fetch or find and run.
func runPackaged(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	if name == "bun" && !(len(argv) > 1 && (argv[1] == "x" || deploys(argv[1]))) {
		return runCode(m, argv, in)
	}
	runOther(m, argv, in)
	o := ParseOptions(argv[1:], "pcw", []string{"package", "call", "workspace", "from", "with", "python", "spec"}, true)
	rest := o.Operands
	switch name {
	case "pipx", "pnpm", "yarn", "npm", "bun", "uv":
		if len(rest) > 1 && slices.Contains([]string{"run", "exec", "dlx", "x", "tool"}, rest[0]) {
			rest = ParseOptions(rest[1:], "p", []string{"package", "spec"}, true).Operands
		} else if len(rest) == 0 || !deploys(rest[0]) {
			return Unknown
		}
		if name == "npm" || len(rest) > 0 && !deploys(bare(rest[0])) && !slices.Contains(o.Operands[:1], "dlx") {
			return Unknown // the script of a package.json, or looked through already
		}
	}
	if len(rest) == 0 || !known(rest[0]) {
		return Unknown
	}
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	s.invoke(append([]string{bare(rest[0])}, rest[1:]...), redirs{}, in)
	return Unknown
}

// bare returns the program that a package brings, without its version.
func bare(pkg string) string {
	if at := strings.LastIndex(pkg, "@"); at > 0 {
		pkg = pkg[:at]
	}
	switch pkg {
	case "aws-cdk":
		return "cdk"
	case "firebase-tools":
		return "firebase"
	case "netlify-cli":
		return "netlify"
	case "cdktf-cli":
		return "cdktf"
	case "sequelize-cli":
		return "sequelize"
	}
	return filepath.Base(pkg)
}

// deploys reports whether a program of packages reaches beyond the project.
func deploys(name string) bool {
	return slices.Contains([]string{"cdk", "sst", "serverless", "sls", "pulumi", "cdktf", "prisma", "sequelize", "knex", "typeorm", "drizzle-kit", "firebase", "netlify", "vercel", "wrangler", "rimraf", "amplify", "mikro-orm", "supabase", "cap"}, name)
}

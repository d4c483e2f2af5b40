package shell

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"phantom/internal/policy/program"
)

// prefix says how a program that runs its trailing arguments reads its own.
type prefix struct {
	short   string   // letters that take a value
	long    []string // names that take a value
	skip    int      // operands before the command
	assigns bool     // NAME=value operands come before the command
}

// prefixes are the programs that run the command that follows.
func prefixes(name string) (prefix, bool) {
	switch name {
	case "sudo":
		return prefix{short: "CDgGhprRtTuU", long: []string{"user", "group", "host", "prompt", "chdir", "chroot", "role", "type", "close-from", "other-user", "command-timeout"}, assigns: true}, true
	case "doas":
		return prefix{short: "Cu", assigns: true}, true
	case "env":
		return prefix{short: "uCS", long: []string{"unset", "chdir", "split-string", "argv0"}, assigns: true}, true
	case "nice", "ionice", "chrt", "renice":
		p := prefix{short: "ncpPTDtu", long: []string{"adjustment", "class", "classdata", "sched-runtime"}}
		if name == "chrt" {
			p = prefix{short: "TPD", skip: 1}
		}
		return p, true
	case "timeout":
		return prefix{short: "ks", long: []string{"kill-after", "signal"}, skip: 1}, true
	case "time":
		return prefix{short: "fo", long: []string{"format", "output"}}, true
	case "stdbuf":
		return prefix{short: "ioe", long: []string{"input", "output", "error"}}, true
	case "strace", "ltrace":
		return prefix{short: "aebEIoOpPsSuUX", long: []string{"trace", "output", "user", "attach"}}, true
	case "perf":
		return prefix{short: "eoFcp", skip: 1}, true
	case "nohup", "setsid", "command", "builtin", "eatmydata", "fakeroot", "torsocks", "torify", "proxychains", "proxychains4", "unbuffer", "caffeinate",
		"dbus-run-session", "linux32", "linux64", "noglob", "nocorrect", "chronic", "tini", "dumb-init", "catatonit", "pkexec", "setarch", "setpriv", "numactl", "choom", "prlimit", "cpulimit", "catchsegv", "valgrind", "rlwrap", "cgexec", "memusage", "multitime", "xvfb-run":
		return prefix{}, true
	case "exec":
		return prefix{short: "a"}, true
	case "gosu", "su-exec", "setuidgid", "envdir", "faketime":
		return prefix{short: "f", skip: 1}, true
	case "script", "sg":
		return prefix{short: "cEIOTB", long: []string{"command"}, skip: 1}, true
	case "taskset":
		return prefix{skip: 1}, true
	case "flock":
		return prefix{short: "wEc", long: []string{"timeout", "conflict-exit-code"}, skip: 1}, true
	case "chroot":
		return prefix{long: []string{"userspec", "groups"}, skip: 1}, true
	case "unshare":
		return prefix{short: "SGRw", long: []string{"root", "wd", "setuid", "setgid", "propagation", "map-users", "map-groups"}}, true
	case "nsenter":
		return prefix{short: "tSG", long: []string{"target", "setuid", "setgid"}}, true
	case "systemd-run", "systemd-inhibit", "firejail", "bwrap":
		return prefix{short: "pHMu", long: []string{"unit", "property", "description", "slice", "uid", "gid", "working-directory", "setenv", "on-active", "on-calendar", "what", "who", "why", "mode", "bind", "ro-bind", "dev", "proc", "tmpfs", "chdir"}}, true
	case "busybox", "toybox":
		return prefix{}, true
	case "runuser":
		return prefix{short: "ugGsc", long: []string{"user", "command"}}, true
	}
	return prefix{}, false
}

// wrapper reports whether all that a program does is to run the rest of its words.
func wrapper(name string) bool {
	_, ok := prefixes(name)
	return ok || slices.Contains([]string{"xargs", "parallel", "watch", "ssh", "sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "eval", "su"}, name)
}

func runPrefix(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	p, _ := prefixes(name)
	if name == "command" && len(argv) > 1 && strings.HasPrefix(argv[1], "-") && strings.ContainsAny(argv[1], "vV") {
		return which(argv[2:])
	}
	o := ParseOptions(argv[1:], p.short, p.long, name != "script")
	rest := o.Operands
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	if name == "env" {
		for _, split := range o.Values("S", "split-string") {
			s.script(split+" "+quote(rest), in)
		}
	}
	if c, ok := o.Value("c", "command"); ok && (name == "flock" || name == "script" || name == "runuser" || name == "sg") {
		return s.script(c, in)
	}
	if d, ok := o.Value("D", "chdir", "C"); ok && d != "" && (name == "sudo" || name == "env") {
		s.cwd = s.abs(d)
	}
	for range p.skip {
		if len(rest) > 0 {
			rest = rest[1:]
		}
	}
	for p.assigns && len(rest) > 0 && strings.Contains(rest[0], "=") && !strings.HasPrefix(rest[0], "=") {
		k, v, _ := strings.Cut(rest[0], "=")
		s.setVar(k, v)
		s.export(k)
		s.hooked(k, v)
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	if name == "flock" && len(rest) > 1 && (rest[0] == "-c" || rest[0] == "--command") {
		return s.script(rest[1], in)
	}
	if len(rest) == 0 {
		if name == "sudo" && o.Has("s", "i", "shell", "login") {
			return s.invoke([]string{"bash"}, redirs{}, in)
		}
		return Unknown
	}
	if name == "exec" || name == "command" || name == "builtin" {
		s.vars = m.vars
	}
	return s.invoke(rest, redirs{}, in)
}

// quote joins words into a text that parses back into them.
func quote(words []string) string {
	var out []string
	for _, w := range words {
		q, err := syntax.Quote(w, syntax.LangBash)
		if err != nil {
			q = Unknown
		}
		out = append(out, q)
	}
	return strings.Join(out, " ")
}

// runShell is sh and its kin: a text after -c, a script, or the input.
func runShell(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	args := argv[1:]
	command, options := false, 0
	for options < len(args) && len(args[options]) > 1 && (args[options][0] == '-' || args[options][0] == '+') {
		a := args[options]
		options++
		if a == "--" {
			break
		}
		switch {
		case a == "--rcfile" || a == "--init-file" || a == "-o" || a == "+o" || a == "-O" || a == "+O" || a == "--command":
			if a == "--command" {
				command = true
				continue
			}
			options++
		case !strings.HasPrefix(a, "--") && strings.ContainsAny(a, "coO"):
			// Each o among the letters takes a word of its own.
			options += strings.Count(a, "o") + strings.Count(a, "O")
			command = command || strings.Contains(a, "c") && a[0] == '-'
		case !strings.HasPrefix(a, "--") && strings.Contains(a, "s"):
			if !in.piped || in.file {
				return Unknown
			}
			return m.inner(name+" -s", in.text, nil, &stream{})
		}
	}
	rest := args[min(options, len(args)):]
	if command {
		if len(rest) == 0 {
			return ""
		}
		if len(rest) > 1 {
			// The first word after the text is what the text calls $0.
			m = m.sub()
			m.vars["0"] = value{str: rest[1], out: true}
		}
		return m.inner(name+" -c", rest[0], append([]string{}, rest[min(2, len(rest)):]...), in)
	}
	if len(rest) == 0 || rest[0] == "-" || rest[0] == "/dev/stdin" || rest[0] == "/proc/self/fd/0" || rest[0] == "/dev/fd/0" {
		if !in.piped || in.file {
			return ""
		}
		return m.inner(name, in.text, nil, &stream{})
	}
	return m.runFile(name, rest, in)
}

// runFile runs a script file, whose text is known only if this line wrote it.
func (m *machine) runFile(name string, argv []string, in *stream) string {
	path := argv[0]
	if text, ok := m.files[m.abs(path)]; ok {
		return m.own(name+" "+path, path, text, argv[1:], in)
	}
	m.unpacked(m.abs(path))
	if !known(path) && strings.Trim(path, Unknown) == "" {
		m.problem(UnknownScript, "which script is to run is not known")
	}
	return Unknown
}

func runEval(m *machine, argv []string, in *stream) string {
	m.via = append(slices.Clone(m.via), "eval")
	defer func() { m.via = m.via[:len(m.via)-1] }()
	return m.script(strings.Join(argv[1:], " "), in)
}

func runSource(m *machine, argv []string, in *stream) string {
	if len(argv) < 2 {
		return ""
	}
	if text, ok := m.files[m.abs(argv[1])]; ok {
		m.via = append(slices.Clone(m.via), "source")
		defer func() { m.via = m.via[:len(m.via)-1] }()
		return m.script(text, in)
	}
	if strings.HasPrefix(argv[1], "/dev/stdin") || strings.HasPrefix(argv[1], "/dev/fd/0") {
		return m.script(in.text, in)
	}
	return ""
}

// runXargs gives a command the words of its input.
func runXargs(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	short, long := "aEILnPsd", []string{"arg-file", "delimiter", "replace", "max-lines", "max-args", "max-procs", "max-chars"}
	if name == "parallel" {
		short, long = "aIjnNSCd", []string{"jobs", "sshlogin", "joblog", "delay", "timeout", "colsep", "results", "arg-file", "max-args"}
	}
	o := ParseOptions(argv[1:], short, long, true)
	cmd := o.Operands
	items := []string{Unknown}
	if in.piped && strings.Trim(in.text, Unknown+" \n\t") != "" {
		items = strings.FieldsFunc(in.text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == 0 })
		if o.Has("0", "null") && known(in.text) {
			items = strings.FieldsFunc(in.text, func(r rune) bool { return r == 0 })
		}
	}
	if name == "parallel" {
		if i := slices.Index(cmd, ":::"); i >= 0 {
			cmd, items = cmd[:i], cmd[i+1:]
		}
		if len(cmd) == 0 {
			// Without a command the lines themselves are run.
			cmd = []string{"{}"}
			if in.piped && known(in.text) {
				items = strings.Split(in.text, "\n")
			}
		}
	}
	if len(cmd) == 0 {
		return clip(strings.Join(items, " "))
	}
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	token, replace := o.Value("I", "replace", "i")
	if token == "" {
		token = "{}"
	}
	replace = replace || name == "parallel" && strings.Contains(strings.Join(cmd, " "), "{}")
	if !replace {
		if name == "parallel" && len(cmd) == 1 {
			return s.script(cmd[0]+" "+quote(items), &stream{})
		}
		size := len(items)
		if n, err := strconv.Atoi(first(o, "n", "L", "max-args", "max-lines")); err == nil && n > 0 {
			size = n
		}
		for part := range slices.Chunk(items, max(1, size)) {
			s.invoke(append(slices.Clone(cmd), part...), redirs{}, &stream{})
		}
		return Unknown
	}
	if in.piped && name == "xargs" && strings.Trim(in.text, Unknown+" \n\t") != "" {
		// With a token each line is one item, blanks and all.
		items = strings.Split(strings.TrimSuffix(in.text, "\n"), "\n")
	}
	for _, item := range items[:min(len(items), 100)] {
		var full []string
		for _, w := range cmd {
			full = append(full, strings.ReplaceAll(w, token, item))
		}
		if name == "parallel" {
			s.script(strings.Join(full, " "), &stream{})
			continue
		}
		s.invoke(full, redirs{}, &stream{})
	}
	return Unknown
}

func first(o Options, names ...string) string {
	v, _ := o.Value(names...)
	return v
}

// runFind walks what find executes and writes, as what it prints, its roots
// with an unknown path below each and the name that was asked for.
func runFind(m *machine, argv []string, _ *stream) string {
	var roots []string
	i := 1
	for ; i < len(argv) && !strings.HasPrefix(argv[i], "-") && argv[i] != "(" && argv[i] != "!"; i++ {
		roots = append(roots, argv[i])
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	tail := Unknown
	for j, a := range argv[i:] {
		if (a == "-name" || a == "-iname") && i+j+1 < len(argv) && !(i+j > 0 && (argv[i+j-1] == "!" || argv[i+j-1] == "-not")) {
			tail = Unknown + "/" + argv[i+j+1]
		}
	}
	var out strings.Builder
	for _, r := range roots {
		if tail == Unknown {
			out.WriteString(r + "\n")
		}
		out.WriteString(strings.TrimSuffix(r, "/") + "/" + tail + "\n")
	}
	found := strings.Fields(out.String())
	for j := i; j < len(argv); j++ {
		if !slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir"}, argv[j]) {
			continue
		}
		end := j + 1
		for end < len(argv) && argv[end] != ";" && !(argv[end] == "+" && argv[end-1] == "{}") {
			end++
		}
		s := m.sub()
		s.via = append(slices.Clone(m.via), "find "+argv[j])
		for _, f := range found {
			var full []string
			for _, w := range argv[j+1 : end] {
				full = append(full, strings.ReplaceAll(w, "{}", f))
			}
			s.invoke(full, redirs{}, &stream{text: Unknown})
		}
		j = end
	}
	return out.String()
}

// runJoined is a program that hands its operands, joined by blanks, to a shell.
func runJoined(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	s := m.sub()
	s.via = append(slices.Clone(m.via), name)
	var rest []string
	switch name {
	case "watch":
		rest = ParseOptions(argv[1:], "n", []string{"interval"}, true).Operands
	case "ssh", "autossh":
		rest = ParseOptions(argv[1:], "BbcDEeFIiJLlmOopQRSWw", nil, true).Operands
		s.cwd, s.remote = Unknown, true
		if len(rest) > 0 && Here(rest[0]) {
			s.cwd, s.remote = m.home.User, false
		}
		rest = rest[min(1, len(rest)):]
		if len(rest) == 0 && in.piped && !in.file {
			return s.script(in.text, &stream{})
		}
	case "su":
		o := ParseOptions(argv[1:], "cgGsw", []string{"command", "group", "shell"}, false)
		if c, ok := o.Value("c", "command"); ok {
			return s.script(c, in)
		}
		if in.piped {
			return s.script(in.text, &stream{})
		}
		return ""
	case "at", "batch":
		if in.piped {
			return s.script(in.text, &stream{})
		}
		return ""
	case "trap":
		o := argv[1:]
		if len(o) > 0 && o[0] == "--" {
			o = o[1:]
		}
		if len(o) > 1 && o[0] != "-" && !strings.HasPrefix(o[0], "-") {
			return s.script(o[0], in)
		}
		return ""
	case "alias":
		for _, a := range argv[1:] {
			if name, text, ok := strings.Cut(a, "="); ok {
				s.script(text, in)
				m.alias(name, text)
			}
		}
		return ""
	case "nix-shell":
		if c, ok := ParseOptions(argv[1:], "pA", []string{"run", "command"}, false).Value("run", "command"); ok {
			return s.script(c, in)
		}
		return Unknown
	}
	if len(rest) == 0 {
		return ""
	}
	return s.script(strings.Join(rest, " "), in)
}

// runContainer walks the command of docker and kubectl exec, and that of run
// when the container sees a part of the host.
func runContainer(m *machine, argv []string, in *stream) string {
	words := ParseOptions(argv[1:], "HlcnfF", []string{"host", "context", "config", "log-level", "namespace", "kubeconfig", "file", "project-name", "cluster"}, true).Operands
	if len(words) > 0 && (words[0] == "container" || words[0] == "compose") {
		words = ParseOptions(words[1:], "fp", []string{"file", "project-name", "profile", "env-file"}, true).Operands
	}
	if len(words) == 0 {
		return Unknown
	}
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0])+" "+words[0])
	s.cwd, s.remote = Unknown, true
	var rest []string
	switch words[0] {
	case "exec":
		if filepath.Base(argv[0]) == "kubectl" {
			if i := slices.Index(words, "--"); i >= 0 {
				return s.invoke(words[i+1:], redirs{}, in)
			}
		}
		rest = ParseOptions(words[1:], "euwnc", []string{"env", "user", "workdir", "env-file", "detach-keys", "index", "namespace", "container"}, true).Operands
	case "run", "create":
		o := ParseOptions(words[1:], "aceghlmpuvw", []string{"name", "volume", "mount", "env", "env-file", "network", "net", "user", "workdir", "entrypoint", "publish", "cpus", "memory", "platform", "label", "add-host", "restart", "hostname", "pull", "device", "cap-add", "cap-drop", "security-opt", "tmpfs", "ulimit", "gpus", "shm-size", "log-driver", "log-opt", "pid", "ipc", "ip", "dns", "group-add", "volumes-from", "link", "cgroupns", "userns", "runtime", "expose", "health-cmd"}, true)
		rest = o.Operands
		if e, ok := o.Value("entrypoint"); ok && len(rest) > 0 {
			rest = append([]string{rest[0], e}, rest[1:]...)
		}
		if tool := program.OfImage(first(o, "entrypoint"), rest); len(tool) > 0 {
			return s.invoke(tool, redirs{}, in)
		}
		if len(o.Values("v", "volume", "mount")) == 0 {
			return Unknown
		}
	case "debug":
		if i := slices.Index(words, "--"); i >= 0 && i+1 < len(words) {
			return s.invoke(words[i+1:], redirs{}, in)
		}
		return Unknown
	default:
		return Unknown
	}
	if len(rest) > 1 {
		return s.invoke(rest[1:], redirs{}, in)
	}
	if len(rest) == 1 && words[0] == "exec" && in.piped {
		return s.script(in.text, &stream{})
	}
	return Unknown
}

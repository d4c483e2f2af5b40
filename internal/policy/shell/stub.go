package shell

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"

	"phantom/internal/policy/program"
)

// runner walks into what a program runs and returns what it prints.
type runner func(m *machine, argv []string, in *stream) string

// programs returns what is known of a program beyond its words; nil if nothing.
func programs(name string) runner {
	if _, ok := prefixes(name); ok {
		return runPrefix
	}
	if strings.HasPrefix(name, "ld-linux") || strings.HasPrefix(name, "ld-musl") || name == "ld.so" {
		return runLoader
	}
	switch name {
	case "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "rbash", "csh", "tcsh":
		return runShell
	case "eval":
		return runEval
	case "source", ".":
		return runSource
	case "xargs", "parallel":
		return runXargs
	case "find", "gfind":
		return runFind
	case "fd", "fdfind":
		return runFd
	case "make", "gmake", "bmake", "just":
		return runMake
	case "cmake":
		return runCMake
	case "ssh-agent", "direnv", "mise", "fnm":
		// Without a command their output is made to be evaluated: it sets up the shell.
		return func(m *machine, argv []string, in *stream) string {
			runOther(m, argv, in)
			return ""
		}
	case "watch", "ssh", "autossh", "su", "at", "batch", "trap", "alias", "nix-shell":
		return runJoined
	case "screen":
		return runScreen
	case "tmux", "byobu":
		return runTmux
	case "start-stop-daemon", "daemonize", "daemon":
		return runDaemon
	case "npx", "bunx", "pnpx", "uvx", "pipx", "pnpm", "yarn", "bun":
		return runPackaged
	case "docker", "podman", "nerdctl", "kubectl", "oc":
		return runContainer
	case "ansible", "salt", "salt-call", "pdsh", "pssh", "parallel-ssh", "clush", "dsh":
		return runFleet
	case "git":
		return runGit
	}
	if kind := language(name); kind != "" {
		return runCode
	}
	if stub := filters(name); stub != nil {
		return func(m *machine, argv []string, in *stream) string { return clip(stub(m, argv, in)) }
	}
	if state := builtins(name); state != nil {
		return state
	}
	if program.Inert(name) {
		return nil
	}
	return runOther
}

// filters are the programs whose output follows from what they are given.
func filters(name string) runner {
	switch name {
	case "echo":
		return echo
	case "printf":
		return printf
	case "cat":
		return cat
	case "tee", "sponge":
		return tee
	case "grep", "egrep", "fgrep", "head", "tail", "sort", "uniq", "shuf", "pv", "nl":
		return filter
	case "base64", "base32", "openssl", "xxd", "rev", "tr", "tac", "uudecode":
		return decode
	case "dirname", "basename", "realpath", "readlink":
		return paths
	case "mktemp":
		return func(*machine, []string, *stream) string { return "/tmp/tmp.phantom" }
	case "pwd":
		return func(m *machine, _ []string, _ *stream) string { return m.cwd }
	case "ls":
		return list
	case "hostname":
		return func(_ *machine, argv []string, _ *stream) string {
			if slices.ContainsFunc(argv[1:], func(a string) bool { return strings.Trim(a, "-fs") != "" }) {
				return Unknown
			}
			return "localhost"
		}
	case "which", "type":
		return func(_ *machine, argv []string, _ *stream) string { return which(argv[1:]) }
	case "curl", "wget", "aria2c", "fetch", "http", "https", "xh":
		return fetch
	case "cp", "mv", "ln", "install":
		return copied
	case "tar", "bsdtar", "gtar", "unzip", "7z", "7za", "unar", "cpio", "gunzip", "unxz", "bunzip2", "unzstd", "gzip", "xz", "zstd", "bzip2":
		return unpack
	case "pgrep", "pidof":
		return func(_ *machine, argv []string, _ *stream) string { return Unknown + strings.Join(argv[1:], "") }
	case "pyenv", "rbenv", "nodenv", "starship", "zoxide", "brew", "minikube", "docker-machine", "opam", "dircolors", "resize", "luarocks", "keychain", "thefuck", "register-python-argcomplete":
		// Their output is made to be evaluated: it sets up the shell.
		return func(*machine, []string, *stream) string { return "" }
	case "true", "false", ":":
		return func(*machine, []string, *stream) string { return "" }
	}
	return nil
}

func which(args []string) string {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		if !strings.Contains(a, "/") && program.Guarded(a) {
			return "/usr/bin/" + a
		}
		return a
	}
	return Unknown
}

func echo(_ *machine, argv []string, _ *stream) string {
	args, escapes, end := argv[1:], false, "\n"
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		if strings.Contains(args[0], "n") {
			end = ""
		}
		escapes = strings.Contains(args[0], "e")
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if escapes {
		text = unescaped(text)
	}
	return text + end
}

// octal is an octal escape as echo -e and %b write it, with one digit more than
// a format has.
var octal = regexp.MustCompile(`\\0([0-7]{1,3})`)

func unescaped(text string) string {
	text = octal.ReplaceAllString(text, `\$1`)
	out, _, err := expand.Format(nil, strings.ReplaceAll(text, "%", "%%"), nil)
	if err != nil {
		return Unknown
	}
	return out
}

// verbs returns the letters of a format's conversions, in order.
func conversions(format string) string {
	var out strings.Builder
	for rest := format; ; {
		_, after, ok := strings.Cut(rest, "%")
		if !ok {
			return out.String()
		}
		if rest = strings.TrimLeft(after, "-+ #0123456789."); rest == "" {
			return out.String()
		}
		if rest[0] != '%' || rest != after {
			out.WriteByte(rest[0])
		}
		rest = rest[1:]
	}
}

func printf(m *machine, argv []string, _ *stream) string {
	args := argv[1:]
	name := ""
	if len(args) > 1 && args[0] == "-v" {
		name, args = args[1], args[2:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return ""
	}
	out := formatted(args[0], args[1:])
	if name != "" {
		m.setVar(name, out)
		return ""
	}
	return out
}

func formatted(format string, args []string) string {
	digits := 0
	for _, c := range format {
		// A width of five digits would be padding that nobody wants to see.
		if digits++; c < '0' || c > '9' {
			digits = 0
		}
		if digits > 4 || c == '*' {
			return Unknown
		}
	}
	if kinds := conversions(format); strings.Contains(kinds, "b") {
		args = slices.Clone(args)
		for i, a := range args {
			if kinds[i%len(kinds)] == 'b' {
				args[i] = unescaped(a)
			}
		}
		format = strings.ReplaceAll(format, "%b", "%s")
	}
	var out strings.Builder
	for {
		s, n, err := expand.Format(nil, format, args)
		if err != nil {
			return Unknown
		}
		out.WriteString(s)
		if n == 0 || n >= len(args) || out.Len() > maxText {
			return out.String()
		}
		args = args[n:]
	}
}

func cat(m *machine, argv []string, in *stream) string {
	files := ParseOptions(argv[1:], "", nil, false).Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	var out strings.Builder
	for _, f := range files {
		if f == "-" || f == "/dev/stdin" {
			if in.piped {
				out.WriteString(in.text)
			} else {
				out.WriteString(Unknown)
			}
			continue
		}
		out.WriteString(m.content(f))
	}
	return out.String()
}

func tee(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "", nil, false)
	for _, f := range o.Operands {
		m.save(f, in.text, o.Has("a", "append"))
	}
	return in.text
}

// filter passes its input on: the lines that remain are among those that came in.
func filter(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "ABCmefnckt", []string{"regexp", "file", "lines", "key"}, false)
	name := filepath.Base(argv[0])
	if strings.HasSuffix(name, "grep") && o.Has("o", "only-matching", "c", "count", "l", "L", "q") || o.Has("c") && name != "sort" || name == "nl" {
		return Unknown
	}
	files := o.Operands
	if strings.HasSuffix(name, "grep") && !o.Has("e", "f") && len(files) > 0 {
		files = files[1:]
	}
	if len(files) == 0 && in.piped {
		return in.text
	}
	return cat(m, append([]string{"cat"}, files...), in)
}

// decode is the programs that turn a text into another one.
func decode(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	o := ParseOptions(argv[1:], "wcslgo", []string{"wrap"}, false)
	text := in.text
	if files := o.Operands; name != "tr" && name != "openssl" && len(files) > 0 {
		text = cat(m, append([]string{"cat"}, files...), in)
	}
	if !known(text) {
		return Unknown
	}
	var out []byte
	var err error
	switch name {
	case "base64", "openssl":
		if name == "openssl" && !slices.Contains(argv, "base64") && !slices.Contains(argv, "-base64") && !slices.Contains(argv, "-a") {
			return Unknown
		}
		if !o.Has("d", "D", "decode") && !slices.Contains(argv, "-d") {
			return base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
		}
		out, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	case "base32":
		if !o.Has("d", "decode") {
			return Unknown
		}
		out, err = base32.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	case "xxd":
		if !o.Has("r") || !o.Has("p") {
			return Unknown
		}
		out, err = hex.DecodeString(strings.Join(strings.Fields(text), ""))
	case "rev":
		var lines []string
		for line := range strings.SplitSeq(text, "\n") {
			r := []rune(line)
			slices.Reverse(r)
			lines = append(lines, string(r))
		}
		return strings.Join(lines, "\n")
	case "tac":
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		slices.Reverse(lines)
		return strings.Join(lines, "\n") + "\n"
	case "tr":
		return translate(text, o)
	default:
		return Unknown
	}
	if err != nil {
		return Unknown
	}
	return string(out)
}

func translate(text string, o Options) string {
	if len(o.Operands) == 0 {
		return Unknown
	}
	from := set(o.Operands[0])
	if from == nil || o.Has("C", "complement") {
		return Unknown
	}
	if o.Has("d", "delete") {
		return strings.Map(func(r rune) rune {
			if slices.Contains(from, r) {
				return -1
			}
			return r
		}, text)
	}
	if len(o.Operands) < 2 {
		return text
	}
	to := set(o.Operands[1])
	if len(to) == 0 {
		return Unknown
	}
	return strings.Map(func(r rune) rune {
		if i := slices.Index(from, r); i >= 0 {
			return to[min(i, len(to)-1)]
		}
		return r
	}, text)
}

// set reads a set of tr: characters, ranges, the usual escapes and classes.
func set(s string) []rune {
	for class, span := range map[string]string{"[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:space:]": " \t\n", "[:alpha:]": "A-Za-z", `\n`: "\n", `\t`: "\t", `\\`: `\`} {
		s = strings.ReplaceAll(s, class, span)
	}
	if strings.Contains(s, "[:") || strings.Contains(s, `\`) {
		return nil
	}
	in := []rune(s)
	var out []rune
	for i := 0; i < len(in); i++ {
		if i+2 < len(in) && in[i+1] == '-' && in[i+2] >= in[i] && in[i+2]-in[i] < 256 {
			for r := in[i]; r <= in[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, in[i])
	}
	return out
}

func paths(m *machine, argv []string, _ *stream) string {
	o := ParseOptions(argv[1:], "s", []string{"suffix"}, false)
	if len(o.Operands) == 0 {
		return Unknown
	}
	p := o.Operands[0]
	if !known(p) {
		return Unknown
	}
	switch filepath.Base(argv[0]) {
	case "dirname":
		return filepath.Dir(p)
	case "basename":
		if len(o.Operands) > 1 {
			return strings.TrimSuffix(filepath.Base(p), o.Operands[1])
		}
		return filepath.Base(p)
	}
	return m.abs(p)
}

// fetch marks the files that a download makes: their text is unknown.
func fetch(m *machine, argv []string, _ *stream) string {
	m.fetches++
	name := filepath.Base(argv[0])
	short, long := "AbcCdDeEFhHKmoPQrtTuUwxXYyz", []string{"output", "header", "data", "request", "user", "user-agent"}
	if name == "wget" {
		short, long = "oaetOTwQPUlARDIX", []string{"output-document", "output-file", "directory-prefix", "header", "post-data", "user-agent"}
	}
	o := ParseOptions(argv[1:], short, long, false)
	out, named := o.Value("o", "output")
	if name == "wget" {
		out, named = o.Value("O", "output-document")
		if !named {
			for _, u := range o.Operands {
				m.save(filepath.Base(u), Unknown, false)
			}
			return ""
		}
	}
	if named && out != "-" && out != "" {
		m.save(out, Unknown, false)
		return ""
	}
	if name == "curl" && o.Has("O", "remote-name") {
		for _, u := range o.Operands {
			m.save(filepath.Base(u), Unknown, false)
		}
		return ""
	}
	return Unknown
}

// copied follows the texts that the line wrote to their new names.
func copied(m *machine, argv []string, in *stream) string {
	files := ParseOptions(argv[1:], "tSmog", nil, false).Operands
	if len(files) < 2 {
		return ""
	}
	to := files[len(files)-1]
	if filepath.Base(argv[0]) == "ln" && ParseOptions(argv[1:], "tS", nil, false).Has("s", "symbolic") {
		for _, f := range files[:len(files)-1] {
			at := f
			if !filepath.IsAbs(f) && !strings.HasPrefix(f, Unknown) {
				at = filepath.Join(filepath.Dir(m.abs(to)), f)
			}
			m.links[m.abs(to)] = at
			if base := filepath.Base(f); base != "." && base != ".." { // there is no such link, and none is what it stands for
				m.links[filepath.Join(m.abs(to), base)] = at
			}
		}
	}
	for _, f := range files[:len(files)-1] {
		text, ok := m.files[m.abs(f)]
		if (f == "/dev/stdin" || f == "/dev/fd/0" || f == "/proc/self/fd/0") && in.piped {
			text, ok = in.text, true
		}
		if dir := filepath.Base(filepath.Dir(f)); !ok && (dir == "bin" || dir == "sbin") && program.Guarded(filepath.Base(f)) {
			// The same program under another name.
			text, ok = f+` "$@"`, true
		}
		if ok {
			m.save(to, text, false)
			m.save(filepath.Join(to, filepath.Base(f)), text, false)
		}
	}
	return ""
}

package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// language names what an interpreter reads; "" if name is not an interpreter.
func language(name string) string {
	name = strings.TrimRight(name, "0123456789.")
	switch name {
	case "python", "pypy", "ipython", "perl", "ruby", "node", "nodejs", "php", "lua", "luajit", "bun", "deno", "tclsh", "osascript", "Rscript", "awk", "gawk", "mawk", "nawk", "julia", "expect", "groovy", "irb", "jruby", "guile", "jshell", "ghc", "ghci", "scala", "swift", "elixir", "iex", "erl", "clojure", "racket", "sbcl", "ocaml", "octave", "raku", "nim", "crystal", "emacs", "vim", "vi", "nvim", "ex", "sed", "gsed":
		return name
	}
	return ""
}

// runCode finds the code that an interpreter is given and reads it.
func runCode(m *machine, argv []string, in *stream) string {
	name := filepath.Base(argv[0])
	lang, args := language(name), argv[1:]
	var codes []string
	script := "data"
	switch lang {
	case "awk", "gawk", "mawk", "nawk":
		o := ParseOptions(args, "Fvfe", []string{"field-separator", "assign", "file", "source"}, true)
		codes = o.Values("e", "source")
		if len(o.Operands) > 0 && !o.Has("f", "file") && len(codes) == 0 {
			codes = o.Operands[:1]
		}
		m.awk(name, codes, in)
		return Unknown
	case "sed", "gsed":
		o := ParseOptions(args, "efl", []string{"expression", "file"}, false)
		codes = o.Values("e", "expression")
		if len(codes) == 0 && len(o.Operands) > 0 {
			codes = o.Operands[:1]
		}
		m.sed(codes)
		return Unknown
	case "vim", "vi", "nvim", "ex", "emacs":
		codes = m.editor(name, args, in)
	default:
		codes, script = inline(lang, args)
	}
	for _, a := range args {
		if len(codes) == 0 && (strings.HasPrefix(a, "https://") || strings.HasPrefix(a, "http://")) && !slices.Contains([]string{"vim", "vi", "nvim", "emacs"}, lang) && (a == script || lang == "deno" || lang == "bun") {
			m.problem(UnknownScript, name+" runs a program from "+a)
		}
	}
	for _, c := range codes {
		if strings.Contains(c, Unknown) && strings.Trim(c, Unknown+" \n;\"'") == "" && script != "data" {
			m.problem(UnknownScript, "the code that "+name+" is to run is not known")
			continue
		}
		if lang == "expect" || lang == "tclsh" {
			m.tcl(name, c)
			continue
		}
		m.code(name, c, false)
		if (lang == "node" || lang == "bun") && slices.ContainsFunc(args, func(a string) bool { return a == "-p" || a == "--print" || a == "-pe" }) {
			m.code(name, "print("+c+")", false)
		}
	}
	if len(codes) > 0 || script == "data" {
		return Unknown
	}
	text, ours := in.text, in.piped && !in.file
	if script != "" && script != "-" {
		text, ours = m.files[m.abs(script)]
	}
	switch {
	case !ours:
		if strings.Contains(script, "/") {
			m.unpacked(m.abs(script))
		}
	case text != "" && strings.Trim(text, Unknown+" \n") == "":
		m.problem(UnknownScript, "the code that "+name+" is to run is not known")
	case lang == "expect" || lang == "tclsh":
		m.tcl(name, text)
	default:
		m.code(name, text, false)
	}
	return Unknown
}

// libraries are the options of an interpreter that take a value which is no code.
func libraries(lang string) []string {
	switch lang {
	case "python", "pypy", "ipython":
		return []string{"-W", "-X"}
	case "perl":
		return []string{"-I", "-M", "-F"}
	case "ruby", "jruby":
		return []string{"-r", "-I", "-W", "-F"}
	case "node", "nodejs", "bun", "deno":
		return []string{"-r", "--require", "--import", "--loader"}
	case "php":
		return []string{"-d", "-c"}
	}
	return nil
}

// awk walks what programs of awk run by pipes and calls, and the files that
// they write.
func (m *machine) awk(name string, codes []string, in *stream) {
	for _, c := range codes {
		if strings.Trim(c, Unknown) == "" && m.fetches > 0 {
			m.problem(UnknownScript, "the code that "+name+" is to run is not known")
		}
		if in.piped && feeds(c) {
			// The lines of the input are what it runs.
			m.inner(name, in.text, nil, &stream{})
		}
		m.code(name, c, strings.Contains(c, "|") || strings.Contains(c, "getline"))
		for rest := c; ; {
			_, after, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			rest = after
			if t := strings.TrimLeft(after, "> "); strings.HasPrefix(t, "\"") {
				file, _ := quoted(t, 1, "\"")
				m.wrote(file)
			}
		}
	}
}

// tcl walks what a script of tcl or expect starts, deletes, or types into what
// it started.
func (m *machine) tcl(name, text string) {
	s := m.sub()
	s.via = append(slices.Clone(m.via), name+" code")
	for stmt := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ';' }) {
		for _, start := range []string{"spawn", "exec", "system"} {
			at := strings.Index(stmt, start+" ")
			if at < 0 || at > 0 && !strings.ContainsRune(" \t[{", rune(stmt[at-1])) {
				continue
			}
			cmd := strings.TrimSpace(stmt[at+len(start):])
			for strings.HasPrefix(cmd, "-") {
				_, cmd, _ = strings.Cut(cmd, " ")
			}
			cmd = strings.TrimRight(strings.NewReplacer("{", "'", "}", "'").Replace(cmd), "]'")
			if strings.Count(cmd, "'")%2 == 1 {
				cmd += "'"
			}
			s.script(cmd, &stream{})
		}
		if _, files, ok := strings.Cut(stmt, "file delete"); ok {
			s.emit(Call{Argv: append([]string{"rm", "-rf", "--"}, ParseOptions(strings.Fields(strings.Trim(files, " ]}\"")), "", nil, false).Operands...)})
		}
	}
	_, lits := lex(text)
	for _, lit := range lits {
		s.guess(strings.TrimSpace(lit))
	}
}

// inline returns the code among an interpreter's arguments, or its script.
func inline(lang string, args []string) (codes []string, script string) {
	short, long := "c", []string(nil)
	switch lang {
	case "perl":
		short = "eE"
	case "php":
		short, long = "r", []string{"--run"}
	case "node", "nodejs", "deno", "bun":
		short, long = "ep", []string{"--eval", "--print"}
		if len(args) > 1 && args[0] == "eval" {
			return args[1:2], ""
		}
	case "lua", "luajit", "ruby", "ghc", "elixir", "scala", "raku", "racket", "clojure", "ocaml", "Rscript", "osascript", "julia", "groovy", "jruby":
		short, long = "e", []string{"--eval"}
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case !strings.HasPrefix(a, "-") || a == "-" || a == "--":
			return codes, a
		case slices.Contains(long, a) && i+1 < len(args):
			i++
			codes = append(codes, args[i])
		case slices.Contains(libraries(lang), a) && i+1 < len(args):
			i++
		case len(a) > 2 && slices.Contains(libraries(lang), a[:2]):
			// A library, a path or a warning in the same word.
		default:
			at := strings.IndexAny(a[1:], short)
			if at < 0 {
				if a == "-m" {
					// A module by name: its code is not on the line, but for modules that run code.
					if i+1 < len(args) && slices.Contains([]string{"timeit", "profile", "cProfile", "pdb", "trace"}, args[i+1]) {
						codes = slices.DeleteFunc(slices.Clone(args[i+2:]), func(c string) bool { return !strings.Contains(c, "(") })
					}
					return codes, "data"
				}
				continue
			}
			rest := a[2+at:]
			// Letters may follow -e in perl and ruby, where code is longer than that.
			bundled := (lang == "perl" || lang == "ruby") && len(rest) <= 2
			if rest != "" && !bundled {
				codes = append(codes, rest)
			} else if i+1 < len(args) {
				i++
				codes = append(codes, args[i])
			}
			if strings.HasPrefix(lang, "py") || lang == "php" {
				return codes, ""
			}
		}
	}
	return codes, ""
}

// runners are the words by which code of any of the languages runs programs.
func runners() []string {
	return []string{"system", "popen", "subprocess", "exec", "execl", "execlp", "execv", "execvp", "execSync", "spawn", "spawnSync", "spawnlp", "check_output", "check_call", "Popen", "run", "getoutput", "getstatusoutput", "shell_exec", "passthru", "proc_open", "child_process", "execFile", "execFileSync", "qx", "backtick", "pty", "execute", "doShellScript", "shell", "Command", "IO", "Open3", "posix_spawn", "command", "call", "ShellString"}
}

// code reads a text in a programming language: its string literals are what
// it can name, its words are what it can do with them.
func (m *machine) code(via, text string, runs bool) {
	if !m.live() || m.depth > maxDepth {
		m.halt(TooDeep, "code runs code more than six deep")
		return
	}
	m.depth++
	defer func() { m.depth-- }()
	words, lits := lex(text)
	if runs {
		words = append(words, "system")
	}
	lits = m.homed(words, lits)
	for _, l := range lits {
		// A call by name, as in getattr(os, "system").
		if slices.Contains([]string{"system", "popen", "rmtree", "exec", "execSync", "spawn", "rmSync", "unlink", "subprocess", "child_process"}, l) {
			words = append(words, l)
		}
	}
	if strings.HasPrefix(via, "lua") && contains(words, "load", "dofile") && strings.Contains(text, "http") {
		m.problem(HiddenCode, "the code runs a text that it fetches")
	}
	if contains(words, "eval", "exec", "Function", "instance_eval", "class_eval", "loadstring", "runInThisContext", "runInNewContext", "run_path", "execfile") && fetching(words, text) {
		m.problem(HiddenCode, "the code runs a text that it fetches")
	}
	if contains(words, "execute", "executescript", "executemany", "query", "exec", "prepare", "raw", "do", "run", "sql", "ExecContext", "Exec") {
		for _, l := range lits {
			if strings.Contains(l, " ") {
				m.emit(Call{Argv: []string{"sqlite3", "database", l}})
			}
		}
	}
	recursive := strings.Contains(text, "recursive") && contains(words, "unlink", "removeSync", "remove", "rm")
	searches := contains(words, "walk", "glob", "rglob", "iterdir", "scandir", "listdir", "readdirSync", "Dir") && contains(words, "remove", "unlink", "rmdir", "unlinkSync", "delete")
	if picks := searches && !recursive && contains(words, "endswith", "startswith", "suffix", "fnmatch", "splitext", "glob", "match", "end_with", "endsWith", "startsWith", "extname", "ext", "test") && !contains(words, deleters()...); picks {
		// Of what it finds it takes some: no tree goes.
		searches = false
		for _, l := range lits {
			if dir := strings.TrimSpace(l); dir == "." || strings.ContainsAny(dir, "/~") {
				m.emit(Call{Argv: []string{"rm", "-f", "--", filepath.Join(filepath.Dir(dir+"/"), Unknown)}})
			}
		}
	}
	if recursive || searches || strings.Contains(text, "delete-directory") || strings.Contains(text, "delete-file") {
		words = append(words, "rmtree")
	}
	if strings.HasPrefix(via, "emacs") && slices.ContainsFunc([]string{"write-region", "write-file", "append-to-file", "copy-file", "rename-file", "make-symbolic-link"}, func(f string) bool { return strings.Contains(text, f) }) {
		words = append(words, "fwrite")
	}
	if strings.Contains(text, "delete(") && slices.Contains([]string{"vim", "vi", "nvim", "ex"}, via) {
		words = append(words, "rmtree")
	}
	has := func(list []string) bool { return contains(words, list...) }
	s := m.sub()
	s.via = append(slices.Clone(m.via), via+" code")
	if has([]string{"exec", "eval", "Function", "loadstring", "instance_eval", "system", "popen", "subprocess"}) &&
		has([]string{"b64decode", "decode_base64", "base64_decode", "unhexlify", "fromhex", "fromCharCode", "atob", "decompress", "rot13", "str_rot13", "strrev", "urlopen", "urlretrieve", "chr", "gzinflate", "decode64", "hex2bin"}) && !has([]string{"environ", "argv"}) {
		m.problem(HiddenCode, "the code runs a text that it decodes or fetches")
	}
	if why := bomb(text, words, lits); why != "" {
		m.problem(ForkBomb, why)
	}
	if has([]string{"exec", "eval", "system", "popen", "subprocess", "execSync"}) && (strings.Contains(text, `"[::-1]`) || strings.Contains(text, `'[::-1]`) || len(text) < 300 && has([]string{"reverse", "reversed", "strrev"})) {
		m.problem(HiddenCode, "the code runs a text that it turns round")
	}
	if has([]string{"eval", "exec", "Function"}) && strings.Contains(text, "Buffer.from") {
		m.problem(HiddenCode, "the code runs a text that it decodes")
	}
	if has([]string{"eval", "exec", "instance_eval", "loadstring", "load", "timeit"}) {
		for _, l := range lits {
			if strings.ContainsAny(l, "(;`") && l != text {
				s.code(via, l, false)
			}
		}
	}
	if has([]string{"socket", "Socket", "TCPSocket", "fsockopen", "net"}) && (has([]string{"dup2", "fsockopen", "TCPSocket"}) && has([]string{"exec", "spawn", "popen", "pty", "call", "dup2", "proc_open", "system"}) || strings.Contains(text, `">&`) && has([]string{"exec"}) || has([]string{"connect"}) && has([]string{"pty"}) || has([]string{"net"}) && has([]string{"pipe"}) && has([]string{"spawn", "exec"})) {
		m.problem(HiddenCode, "the code gives another machine a shell")
	}
	if dumps(text) {
		s.emit(Call{Argv: []string{"env"}})
	}
	for _, name := range shown(text) {
		s.emit(Call{Argv: []string{"printenv", name}})
	}
	s.effects(words, has, lits)
}

// noise reports whether a literal can be no command: a lone word of plain prose or an option.
func (m *machine) noise(lit string) bool { return strings.HasPrefix(lit, "-") || len(lit) > 4096 }

// lex splits code into words and string literals. Adjacent and added literals
// are one, as they are for the languages. A backquote stands among the words
// because in most of them it runs a shell.
func lex(text string) (words, lits []string) {
	glue := false
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'' || c == '"' || c == '`':
			q := string(c)
			if strings.HasPrefix(text[i:], strings.Repeat(q, 3)) {
				q = strings.Repeat(q, 3)
			}
			lit, end := quoted(text, i+len(q), q)
			if c == '`' {
				words = append(words, "`")
			}
			if glue && len(lits) > 0 {
				lits[len(lits)-1] += lit
			} else {
				lits = append(lits, lit)
			}
			i, glue = end, true
			continue
		case c == '#' && (i == 0 || text[i-1] == '\n' || text[i-1] == ' ') || c == '/' && strings.HasPrefix(text[i:], "// "):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case isWord(c):
			j := i
			for j < len(text) && isWord(text[j]) {
				j++
			}
			w := text[i:j]
			words = append(words, w)
			if j < len(text) && (w == "q" || w == "qq" || w == "qx" || w == "qw" || w == "x" && i > 0 && text[i-1] == '%') && strings.ContainsRune("{([<|/!", rune(text[j])) {
				closer := map[byte]string{'{': "}", '(': ")", '[': "]", '<': ">"}[text[j]]
				if closer == "" {
					closer = text[j : j+1]
				}
				lit, end := quoted(text, j+1, closer)
				if w == "qw" {
					lits = append(lits, strings.Fields(lit)...)
				} else {
					lits = append(lits, lit)
				}
				if w == "x" {
					words = append(words, "`")
				}
				j = end
			}
			i, glue = j, false
			continue
		case c == '+' || c == ' ' || c == '.' || c == '\n' || c == '\t':
		default:
			glue = false
		}
		i++
	}
	return words, lits
}

// quoted reads a literal up to its closing quote.
func quoted(text string, i int, q string) (string, int) {
	var b strings.Builder
	for i < len(text) && !strings.HasPrefix(text[i:], q) {
		if text[i] == '\\' && i+1 < len(text) {
			i++
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'x', 'u':
				r, n := escape(text[i+1:])
				b.WriteString(r)
				i += n
			default:
				b.WriteByte(text[i])
			}
			i++
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String(), min(i+len(q), len(text))
}

// escape reads the two hexadecimal digits of a character.
func escape(s string) (string, int) {
	if len(s) < 2 {
		return "", 0
	}
	v := 0
	for _, c := range s[:2] {
		d := strings.IndexRune("0123456789abcdef", c|0x20)
		if c >= '0' && c <= '9' {
			d = int(c - '0')
		}
		if d < 0 {
			return "", 0
		}
		v = v*16 + d
	}
	return string(rune(v)), 2
}

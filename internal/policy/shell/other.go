package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// runLoader is the dynamic loader, which runs the program it is given.
func runLoader(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "", []string{"library-path", "preload", "argv0", "audit"}, true)
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0]))
	return s.invoke(o.Operands, redirs{}, in)
}

// relinked returns words with the links in them that the line made replaced by
// where they lead. What only takes the link itself away leaves its target alone.
func (m *machine) relinked(name string, words []string) (bool, []string) {
	moved, out := false, slices.Clone(words)
	itself := slices.Contains([]string{"rm", "unlink", "mv", "ln", "readlink", "ls", "stat", "test", "["}, name)
	for i, w := range out {
		if name != "" && i == 0 || w == "" {
			continue
		}
		key, value, set := strings.Cut(w, "=")
		if set = set && key != "" && value != "" && !strings.Contains(key, "/"); set {
			w = value
		}
		path := m.abs(w)
		for link, to := range m.links {
			rest, ok := strings.CutPrefix(path, link)
			if !ok || rest != "" && rest[0] != '/' || rest == "" && itself && !strings.HasSuffix(w, "/") {
				continue
			}
			out[i], moved = strings.TrimSuffix(to, "/")+rest, true
			if out[i] == "" {
				out[i] = "/"
			}
			if set {
				out[i] = key + "=" + out[i]
			}
			break
		}
	}
	return moved, out
}

// given returns the texts of the files that a command names and the line wrote.
func (m *machine) given(argv []string) string {
	if len(m.files) == 0 || len(argv) > 50 {
		return ""
	}
	var out []string
	for _, a := range argv[1:] {
		_, value, _ := strings.Cut(a, "=")
		for _, w := range append(strings.Fields(a)[:min(4, len(strings.Fields(a)))], value) {
			if text, ok := m.files[m.abs(w)]; ok && w != "" && len(out) < 10 {
				out = append(out, text)
			}
		}
	}
	return clip(strings.Join(out, "\n;\n"))
}

// GitWords returns the subcommand of a git command line and its arguments,
// without the options that stand before it.
func GitWords(argv []string) []string {
	return ParseOptions(argv[1:], "Cc", []string{"git-dir", "work-tree", "namespace", "exec-path", "super-prefix", "config-env"}, true).Operands
}

// GitReads returns the files that git shows, or takes among its own.
func GitReads(w []string) []string {
	switch o := ParseOptions(w[1:], "", nil, false); {
	case w[0] == "hash-object", w[0] == "diff" && o.Has("no-index"):
		return o.Operands
	case w[0] == "show", w[0] == "cat-file":
		var out []string
		for _, a := range o.Operands {
			if _, path, ok := strings.Cut(a, ":"); ok {
				out = append(out, path)
			}
		}
		return out
	}
	return nil
}

// runGit walks the commands that git is told to run for it.
func runGit(m *machine, argv []string, _ *stream) string {
	s := m.sub()
	s.via = append(slices.Clone(m.via), "git")
	lead := ParseOptions(argv[1:], "Cc", []string{"git-dir", "work-tree", "namespace", "exec-path", "config-env"}, true)
	for _, c := range lead.Values("c") {
		key, value, _ := strings.Cut(c, "=")
		s.setting(key, value)
	}
	words := lead.Operands
	if len(words) < 2 {
		return Unknown
	}
	for i, w := range words {
		if cmd, ok := strings.CutPrefix(w, "ext::"); ok {
			s.script(cmd, &stream{})
		}
		if i > 0 && slices.Contains([]string{"-c", "--config"}, words[i-1]) && words[0] == "clone" {
			key, value, _ := strings.Cut(w, "=")
			s.setting(key, value)
		}
		if v, ok := strings.CutPrefix(w, "--config="); ok {
			key, value, _ := strings.Cut(v, "=")
			s.setting(key, value)
		}
	}
	if words[0] == "clone" || words[0] == "fetch" || words[0] == "ls-remote" || words[0] == "pull" {
		for _, f := range values(words[1:], []string{"-u"}) {
			if strings.Contains(f.value, " ") {
				s.script(f.value, &stream{})
			}
		}
	}
	switch words[0] {
	case "submodule":
		if i := slices.Index(words, "foreach"); i >= 0 {
			s.cwd = Unknown
			rest := ParseOptions(words[i+1:], "", nil, true).Operands
			s.script(strings.Join(rest, " "), &stream{})
		}
	case "bisect":
		if words[1] == "run" {
			s.invoke(words[2:], redirs{}, &stream{})
		}
	case "rebase":
		if x, ok := ParseOptions(words[1:], "xs", []string{"exec", "onto", "strategy"}, false).Value("x", "exec"); ok {
			s.script(x, &stream{})
		}
	case "config":
		rest := ParseOptions(words[1:], "f", []string{"file", "type"}, false).Operands
		if len(rest) > 0 && rest[0] == "set" {
			rest = rest[1:]
		}
		if len(rest) > 1 {
			s.setting(rest[0], rest[1])
		}
	case "rev-parse":
		return Unknown
	}
	return Unknown
}

// setting walks a git setting whose value is a command.
func (m *machine) setting(key, value string) {
	key = strings.ToLower(key)
	if cmd, ok := strings.CutPrefix(value, "!"); ok {
		m.script(cmd, &stream{})
		return
	}
	for _, suffix := range []string{"pager", "editor", "sshcommand", "fsmonitor", "askpass", "external", "textconv", ".cmd", "program", "helper", ".clean", ".smudge", ".process", ".driver", "uploadpack", "receivepack", "command", "gitproxy", ".path", "tocmd", "cccmd"} {
		if strings.HasSuffix(key, suffix) && strings.Contains(value, " ") {
			m.script(value, &stream{})
			return
		}
	}
	if strings.HasPrefix(key, "alias.") {
		m.invoke(append([]string{"git"}, strings.Fields(value)...), redirs{}, &stream{})
	}
}

package shell

import (
	"slices"
	"strings"
)

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
	for _, n := range []string{"0", "1", "2", "3"} {
		if key, ok := m.vars["GIT_CONFIG_KEY_"+n]; ok {
			s.setting(key.str, m.vars["GIT_CONFIG_VALUE_"+n].str)
		}
	}
	for _, c := range lead.Values("config-env") {
		key, name, _ := strings.Cut(c, "=")
		s.setting(key, m.vars[name].str)
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
		o := ParseOptions(words[1:], "f", []string{"file", "type", "default"}, false)
		rest := o.Operands
		if file, ok := o.Value("f", "file"); ok && (len(rest) > 1 || o.Has("unset", "unset-all", "add", "replace-all", "remove-section", "rename-section", "e", "edit")) {
			s.wrote(file)
		}
		if len(rest) > 0 && rest[0] == "set" {
			rest = rest[1:]
		}
		if len(rest) > 1 {
			s.setting(rest[0], rest[1])
		}
	case "diff", "log", "show", "archive", "format-patch", "bundle":
		o := ParseOptions(words[1:], "oGSUnO", []string{"output", "format", "prefix", "remote", "since", "until", "author", "grep", "output-directory"}, false)
		for _, file := range o.Values("output") {
			s.wrote(file)
		}
		if file, ok := o.Value("o"); ok && words[0] == "archive" {
			s.wrote(file)
		}
		if words[0] == "bundle" && words[1] == "create" && len(o.Operands) > 1 {
			s.wrote(o.Operands[1])
		}
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
	// A switch, or a program that only the run knows, is no command line.
	plain := slices.Contains([]string{"", "true", "false", "auto", "always", "never", "0", "1"}, strings.TrimSpace(value)) || strings.Trim(value, Unknown) == ""
	if strings.HasPrefix(key, "pager.") && !plain {
		m.script(value, &stream{})
		return
	}
	for _, suffix := range []string{"pager", "editor", "sshcommand", "fsmonitor", "askpass", "external", "textconv", ".cmd", "program", "helper", ".clean", ".smudge", ".process", ".driver", "uploadpack", "receivepack", "command", "gitproxy", ".path", "tocmd", "cccmd"} {
		if strings.HasSuffix(key, suffix) && !plain {
			m.script(value, &stream{})
			return
		}
	}
	if strings.HasPrefix(key, "alias.") {
		m.invoke(append([]string{"git"}, strings.Fields(value)...), redirs{}, &stream{})
	}
}

package dynamic

import (
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/tool/file"
)

// program is a tool with the bytes that it would run.
type program struct {
	Tool
	body     []byte
	hash     string
	language language
	options  []string // of the interpreter, from the script's first line
}

// language is how scripts of one kind are run and judged.
type language struct {
	names   []string   // in a script's first line
	ends    []string   // of a script's name
	command [][]string // interpreters, the first one that there is runs the script
	options *regexp.Regexp
	eval    string // gives the guard a piece of it; "" if it is read as shell
}

// languages are those that a script may be in.
var languages = [...]language{
	{[]string{"bash"}, []string{".sh"}, [][]string{{"bash", "--noprofile", "--norc"}}, regexp.MustCompile(`^-[eufx]+$`), ""},
	{[]string{"sh", "dash"}, nil, [][]string{{"sh"}}, regexp.MustCompile(`^-[eufx]+$`), ""},
	{[]string{"python3", "python"}, []string{".py"}, [][]string{{"python3"}}, regexp.MustCompile(`^-[BEIOsSu]+$`), "python3 -c "},
	{[]string{"bun"}, []string{".js", ".ts"}, [][]string{{"bun", "--env-file=", "run"}, {"node"}}, nil, "node -e "},
	{[]string{"node"}, nil, [][]string{{"node"}}, nil, "node -e "},
	{[]string{"perl"}, []string{".pl"}, [][]string{{"perl"}}, regexp.MustCompile(`^-[w]$`), "perl -e "},
	{[]string{"ruby"}, []string{".rb"}, [][]string{{"ruby"}}, regexp.MustCompile(`^-[w]$`), "ruby -e "},
}

// open reads what a tool would run now and checks that it is what was
// registered, if it was.
func (r *Registry) open(t Tool) (program, error) {
	p := program{Tool: t, body: []byte(t.Code)}
	if t.Handler == Script {
		if err := r.readScript(&p); err != nil {
			return program{}, fmt.Errorf("script %s: %w", t.Path, err)
		}
	}
	p.hash = digest(p.body)
	if t.Hash != "" && t.Hash != p.hash {
		return program{}, fmt.Errorf("script %s was changed since it was registered (it has %s, it had %s): register the tool again if that is right", t.Path, p.hash, t.Hash)
	}
	return p, nil
}

func (r *Registry) readScript(p *program) error {
	at := filepath.Join(r.Places.Workspace, p.Path)
	if !file.Within([]string{r.Places.Workspace}, at) || file.Within(r.Places.Protected, at) {
		return fmt.Errorf("it is not in the workspace %s", r.Places.Workspace)
	}
	var err error
	if p.body, err = r.files.Whole(at, maxScript); err != nil {
		return err
	}
	if !isText(string(p.body)) {
		return fmt.Errorf("it is no text")
	}
	p.language, p.options, err = languageOf(p.Path, p.body)
	return err
}

// languageOf reads the first line of a script, or goes by its name.
func languageOf(name string, body []byte) (language, []string, error) {
	first, _, _ := bytes.Cut(body, []byte("\n"))
	line, interpreted := strings.CutPrefix(string(first), "#!")
	if !interpreted {
		for _, l := range languages {
			if slices.Contains(l.ends, path.Ext(name)) {
				return l, nil, nil
			}
		}
		return language{}, nil, fmt.Errorf("it says neither by a first line such as #!/bin/bash nor by its name (.sh, .py, .js, .ts, .pl, .rb) what runs it")
	}
	words := strings.Fields(line)
	if len(words) > 0 && path.Base(words[0]) == "env" {
		words = words[1:]
		if len(words) > 0 && words[0] == "-S" {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return language{}, nil, fmt.Errorf("its first line names no interpreter")
	}
	for _, l := range languages {
		if !slices.Contains(l.names, path.Base(words[0])) {
			continue
		}
		for _, option := range words[1:] {
			if l.options == nil || !l.options.MatchString(option) {
				return language{}, nil, fmt.Errorf("the option %.40q in its first line is not allowed: set it in the script", option)
			}
		}
		return l, words[1:], nil
	}
	return language{}, nil, fmt.Errorf("its interpreter %.80q is none of bash, sh, python3, bun, node, perl, ruby", words[0])
}

const (
	// window is how many lines of a script, other than a shell's, the guard
	// reads at once: it bounds what it reads, and has no grammar for these.
	window  = 80
	overlap = 20 // lines that two neighbouring windows share
)

// judge returns what the guard says of a program.
func (r *Registry) judge(p program) phantom.Verdict {
	if p.Handler == Shell || p.language.eval == "" {
		return r.Guard.Command(string(p.body), r.Places.Workspace)
	}
	verdict := phantom.Allowed()
	lines := strings.SplitAfter(string(p.body), "\n")
	for from := 0; ; from += window - overlap {
		to := min(from+window, len(lines))
		piece := strings.Join(lines[from:to], "")
		if strings.TrimSpace(piece) != "" {
			verdict = verdict.Stricter(r.Guard.Command(p.language.eval+quote(piece), r.Places.Workspace))
		}
		if to == len(lines) {
			return verdict
		}
	}
}

// quote makes one word of a text for the shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// refusal says why the guard does not let a program run.
func refusal(v phantom.Verdict) error {
	reason := v.Reason
	if reason == "" {
		reason = "the guard gave no reason"
	}
	text := "the guard refuses the code: " + reason
	if v.Decision == phantom.Ask {
		text = "the guard lets the code run only if the owner is asked, in a turn of the agent: " + reason
	}
	if v.Rule != "" {
		text += " (rule " + v.Rule + ")"
	}
	if v.Suggestion != "" {
		text += ". Instead: " + v.Suggestion
	}
	return fmt.Errorf("%s", text)
}

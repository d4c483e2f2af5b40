// Package shell derives from a command line, without running anything, every
// simple command that a shell would run for it.
//
// It owns the parsing limits, the dry run, the unwrapping of programs that run
// other programs, and the reading of code that interpreters are given. The dry
// run expands words with the shell library's own expander and walks every
// branch, because a branch that the guard did not see is a hole. What only the
// real run could know is the rune Unknown. It refuses to open a file, make a
// pipe or start a process, and it keeps no state between two lines. Only
// package policy uses it; it judges nothing itself.
package shell

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// Unknown stands in a word for text that only the real run would know. It is
// a private-use rune; a line that holds it already is merely less known.
const Unknown = "\uE000"

// The bounds of one derivation. Whatever goes over one becomes a problem or
// an unknown value, never a longer wait.
const (
	maxInput  = 100_000
	maxNest   = 200
	maxDepth  = 6
	maxRounds = 1_000
	maxText   = 64 << 10
	maxServed = 4 << 20
	maxCalls  = 5_000
	timeLimit = 200 * time.Millisecond
)

// The kinds of problem: what made a line impossible to derive in full.
const (
	TooLarge       = "too-large"
	TooDeep        = "too-deep"
	TooLong        = "too-long"
	Unparsable     = "unparsable"
	UnknownScript  = "unknown-script"
	UnknownProgram = "unknown-program"
	ForkBomb       = "fork-bomb"
	HiddenCode     = "hidden-code"
)

// Problem is a finding about the line's form, apart from any one command.
type Problem struct {
	Kind   string   `json:"kind"`
	Detail string   `json:"detail"`
	Via    []string `json:"via,omitempty"`
}

// Call is one simple command that the line would run.
type Call struct {
	Argv    []string `json:"argv"`
	Cwd     string   `json:"cwd"`
	Via     []string `json:"via,omitempty"`    // the wrappers around it, outermost first
	Writes  []string `json:"writes,omitempty"` // redirections that write
	Reads   []string `json:"reads,omitempty"`  // redirections that read
	Stdin   string   `json:"-"`                // text that it reads, if it is fed any
	Given   string   `json:"-"`                // text of files it names that the line itself wrote
	Piped   bool     `json:"piped,omitempty"`  // its input is a pipe, here-document or file
	Env     []string `json:"env,omitempty"`    // NAME=value of what the line set of its environment
	Next    []string `json:"-"`                // words of the command that its output is piped to
	Wrapper bool     `json:"wrapper,omitempty"`
	Remote  bool     `json:"remote,omitempty"` // runs in a container or on another machine
}

// Name returns the program's name without its directory.
func (c Call) Name() string {
	if len(c.Argv) == 0 {
		return ""
	}
	return filepath.Base(c.Argv[0])
}

// Result is all that a line would do, as far as can be known.
type Result struct {
	Calls    []Call
	Problems []Problem
}

// Home holds the two directories that words can name without a path.
type Home struct {
	Dir     string // what ~ and $HOME mean to the line
	User    string // what ~name means for any name but root
	Phantom string // Phantom's own home
}

// Derive walks line as bash would run it in cwd.
func Derive(line, cwd string, home Home) Result {
	r := &run{home: home, files: map[string]string{}, links: map[string]string{}, hashed: map[string]string{}, aliases: map[string]string{}, active: map[string]int{}, end: time.Now().Add(timeLimit)}
	m := &machine{run: r, vars: map[string]value{}, funcs: map[string]*function{}, cwd: cwd}
	m.script(line, &stream{})
	m.uncalled()
	return Result{Calls: r.calls, Problems: r.problems}
}

// run is what all the subshells of one derivation share.
type run struct {
	home     Home
	calls    []Call
	problems []Problem
	files    map[string]string // what the line itself wrote, or fetched as Unknown
	links    map[string]string // where the symbolic links lead that the line made
	hashed   map[string]string // the programs that the line gave other names
	aliases  map[string]string // the words that stand for a text
	active   map[string]int    // the line's own scripts that run, with their copies in the background
	foreign  []string          // directories into which the line unpacked what it fetched
	fetches  int
	served   int // bytes of variables handed to expansions
	rounds   int
	fd       int
	end      time.Time
	halted   bool
	ticks    int
}

// halt ends the derivation: the rest of the line stays unseen, so the problem refuses it.
func (m *machine) halt(kind, detail string) {
	if !m.halted {
		m.halted = true
		m.problem(kind, detail)
	}
}

func (m *machine) problem(kind, detail string) {
	if len(m.problems) < 100 {
		m.problems = append(m.problems, Problem{kind, detail, slices.Clone(m.via)})
	}
}

// live reports whether the derivation may go on, at a cost of a clock reading now and then.
func (m *machine) live() bool {
	m.ticks++
	if m.ticks%64 == 0 && time.Now().After(m.end) {
		m.halt(TooLong, "the line takes too long to judge")
	}
	if len(m.calls) > maxCalls {
		m.halt(TooLong, "the line runs too many commands to judge")
	}
	return !m.halted
}

// parse checks the limits first: the parser is quadratic in nesting, and an
// overflow of the Go stack cannot be recovered from.
func parse(text string) (*syntax.File, string, string) {
	if len(text) > maxInput {
		return nil, TooLarge, "the text is over 100 kB"
	}
	if deepest(text) > maxNest {
		return nil, TooDeep, "brackets or quotes are nested deeper than 200"
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, Unparsable, err.Error()
	}
	return f, "", ""
}

// deepest bounds from above how deep text can nest, in one pass that knows no
// quoting: brackets count where they stand, and compound words and
// substitution quotes count wherever one could open.
func deepest(text string) int {
	depth, most, words, word, bangs, chain := 0, 0, 0, 0, 0, 0
	for i := 0; i <= len(text); i++ {
		c := byte(' ')
		if i < len(text) {
			c = text[i]
		}
		switch c {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth = max(0, depth-1)
		case '`':
			// Backquotes nest only behind backslashes, which double at each level.
			if i > 0 && text[i-1] == '\\' {
				depth++
			}
		case '!', '~':
			// Runs of these nest in tests and in arithmetic without a bracket.
			bangs++
		case '&', '|':
			// A chain is a tree as deep as it is long, walked with little stack.
			chain++
		}
		if 'a' <= c && c <= 'z' {
			continue
		}
		switch text[min(word, i):i] {
		case "if", "for", "while", "until", "case", "select", "time", "coproc", "function":
			words++
		case "fi", "done", "esac":
			words = max(0, words-1)
		}
		word = i + 1
		if c == '\n' || c == ';' {
			bangs, chain = 0, 0
		}
		most = max(most, depth+words, depth+bangs/2, chain/50)
	}
	return most
}

// stream is the standard input of a command.
type stream struct {
	text  string
	piped bool
	file  bool // a file of the machine's: running it is running a script by name
	web   bool // fetched, or made of what was
}

func known(s string) bool { return !strings.Contains(s, Unknown) }

// clip keeps a text within the bound beyond which it counts as unknown.
func clip(s string) string {
	if len(s) > maxText {
		return Unknown
	}
	return s
}

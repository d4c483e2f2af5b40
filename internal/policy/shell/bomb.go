package shell

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// forever reports whether a loop's condition never changes.
func forever(c *syntax.WhileClause) bool {
	if len(c.Cond) == 0 || c.Cond[len(c.Cond)-1].Negated {
		return false
	}
	last := c.Cond[len(c.Cond)-1]
	switch cond := last.Cmd.(type) {
	case *syntax.ArithmCmd:
		return !c.Until && steady(cond.X)
	case *syntax.TestClause:
		w, ok := cond.X.(*syntax.Word)
		return ok && !c.Until && w.Lit() != ""
	}
	words := heads(last)
	switch {
	case len(words) == 1:
		return c.Until == (words[0] == "false") && slices.Contains([]string{"true", ":", "1", "false"}, words[0])
	case len(words) > 1 && (words[0] == "[" || words[0] == "test"):
		words = slices.DeleteFunc(words[1:], func(w string) bool { return w == "]" })
		return !c.Until && len(words) == 1 && known(words[0])
	}
	return len(words) == 2 && words[0] == "sleep" && !c.Until && strings.Trim(words[1], "0.") == ""
}

// steady reports whether an arithmetic condition is true whatever happens.
func steady(x syntax.ArithmExpr) bool {
	if x == nil {
		return true
	}
	w, ok := x.(*syntax.Word)
	return ok && w.Lit() != "" && strings.Trim(w.Lit(), "0123456789") == "" && strings.Trim(w.Lit(), "0") != ""
}

// spawns reports whether statements start a background process and neither
// wait, pause nor end. What waits in the background holds up nobody.
func spawns(list []*syntax.Stmt) bool {
	back, pause := false, false
	for _, s := range list {
		syntax.Walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Stmt:
				back = back || n.Background
				return !n.Background
			case *syntax.CoprocClause:
				back = true
				return false
			case *syntax.CallExpr:
				words := heads(&syntax.Stmt{Cmd: n})
				if len(words) == 0 {
					break
				}
				switch words[0] {
				case "wait", "break", "exit", "return", "read", "inotifywait":
					pause = true
				case "sleep":
					pause = pause || len(words) < 2 || strings.Trim(words[1], "0.") != ""
				case "nohup", "setsid":
					back = back || words[0] == "setsid" && slices.Contains(words, "-f")
				}
			}
			return true
		})
	}
	return back && !pause
}

// bomb says why code starts processes without end, if it does.
func bomb(text string, words, lits []string) string {
	waits := contains(words, "wait", "waitpid", "pcntl_wait", "pcntl_waitpid", "sleep", "communicate", "await", "spawnSync", "break", "join")
	detached := slices.ContainsFunc(lits, func(l string) bool {
		l = strings.TrimSpace(l)
		return strings.HasSuffix(l, "&") && !strings.HasSuffix(l, "&&")
	})
	runs := contains(words, "spawn", "Popen", "fork", "popen", "execFile", "proc_open", "Process", "posix_spawn", "startProcess") ||
		contains(words, "child_process") && contains(words, "exec") || detached && contains(words, "system", "exec", "shell_exec", "passthru", "run", "call", "`", "getline", "print", "execute")
	switch {
	case forks(words):
		return "the code forks in an endless loop"
	case endless(text) && runs && !waits:
		return "the code starts processes in an endless loop"
	case contains(words, "spawn", "fork", "execFile", "Popen") && contains(words, "execArgv"):
		return "the code starts itself again"
	case calls(text) && (runs || contains(words, "fork", "pcntl_fork")) && !waits:
		return "a function of the code starts processes and calls itself"
	}
	return ""
}

// declared is a function without parameters in any of the languages.
var declared = regexp.MustCompile(`(?:function|def|sub|func|fn|proc)\s+([A-Za-z_]\w*)|([A-Za-z_]\w*)\s*=\s*(?:function\s*\(\)|\(\)\s*=>|lambda\s*:|->\s*\{)`)

// calls reports whether a function calls itself and is called: without
// arguments, since one that counts down would take some.
func calls(text string) bool {
	for _, at := range declared.FindAllStringSubmatch(text, 20) {
		name := at[1] + at[2]
		n := times(text, name+"()") + times(text, name+".call") + times(text, name+";")
		if at[1] == "" || strings.Contains(text, "sub "+name) {
			n++ // its declaration has no brackets of its own
		}
		if n > 2 && !strings.Contains(text, "setTimeout("+name) && !strings.Contains(text, "exit") {
			return true
		}
	}
	return false
}

// times counts where text holds a call as a word of its own.
func times(text, call string) int {
	n := 0
	for at := 0; ; {
		i := strings.Index(text[at:], call)
		if i < 0 {
			return n
		}
		if at += i; at == 0 || !isWord(text[at-1]) && text[at-1] != '.' {
			n++
		}
		at += len(call)
	}
}

// endless reports whether code has a loop without an end.
func endless(text string) bool {
	flat := strings.NewReplacer(" ", "", "\t", "").Replace(text)
	return strings.HasSuffix(strings.TrimRight(flat, ";}\n"), "while1") || slices.ContainsFunc([]string{
		"for(;;)", "for(;1;)", "while(1)", "while(true)", "while(!0)", "while(!false)", "whileTrue:", "while1:", "while(True)", "whiletrue", "while1;", "untilfalse", "until(0)", "loop{", "loopdo", "forever", "repeat{",
	}, func(s string) bool { return strings.Contains(flat, s) })
}

func forks(words []string) bool {
	n, loop := 0, false
	for _, w := range words {
		if w == "fork" || w == "pcntl_fork" || w == "forkpty" {
			n++
		}
		loop = loop || w == "while" || w == "loop" || w == "for" || w == "until"
	}
	return n > 1 && loop || n == 1 && loop && !contains(words, "wait", "waitpid", "pcntl_wait", "pcntl_waitpid", "waitall", "_exit")
}

package rule

import (
	"fmt"
	"regexp"
	"strings"

	"phantom/internal/phantom"
)

// programs finds lines for the shell in texts.
type programs struct {
	span *regexp.Regexp // `code`
	line *regexp.Regexp // a program and what looks like its words, in prose
	pipe *regexp.Regexp // what fetches and runs
	away *regexp.Regexp // what carries files or outputs away
}

func newPrograms() programs {
	names := `rm|dd|mkfs\S*|chmod|chown|curl|wget|git|docker|kubectl|terraform|shutdown|reboot|halt|kill|killall|pkill|sudo|su|psql|mysql|aws|gcloud|az|systemctl|iptables|ufw|nc|ncat|bash|sh|zsh|eval|python3?|perl|ruby|node|find|crontab|mv|cp|shred|wipefs|fdisk|truncate|scp|rsync|ssh|passwd|useradd|usermod|history|unset|export|setenforce|mount|umount|base64|openssl|xargs|tee|npm|pip|redis-cli|mongo|helm|printenv|env|cat`
	return programs{
		span: regexp.MustCompile("`[^`\n]+`"),
		line: regexp.MustCompile(`(?m)(?:^|[\s:;,("'$>])((?:` + names + `)\s[^\n` + "`" + `]*)`),
		pipe: regexp.MustCompile(`(?i)\b(curl|wget|fetch|iwr|invoke-webrequest|http|lynx|base64|openssl|echo|printf)\b[^\n]*\|\s*(sudo\s+)?(/\S*/)?(ba|z|k|da|a|c)?sh\b|\b(curl|wget)\b[^\n]*\|\s*(sudo\s+)?(python|perl|ruby|node|php)|\b(ba|z)?sh\s+(-c\s+)?["']?(<\(|\$\()\s*(curl|wget)|\beval\s+["']?\$\(|\biex\b`),
		away: regexp.MustCompile(`(?i)\|\s*(nc|ncat|netcat|socat|telnet)\s+\S|\bcurl\b[^\n|]*\s(-T|-F|-d|--data\S*|--form|--upload-file)[ =]?["']?\S*@`),
	}
}

// runs refuses what the guard refuses to run, and what it would ask the owner
// about if the text says not to ask. A line that the text forbids is none.
func (r *Rules) runs(s string) error {
	for _, where := range r.shell.pipe.FindAllStringIndex(s, -1) {
		if !r.forbidden(s, where[0]) {
			return fmt.Errorf("commands: it fetches and runs")
		}
	}
	for _, where := range r.shell.away.FindAllStringIndex(s, -1) {
		if !r.forbidden(s, where[0]) {
			return fmt.Errorf("commands: it carries data away")
		}
	}
	for _, where := range r.shell.span.FindAllStringIndex(s, -1) {
		if err := r.judge(s, s[where[0]+1:where[1]-1], where[0]); err != nil {
			return err
		}
	}
	bare := r.shell.span.ReplaceAllStringFunc(s, func(code string) string { return strings.Repeat(" ", len(code)) })
	for _, where := range r.shell.line.FindAllStringSubmatchIndex(bare, -1) {
		if err := r.prose(s, bare[where[2]:where[3]], where[2]); err != nil {
			return err
		}
	}
	return nil
}

// prose judges a line that begins in the middle of a sentence: as a whole, and
// only as many words of it as look like a command's.
func (r *Rules) prose(s, line string, at int) error {
	words := strings.Fields(line)
	n := 1
	for n < len(words) && strings.ContainsAny(words[n], "-/~*|>=:$.&") {
		n++
	}
	if n == 1 && len(words) > 2 && strings.ContainsAny(words[2], "-/~*|>=:$") {
		n = 3 // a program with a command of its own: git push --force
		for n < len(words) && strings.ContainsAny(words[n], "-/~*|>=:$.&") {
			n++
		}
	}
	if n == 1 {
		return nil
	}
	for _, size := range []int{n, min(n+1, len(words)), min(n+2, len(words)), len(words)} {
		if err := r.judge(s, strings.TrimRight(strings.Join(words[:size], " "), ".,;!?\"')"), at); err != nil {
			return err
		}
	}
	return nil
}

// judge judges one line that stands at a place of s.
func (r *Rules) judge(s, line string, at int) error {
	v := r.command(line)
	switch {
	case v.Decision == phantom.Allow, v.Family == "opaque", r.forbidden(s, at):
		return nil
	case v.Decision == phantom.Block:
		return fmt.Errorf("commands: the guard refuses %q (%s)", line, v.Rule)
	case v.Decision != phantom.Ask:
		return fmt.Errorf("commands: the guard gave no verdict on %q", line)
	}
	for _, tokens := range r.read(s) {
		for i, t := range tokens {
			if t.is.has(r.eager) && !r.grammar.denied(tokens, i) {
				return fmt.Errorf("commands: the guard would ask the owner about %q, and the text says not to wait", line)
			}
		}
	}
	return nil
}

// forbidden reports whether the text says not to do what stands at a place.
func (r *Rules) forbidden(s string, at int) bool {
	tokens := r.read(s[:at] + " xherex")[0]
	if len(tokens) == 0 {
		return false
	}
	return r.grammar.denied(tokens, len(tokens)-1)
}

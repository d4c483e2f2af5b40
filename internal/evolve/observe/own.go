package observe

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"phantom/internal/memory/speech"
)

// cuts tell what stands in a message without being its writer's word.
type cuts struct{ fence, letter, handed, mine, log, quoted, code, bullet, goesOn, unfinished *regexp.Regexp }

func compiledCuts() func() *cuts {
	return sync.OnceValue(func() *cuts {
		m := regexp.MustCompile
		return &cuts{
			fence: m("(?s)~~~.*?(?:~~~|$)|<(?:pre|blockquote|code|document|mail|email)\\b.*?(?:</(?:pre|blockquote|code|document|mail|email)>|$)"),
			// From here on it is another's letter.
			letter: m(`(?im)^[ \t]*(?:-{2,} ?(?:original|forwarded|weitergeleitete|ursprüngliche|message transféré|mensaje reenviado)\b.*|begin forwarded message:?|(?:on|am|le|el|em|il) [^\n]{5,90}(?:wrote|schrieb|a écrit|escribió|escreveu|ha scritto)[^\n]{0,60}:|(?:from|von|de|da|от): [^\n]*@.*|(?:subject|betreff|objet|asunto|assunto|oggetto|тема): .*)$`),
			// What follows the colon is what a task is about.
			handed: m(`(?is)\b(?:summari[sz]e|sum (?:\S+ ){0,3}?up|translate|proof-?read|rewrite|rephrase|review|reply to|respond to|answer to|explain|analy[sz]e|check|read|look at|classify|zusammenfass\w*|fass\w*|übersetz\w*|résume\w*|traduis\w*|traduce|resume|here(?:'s| is| are)|this|these|the following|below|(?:he|she|they|\pL+) (?:wrote|writes|says|said|sent|replied|asks|asked|mailed|states))\b[^\n]{0,80}?:\s.*`),
			mine:   m(`(?i)(?:(?:^|[\s,;.!])i\s*$|\b(?:rules?|remember|learn)\s*$)`), // "I already said: …", "remember the following: …"
			log:    m(`^(?:\t| {4}|\[?\d{4}-\d\d-\d\d[T ]\d\d|\[?\d\d:\d\d:\d\d|(?:ERROR|WARN(?:ING)?|INFO|DEBUG|FATAL|TRACE|panic|goroutine|Traceback|Exception|fatal|error|warning)\b ?[:\[(]|at \S+\(|File "|\$ |# |\+ ?\S|- ?\S*[{}();=]|\| |@@ |diff )|[{};]\s*$`),
			quoted: m(`(?s)„[^“”]{6,}[“”]|‹[^›]{6,}›|「[^」]*」|‘[^’]{24,}’|(?:^|[\s(:])'[^'\n]{12,}'(?:[\s).,;:]|$)`),
			code:   m("`[^`\n]{40,}`"),
			bullet: m(`^(?:[-*•–] +|\d{1,2}[.)] +)`),
			// A line that a mail program broke.
			goesOn:     m(`^(?:without|unless|except|but|and|or|in|for|when|if|until|before|after|to|with|on|of|from|at|by|than|as|not)\b`),
			unfinished: m(`(?i)(?:,|\b(?:without|unless|except|but|and|or|in|for|when|if|until|before|after|to|with|on|of|from|at|by|than|as|not|the|a|an|never|always))$`),
		}
	})
}

var cutters = compiledCuts()

// words are the words of a message that are its writer's own.
func words(text string) string {
	c := cutters()
	text = strings.ReplaceAll(text, "\r", "")
	text = c.fence.ReplaceAllString(text, "\n")
	if at := c.letter.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	for from := 0; ; {
		at := c.handed.FindStringIndex(text[from:])
		if at == nil {
			break
		}
		if begin := from + at[0]; !c.mine.MatchString(text[:begin]) && !strings.HasPrefix(strings.ToLower(text[begin:]), "i ") {
			text = text[:begin]
			break
		}
		_, size := utf8.DecodeRuneInString(text[from+at[0]:])
		from += at[0] + size
		if rest := strings.IndexAny(text[from:], " \n"); rest >= 0 { // behind the word: "already said", not "lready said"
			from += rest
		}
	}
	text = c.code.ReplaceAllString(c.quoted.ReplaceAllString(text, " … "), "…")
	var kept []string
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced || !c.log.MatchString(strings.TrimRight(line, "\n")) {
			kept = append(kept, strings.TrimSuffix(line, "\n"))
		}
	}
	own := speech.Own([]string{strings.Join(kept, "\n")})
	if at := strings.IndexAny(own, `"“”„«»`); at >= 0 && strings.Count(own, `"`)%2 == 1 { // a quotation without an end
		own = own[:at]
	}
	return unwrapped(own)
}

// unwrapped are words with lines that only go on put together: half of
// "never deploy without tests" says something else.
func unwrapped(own string) string {
	c := cutters()
	var lines []string
	for line := range strings.SplitSeq(own, "\n") {
		if n := len(lines) - 1; n >= 0 && line != "" && !strings.HasSuffix(lines[n], ".") && (c.goesOn.MatchString(line) || c.unfinished.MatchString(lines[n]) ||
			len(lines[n]) >= 50 && line[0] >= 'a' && line[0] <= 'z') {
			lines[n] += " " + line
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

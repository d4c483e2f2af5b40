// Package quote tells what the writer of a message wrote from what is only
// repeated in it.
//
// It owns the shapes in which mail programs write quotes, histories, forwarded
// messages and signatures, in the languages that are common. It is pure. What
// it does not recognise stays the writer's.
package quote

import (
	"regexp"
	"strings"
)

// Split tells apart what the writer of a message wrote now from what others
// wrote, or wrote earlier: quoted lines, the history below, a forwarded
// message, the signature. Those are not the writer's words, whatever they say.
// rest is "" if there is nothing of the kind; if the writer answered between
// quoted lines, it is the whole text, because the answers make no sense alone.
func Split(text string) (own, rest string) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	end := history(lines)
	var kept, others []string
	between := false // own words stand below quoted ones
	for i := 0; i < end; {
		n := attribution(lines[i:end])
		if n == 0 && quoted(lines[i]) {
			n = 1
		}
		if n > 0 {
			others = append(others, lines[i:i+n]...)
			i += n
			continue
		}
		between = between || len(others) > 0 && strings.TrimSpace(lines[i]) != ""
		kept = append(kept, lines[i])
		i++
	}
	own = strings.TrimSpace(strings.Join(kept, "\n"))
	if between {
		return own, strings.TrimSpace(strings.Join(lines, "\n"))
	}
	return own, strings.TrimSpace(strings.Join(append(others, lines[end:]...), "\n"))
}

func quoted(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), ">") }

var (
	// divider is a line that programs put above a message that they forward or
	// answer.
	divider = regexp.MustCompile(`(?i)^[ *]*[-_]{2,}\s*(original message|original appointment|forwarded message|forwarded by .*|ursprüngliche nachricht|weitergeleitete nachricht|message d'origine|message original|message transféré|mensaje original|mensaje reenviado|forwarded message|messaggio originale|messaggio inoltrato|oorspronkelijk bericht|doorgestuurd bericht|mensagem original|mensagem encaminhada)\s*[-_]*[ *]*$` +
		`|^(begin forwarded message|anfang der weitergeleiteten nachricht|début du message réexpédié|inicio del mensaje reenviado|inizio messaggio inoltrato)\s*:\s*$`)
	// author and heads begin the lines of a header that is written into a text:
	// the first, and the others.
	authors = regexp.MustCompile(`(?i)^[ *]*(from|von|de|da|van)[ *]*:`)
	heads   = regexp.MustCompile(`(?i)^[ *]*(sent|date|to|cc|subject|reply-to|gesendet|datum|an|betreff|envoyé|à|objet|enviado|enviado el|fecha|para|asunto|inviato|data|a|oggetto|verzonden|aan|onderwerp|assunto)[ *]*:`)
	// wrote ends the line in which a program says whose words follow, and
	// opening begins it.
	wrote   = regexp.MustCompile(`(?i)(\bwrote|\bschrieb\b.*|a écrit|escribió|ha scritto|\bschreef\b.*|escreveu)\s*:$`)
	opening = regexp.MustCompile(`(?i)^(on|am|le|el|il|op|em)\b.*\d`)
	moment  = regexp.MustCompile(`\d{4}|\d[:.h]\d\d`)
)

// history returns the index of the line with which the rest of the text is no
// longer the writer's, or the number of lines.
func history(lines []string) int {
	for i, line := range lines {
		bare := strings.TrimRight(line, " \t")
		rule := len(bare) >= 10 && strings.Trim(bare, "_") == ""
		switch {
		case bare == "--", divider.MatchString(bare), header(lines[i:]), rule && header(lines[i+1:]):
			return i
		case attribution(lines[i:]) > 0 && !answersBelow(lines[i:]):
			return i
		}
	}
	return len(lines)
}

// header reports whether lines begin with a header that a program wrote into
// the text: an author and two such lines more, with nothing but blank lines
// between.
func header(lines []string) bool {
	if len(lines) == 0 || !authors.MatchString(lines[0]) {
		return false
	}
	found := 0
	for _, line := range lines[1:] {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if !heads.MatchString(line) {
			return false
		}
		if found++; found == 2 {
			return true
		}
	}
	return false
}

// attribution returns how many lines at the beginning say whose words follow:
// one or two, or 0 if none do.
func attribution(lines []string) int {
	if len(lines) == 0 || quoted(lines[0]) {
		return 0
	}
	first := strings.TrimSpace(lines[0])
	opens := opening.MatchString(first)
	if wrote.MatchString(first) && (opens && moment.MatchString(first) || quotedNext(lines[1:])) {
		return 1
	}
	if !opens || len(lines) < 2 || quoted(lines[1]) {
		return 0
	}
	if both := first + " " + strings.TrimSpace(lines[1]); moment.MatchString(both) && wrote.MatchString(both) {
		return 2
	}
	return 0
}

// quotedNext reports whether the next line that is not blank is quoted.
func quotedNext(lines []string) bool {
	for _, line := range lines {
		if strings.TrimSpace(line) != "" {
			return quoted(line)
		}
	}
	return false
}

// answersBelow reports whether own words stand below the quoted lines that an
// attribution begins.
func answersBelow(lines []string) bool {
	seen := false
	for _, line := range lines[attribution(lines):] {
		switch {
		case quoted(line):
			seen = true
		case strings.TrimRight(line, " \t") == "--":
			return false
		case strings.TrimSpace(line) != "":
			return seen
		}
	}
	return false
}

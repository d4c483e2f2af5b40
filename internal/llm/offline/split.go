package offline

import "strings"

// The bounds of what is read of one message; more of it is not understood.
const (
	textLimit = 32 << 10
	joinLimit = 200
	lookahead = 4 // joiners that may stand inside one request, when its end is sought
)

const fence = "```"

// joiner is a place where one request may end and the next begin.
type joiner struct {
	from, to int
	sort     sort
}

type sort uint8

const (
	newline sort = iota + 1
	then         // "then", "and then"
	semicolon
	sentence // ". "
	and
)

// parse turns a message into steps. last is the file that "it" means until a
// step of this message writes or reads another.
func parse(table []phrase, text, last string) []step {
	if len(text) > textLimit {
		text = strings.ToValidUTF8(text[:textLimit], "")
	}
	var steps []step
	add := func(request string) {
		if strings.Trim(request, " \t\r\n.,;!") == "" {
			return
		}
		s := understand(table, request, last)
		if p, ok := s.input["path"].(string); ok && p != "" {
			last = p
		}
		steps = append(steps, s)
	}
	joiners := join(text)
	start := 0
	for i, j := range joiners {
		if j.from < start || !separates(table, text, start, joiners[i:]) {
			continue
		}
		add(text[start:j.from])
		start = j.to
	}
	add(text[start:])
	return steps
}

// separates reports whether the first joiner ends the request that began at
// start: a new line always, anything else only where a request follows and the
// present one does not want the words for itself.
func separates(table []phrase, text string, start int, joiners []joiner) bool {
	j := joiners[0]
	if j.sort == newline {
		return true
	}
	if !follows(table, text, joiners) {
		return false
	}
	switch now := understand(table, text[start:j.from], "it"); j.sort {
	case then:
		return !(now.kind == line || now.kind == command) || !strings.HasSuffix(strings.TrimSpace(text[:j.from]), ";")
	case semicolon:
		return now.kind != line && (now.kind != command || !shellWord(text[j.to:]))
	case sentence:
		return now.kind != line && now.kind != command && now.kind != free
	case and:
		return now.kind == strict
	case newline:
	}
	return true
}

// follows reports whether a request begins after the first joiner, wherever it
// ends.
func follows(table []phrase, text string, joiners []joiner) bool {
	from := joiners[0].to
	for i := 1; i <= min(lookahead, len(joiners)); i++ {
		end := len(text)
		if i < len(joiners) {
			end = joiners[i].from
		}
		if end > from && understand(table, text[from:end], "it").kind != unknown {
			return true
		}
		if i < len(joiners) && joiners[i].sort == newline {
			return false
		}
	}
	return false
}

// shellWord reports whether the text goes on as a shell command could: its
// first word is a phrase of ours only by accident.
func shellWord(text string) bool {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return true
	}
	switch words[0] {
	case "write", "save", "put", "list", "search", "remember", "recall", "fetch", "show", "what", "run", "run:", "execute", "replace", "use", "status", "help", "please":
		return false
	case "read":
		return len(words) > 1 && words[1] != "it" && !strings.ContainsAny(words[1], "./")
	}
	return true
}

// join finds the joiners outside quotes, in order.
func join(text string) []joiner {
	var out []joiner
	for i := 0; i < len(text) && len(out) < joinLimit; {
		if end := quoted(text, i); end > i {
			i = end
			continue
		}
		j, ok := joinerAt(text, i)
		if !ok {
			i++
			continue
		}
		out = append(out, j)
		i = j.to
	}
	return out
}

// quoted returns the end of the quotation that begins at i, or i if none does
// or it never ends.
func quoted(text string, i int) int {
	rest := text[i:]
	for _, pair := range [][2]string{{fence, fence}, {"`", "`"}, {`"`, `"`}, {"“", "”"}} {
		if !strings.HasPrefix(rest, pair[0]) {
			continue
		}
		if n := strings.Index(rest[len(pair[0]):], pair[1]); n >= 0 {
			return i + len(pair[0]) + n + len(pair[1])
		}
		return i + len(pair[0])
	}
	return i
}

func joinerAt(text string, i int) (joiner, bool) {
	rest := text[i:]
	switch rest[0] {
	case '\n':
		if strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), fence) {
			return joiner{}, false // what is fenced belongs to the line before it
		}
		return joiner{i, i + 1, newline}, true
	case ';':
		return joiner{i, i + 1, semicolon}, true
	}
	for _, w := range []struct {
		words string
		sort  sort
	}{
		{", and then ", then}, {" and then ", then}, {". then ", then}, {", then ", then}, {" then ", then}, {". ", sentence}, {"! ", sentence}, {"? ", sentence}, {", and ", and}, {" and ", and},
	} {
		if _, ok := cutFold(rest, w.words); ok {
			return joiner{i, i + len(w.words), w.sort}, true
		}
	}
	return joiner{}, false
}

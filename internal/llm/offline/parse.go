package offline

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// The tools that phrases turn into.
const (
	toolBash     = "bash"
	toolRead     = "read_file"
	toolWrite    = "write_file"
	toolEdit     = "edit_file"
	toolList     = "list_files"
	toolSearch   = "search_files"
	toolFetch    = "web_fetch"
	toolRemember = "remember"
	toolRecall   = "memory_search"
)

// step is one understood request, or one that was not.
type step struct {
	kind  kind
	tool  string         // "" if nothing is to be called
	input map[string]any // the call's arguments
	text  string         // the words of the request
}

// kind says how a request is answered and where it may end.
type kind uint8

const (
	unknown kind = iota // nothing in the table fits
	strict              // takes no free text: any joiner may follow
	free                // ends in free text: weak joiners belong to it
	command             // ends in a shell command: joiners before shell words belong to it
	line                // the rest of the line is the shell's
	status
	help
	noFile // "read it" with nothing to read
)

// phrase is one row of the table: the first whose pattern matches the whole
// request decides.
type phrase struct {
	pattern *regexp.Regexp
	kind    kind
	make    func(m []string, last string) (tool string, input map[string]any)
}

// one makes a call of the tool whose only argument is the first group.
func one(tool, argument string) func([]string, string) (string, map[string]any) {
	return func(m []string, _ string) (string, map[string]any) {
		text := unquote(m[1])
		if strings.TrimSpace(text) == "" {
			return "", nil
		}
		return tool, map[string]any{argument: text}
	}
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?is)^(?:` + pattern + `)$`) }

// The pieces that patterns share: a path is quoted or one word.
const (
	path   = "(`[^`]+`|\"[^\"]+\"|'[^']+'|[^\\s`\"']+)"
	named  = `(?:the |a |my )?(?:new )?(?:text )?(?:file )?(?:called |named )?`
	places = `(?:the |my |your |all )?(?:files|workspace|folder|directory)`
)

// phrases returns the table.
func phrases() []phrase {
	return []phrase{
		{whole(`(?:run|execute|bash|shell)(?: (?:the |this )?(?:shell |bash )?command)?:\s*(\S.*)`), line, one(toolBash, "command")},
		{whole(`\$ (\S.*)`), line, one(toolBash, "command")},
		{whole("(?:run|execute)(?: (?:the |this )?(?:shell |bash )?command)? (```.+?```|`[^`]+`|\"[^\"]+\"|“[^”]+”)"), strict, one(toolBash, "command")},
		{whole(`(?:run|execute) (?:the |this )?(?:shell |bash )?command (\S.*)`), command, bare},

		{whole(`(?:fetch|open|get|read|download|visit|load|show|summarise|summarize)(?: me)?(?: the)?(?: web)?(?: page| url| site)?(?: at)? <?(https?://[^\s>]+)>?`), strict, one(toolFetch, "url")},

		{whole(`(?:(?:create|make) ` + named + `|write (?:a |the )?(?:new )?file (?:called |named )?)` + path + ` (?:with|containing|that says|saying)(?: the)?(?: text| content)? (.+)`), strict, write(2, 1)},
		{whole(`(?:write|put|save|store):? (.+?) (?:in|into|to|as) ` + named + path), strict, write(1, 2)},
		{whole(`(?:replace|change) (.+?) (?:with|by|to|into) (.+) in ` + named + path), strict, edit},

		{whole(`(?:read|show|print|display|cat|open)(?: me)? (?:it|that|this|the file|that file|the same file)(?: back)?(?: to me)?`), strict, again},
		{whole(`(?:list|show)(?: me)? (?:all )?(?:the |my |your )?(?:files|everything|directory|folder|workspace)(?: here| there)?(?: in (?:the |this |your )?(?:directory|folder|workspace))?`), strict, list},
		{whole(`(?:which|what) files (?:are|do you have|exist|can you see)(?: there| here)?(?: in (?:the |your )?workspace)?`), strict, list},
		{whole("(?:list|show|find)(?: me)? (?:all )?(?:the )?(?:files )?(?:matching |like )?([^\\s`\"']*[*?][^\\s`\"']*)(?: files)?"), strict, one(toolList, "pattern")},
		{whole(`(?:list|show)(?: me)? (?:all )?(?:the )?(?:files )?(?:in|under|of) (?:the )?(?:directory |folder )?` + path), strict, inFolder},
		{whole(`(?:read|cat)(?: me)? ` + named + path + `(?: back)?(?: to me)?`), strict, one(toolRead, "path")},
		{whole(`(?:show|print|display|open)(?: me)? (?:the )?(?:contents? of )?(?:the )?file ` + path), strict, one(toolRead, "path")},
		{whole("(?:show|print|display|open)(?: me)? (?:the )?(?:contents? of )?([^\\s`\"']*[./][^\\s`\"']+)"), strict, one(toolRead, "path")},

		{whole(`(?:search|look) (?:in )?(?:your |my |the )?memory for (.+)`), free, one(toolRecall, "query")},
		{whole(`(?:what|which things) do you (?:remember|know) (?:about|of) (.+)`), free, one(toolRecall, "query")},
		{whole(`what did i (?:tell|say to|teach) you about (.+)`), free, one(toolRecall, "query")},
		{whole(`(?:recall|do you remember|do you know) (?:what )?(.+)`), free, one(toolRecall, "query")},
		{whole(`(?:what|who|when|where|which)(?:'s| is| are| was| were) (my .+)`), free, one(toolRecall, "query")},
		{whole(`(?:remember|note|keep in mind|do not forget|don't forget|memorise|memorize)(?: that|:)? (.+)`), free, one(toolRemember, "text")},

		{whole(`(?:search|grep|look) (?:the files |files |the workspace )?for (.+?)(?: in ` + places + `)?`), free, one(toolSearch, "pattern")},
		{whole(`find (.+?) in ` + places), strict, one(toolSearch, "pattern")},

		{whole(`(?:use|call)(?: the)?(?: tool)? ([a-z][a-z0-9_]*)(?: tool)? with (\{.*\})`), strict, anyTool},

		{whole(`(?:status|your status|how are you(?: doing)?|who are you|what are you|(?:what|which) model are you)`), status, nil},
		{whole(`(?:help|help me|hello|hi|hey|hello there|hi there|good (?:morning|evening|day)|what can you do(?: for me)?|what do you understand)`), help, nil},

		{whole(`(?:run|execute) (\S.*)`), command, bare}, // last, because it takes nearly anything
	}
}

func write(content, file int) func([]string, string) (string, map[string]any) {
	return func(m []string, _ string) (string, map[string]any) {
		text := unquote(m[content])
		if text == m[content] { // not quoted: "the text hello" means hello
			for _, lead := range []string{"the text ", "the words ", "the word ", "the line "} {
				if rest, ok := cutFold(text, lead); ok {
					text = unquote(rest)
					break
				}
			}
		}
		return toolWrite, map[string]any{"path": unquote(m[file]), "content": text}
	}
}

func edit(m []string, _ string) (string, map[string]any) {
	return toolEdit, map[string]any{"path": unquote(m[3]), "old": unquote(m[1]), "new": unquote(m[2])}
}

func again(_ []string, last string) (string, map[string]any) {
	if last == "" {
		return "", nil
	}
	return toolRead, map[string]any{"path": last}
}

func list([]string, string) (string, map[string]any) {
	return toolList, map[string]any{"pattern": "*"}
}

func inFolder(m []string, _ string) (string, map[string]any) {
	return toolList, map[string]any{"pattern": strings.TrimRight(unquote(m[1]), "/") + "/*"}
}

func anyTool(m []string, _ string) (string, map[string]any) {
	var input map[string]any
	if json.Unmarshal([]byte(m[2]), &input) != nil || input == nil {
		return "", nil
	}
	return strings.ToLower(m[1]), input
}

// bare takes "run ls" but not "run the tests", which is no command.
func bare(m []string, _ string) (string, map[string]any) {
	text := unquote(m[1])
	first, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
	switch first {
	case "", "the", "a", "an", "my", "your", "all", "some", "it", "this", "that", "away", "out":
		return "", nil
	}
	if body, ok := strings.CutSuffix(text, "."); ok && body != "" && !strings.ContainsAny(body[len(body)-1:], " ./") {
		text = body // the end of a sentence, not the shell's "."
	}
	return toolBash, map[string]any{"command": text}
}

// understand finds the phrase that fits a request. last is the file that "it"
// means. A sentence's own full stop belongs to no argument, unless nothing
// fits without it ("list files in .").
func understand(table []phrase, request, last string) step {
	s := step{text: strings.TrimSpace(request)}
	exact := polite(s.text)
	trimmed := strings.TrimRight(exact, " .!?,")
	for _, form := range []string{trimmed, exact} {
		for _, p := range table {
			words := form
			if p.kind == line || p.kind == command {
				words = exact
			}
			m := p.pattern.FindStringSubmatch(words)
			if m == nil {
				continue
			}
			if s.kind = p.kind; p.make == nil {
				return s
			}
			if s.tool, s.input = p.make(m, last); s.tool != "" {
				return s
			}
			if s.kind = unknown; len(m) == 1 { // "it", and nothing that it could be
				s.kind = noFile
			}
			return s
		}
	}
	return s
}

// polite takes away what people say around a request.
func polite(s string) string {
	for {
		before := s
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		for _, lead := range []string{
			"please ", "can you ", "could you ", "would you ", "will you ", "now ", "now, ", "first ", "first, ", "then ", "then, ", "and ", "also ",
			"next ", "next, ", "finally ", "finally, ", "ok ", "ok, ", "okay ", "okay, ", "phantom ", "phantom, ", "hey ", "hello, ", "hi, ", "- ", "* ",
			"i want you to ", "i would like you to ", "let's ", "just ",
		} {
			if rest, ok := cutFold(s, lead); ok && strings.TrimSpace(rest) != "" {
				s = rest
				break
			}
		}
		if s == before {
			break
		}
	}
	s = strings.TrimRightFunc(s, unicode.IsSpace)
	for _, tail := range []string{" please", " please.", " please?", " please!", " for me", " for me.", " for me?"} {
		if len(s) > len(tail) && strings.EqualFold(s[len(s)-len(tail):], tail) {
			s = s[:len(s)-len(tail)]
		}
	}
	return s
}

// cutFold is strings.CutPrefix without regard to case; prefix is ASCII.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// unquote takes away one pair of quotes, or a fence, around the whole text.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if body, ok := strings.CutPrefix(s, "```"); ok && len(body) >= 3 && strings.HasSuffix(body, "```") {
		body = strings.TrimSuffix(body, "```")
		if info, rest, ok := strings.Cut(body, "\n"); ok && !strings.ContainsAny(strings.TrimSpace(info), " \t") {
			body = rest // the word after a fence names the language
		}
		return strings.TrimSuffix(body, "\n")
	}
	for _, pair := range []string{"``", `""`, "''", "“”", "«»"} {
		runes := []rune(pair)
		open, shut := string(runes[0]), string(runes[1])
		if len(s) >= len(open)+len(shut) && strings.HasPrefix(s, open) && strings.HasSuffix(s, shut) {
			if body := s[len(open) : len(s)-len(shut)]; !strings.ContainsAny(body, pair) {
				return body
			}
		}
	}
	return s
}

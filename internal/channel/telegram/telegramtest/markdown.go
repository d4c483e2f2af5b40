package telegramtest

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Entity marks a part of a text; Offset and Length count UTF-16 units.
type Entity struct {
	Type     string `json:"type"`
	Offset   int    `json:"offset"`
	Length   int    `json:"length"`
	URL      string `json:"url,omitempty"`
	Language string `json:"language,omitempty"`
}

// parser reads MarkdownV2 as strictly as the Bot API documents it.
type parser struct {
	in       string
	at       int
	out      strings.Builder
	units    int
	open     []Entity
	entities []Entity
	quoted   bool
}

// ParseMarkdown reads MarkdownV2 and returns what a user sees, or the error
// with which Telegram refuses the message.
func ParseMarkdown(s string) (text string, entities []Entity, err error) {
	p := &parser{in: s}
	fresh := true // at the beginning of a line
	for p.at < len(p.in) {
		if fresh && p.in[p.at] == '>' && !p.in1("pre", "code") {
			p.at++
			if !p.quoted {
				if len(p.open) > 0 {
					return "", nil, p.fail("a quote begins within a %s", p.last().Type)
				}
				p.begin(Entity{Type: "blockquote"})
				p.quoted = true
			}
			fresh = false
			continue
		}
		if fresh && p.quoted {
			if p.last().Type != "blockquote" {
				return "", nil, p.fail("can't find end of %s", p.last().Type)
			}
			p.end()
			p.quoted = false
		}
		fresh = p.in[p.at] == '\n'
		if err := p.step(); err != nil {
			return "", nil, err
		}
	}
	if p.quoted && p.last().Type == "blockquote" {
		p.end()
	}
	if len(p.open) > 0 {
		return "", nil, p.fail("can't find end of %s entity", p.last().Type)
	}
	return p.out.String(), p.entities, nil
}

func (p *parser) fail(format string, args ...any) error {
	return errors.New("Bad Request: can't parse entities: " + fmt.Sprintf(format, args...) + fmt.Sprintf(" at byte offset %d", p.at))
}

func (p *parser) last() Entity {
	if len(p.open) == 0 {
		return Entity{}
	}
	return p.open[len(p.open)-1]
}

func (p *parser) in1(kinds ...string) bool {
	for _, k := range kinds {
		if p.last().Type == k {
			return true
		}
	}
	return false
}

func (p *parser) begin(e Entity) {
	e.Offset = p.units
	p.open = append(p.open, e)
}

func (p *parser) end() {
	e := p.last()
	p.open = p.open[:len(p.open)-1]
	if e.Length = p.units - e.Offset; e.Length > 0 {
		p.entities = append(p.entities, e)
	}
}

func (p *parser) emit(s string) {
	p.out.WriteString(s)
	p.units += len(utf16.Encode([]rune(s)))
}

func (p *parser) has(prefix string) bool { return strings.HasPrefix(p.in[p.at:], prefix) }

// marks are what begins and ends an entity; the longer ones come first.
var marks = []struct{ mark, kind string }{{"__", "underline"}, {"||", "spoiler"}, {"*", "bold"}, {"_", "italic"}, {"~", "strikethrough"}}

func (p *parser) step() error {
	c := p.in[p.at]
	if c == '\\' && p.at+1 < len(p.in) && p.in[p.at+1] > 0 && p.in[p.at+1] < 127 {
		p.emit(p.in[p.at+1 : p.at+2])
		p.at += 2
		return nil
	}
	if p.in1("pre", "code") {
		return p.code()
	}
	if strings.IndexByte("_*[]()~`>#+-=|{}.!", c) < 0 {
		n := 1
		for p.at+n < len(p.in) && p.in[p.at+n]&0xc0 == 0x80 {
			n++
		}
		p.emit(p.in[p.at : p.at+n])
		p.at += n
		return nil
	}
	switch {
	case p.has("```"):
		p.at += 3
		language := ""
		if end := strings.IndexAny(p.in[p.at:], " \t\n`"); end >= 0 && p.in[p.at+end] == '\n' {
			language = p.in[p.at : p.at+end]
			p.at += end + 1
		}
		p.begin(Entity{Type: "pre", Language: language})
		return nil
	case c == '`':
		p.at++
		p.begin(Entity{Type: "code"})
		return nil
	case c == '[':
		p.at++
		p.begin(Entity{Type: "text_link"})
		return nil
	case c == ']' && p.in1("text_link"):
		return p.link()
	}
	for _, m := range marks {
		if !p.has(m.mark) {
			continue
		}
		p.at += len(m.mark)
		if p.in1(m.kind) {
			p.end()
		} else {
			p.begin(Entity{Type: m.kind})
		}
		return nil
	}
	return p.fail("character '%c' is reserved and must be escaped with the preceding '\\'", c)
}

func (p *parser) code() error {
	mark := map[string]string{"pre": "```", "code": "`"}[p.last().Type]
	switch {
	case p.has(mark):
		p.at += len(mark)
		p.end()
	case p.in[p.at] == '`':
		return p.fail("character '`' is reserved in code")
	default:
		n := 1
		for p.at+n < len(p.in) && p.in[p.at+n]&0xc0 == 0x80 {
			n++
		}
		p.emit(p.in[p.at : p.at+n])
		p.at += n
	}
	return nil
}

// link reads the address behind the words of a link.
func (p *parser) link() error {
	p.at++
	if !p.has("(") {
		return p.fail("a link has no address")
	}
	p.at++
	var address strings.Builder
	for p.at < len(p.in) && p.in[p.at] != ')' {
		if p.in[p.at] == '\\' && p.at+1 < len(p.in) {
			p.at++
		}
		address.WriteByte(p.in[p.at])
		p.at++
	}
	if p.at == len(p.in) {
		return p.fail("can't find end of a URL")
	}
	p.at++
	p.open[len(p.open)-1].URL = address.String()
	p.end()
	return nil
}

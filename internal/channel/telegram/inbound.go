package telegram

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/go-telegram/bot/models"

	"phantom/internal/phantom"
)

const (
	// maxQuoted bounds what is handed on of a text that the message answers, in bytes.
	maxQuoted = 8 << 10
	// maxName bounds a name, in bytes.
	maxName = 100
)

// place is where an update came from.
func (u update) place() place {
	switch {
	case u.Message != nil:
		return u.Message.place()
	case u.Edited != nil:
		return u.Edited.place()
	case u.Callback != nil && u.Callback.Message != nil:
		return u.Callback.Message.place()
	case u.Reaction != nil:
		return place{chat: u.Reaction.Chat.ID}
	}
	return place{}
}

// place leaves out the thread of a plain reply, which is no topic.
func (m *message) place() place {
	p := place{chat: m.Chat.ID}
	if m.Topic {
		p.thread = m.Thread
	}
	return p
}

// read makes an inbound thing of an update; ok is false if it is none. What is
// to be told to its sender on top comes back in tell.
func (c *Channel) read(ctx context.Context, u update) (in phantom.Inbound, tell string, ok bool) {
	switch {
	case u.Message != nil:
		return c.message(ctx, u)
	case u.Edited != nil:
		in, ok = c.edit(u)
	case u.Callback != nil:
		in, ok = c.press(u)
	case u.Reaction != nil:
		in, ok = c.reaction(u)
	}
	return in, "", ok
}

// begin fills in what all messages have in common; false: it is of no concern.
func (c *Channel) begin(u update, m *message, kind phantom.InboundKind) (phantom.Inbound, bool) {
	if m.From == nil || m.From.ID <= 0 || m.From.Bot || m.SenderChat != nil || m.Chat.ID == 0 || m.ID == 0 { // who hides behind a chat is nobody
		return phantom.Inbound{}, false
	}
	private := m.Chat.Type == "private"
	if !private && !(c.Groups && (m.Chat.Type == "group" || m.Chat.Type == "supergroup") && c.spokenTo(m)) {
		return phantom.Inbound{}, false
	}
	return phantom.Inbound{
		Identity:     fmt.Sprintf("%d:%s", u.ID, messageName(m.Chat.ID, m.ID)),
		Conversation: m.place().conversation(), Sender: strconv.FormatInt(m.From.ID, 10), Kind: kind,
		Source: strconv.Itoa(m.ID), Polite: private,
	}, true
}

// message reads a new message.
func (c *Channel) message(ctx context.Context, u update) (in phantom.Inbound, tell string, ok bool) {
	m := u.Message
	if in, ok = c.begin(u, m, phantom.InboundMessage); !ok {
		return in, "", false
	}
	in.Text, in.Beside = c.words(m), c.beside(m)
	if attached := m.attached(); attached != nil {
		in.Kind = phantom.InboundFile
		if m.From.ID == c.owner {
			in.Files, tell = c.fetch(ctx, *attached)
			if len(in.Files) == 0 { // what was written with it is said all the same
				in.Kind = phantom.InboundMessage
				return in, tell, in.Text != ""
			}
		}
		return c.foreign(m, in), tell, true
	}
	if in.Text == "" && in.Beside != "" {
		in.Text = "I point you to what stands before this."
	}
	if in.Text == "" {
		if m.unreadable() && m.From.ID != c.owner {
			return in, "", true
		}
		if m.unreadable() {
			return in, c.Deps.Name + " reads text, photos and files; this is none of them.", false
		}
		return in, "", false // a service message
	}
	if word, ok := c.command(m, in.Text); ok {
		in.Kind, in.Text = phantom.InboundCommand, word
		if word == "stop" { // a stop word is obeyed as a message, before everything else
			in.Kind, in.Text = phantom.InboundMessage, "/stop"
		}
		return in, "", true
	}
	return c.foreign(m, in), "", true
}

// foreign takes out of the sender's mouth what others wrote: a text that is
// forwarded or made by a bot is read as untrusted.
func (c *Channel) foreign(m *message, in phantom.Inbound) phantom.Inbound {
	author := m.author()
	if author == "" || m.Origin != nil && m.Origin.User != nil && m.Origin.User.ID == m.From.ID {
		return in
	}
	if in.Text != "" {
		in.Beside = strings.TrimSpace(in.Beside + "\n\n" + author + ":\n" + in.Text)
	}
	in.Text = "I pass on to you what stands before this; it is not mine."
	return in
}

// author names who wrote a message that its sender only passed on; "" if the
// sender wrote it.
func (m *message) author() string {
	switch {
	case m.Origin != nil && m.Origin.User != nil:
		return "Forwarded from " + m.Origin.User.name()
	case m.Origin != nil && m.Origin.Chat != nil:
		return "Forwarded from " + clip(m.Origin.Chat.Title, maxName)
	case m.Origin != nil && m.Origin.SenderChat != nil:
		return "Forwarded from " + clip(m.Origin.SenderChat.Title, maxName)
	case m.Origin != nil:
		return "Forwarded from " + clip(m.Origin.UserName, maxName)
	case m.ViaBot != nil:
		return "Written by the bot " + m.ViaBot.name()
	}
	return ""
}

func (u user) name() string {
	name := strings.TrimSpace(u.FirstName + " " + u.LastName)
	if u.Username != "" {
		name = strings.TrimSpace(name + " @" + u.Username)
	}
	return clip(name, maxName) + " (" + strconv.FormatInt(u.ID, 10) + ")"
}

// edit reads a message that was changed. Telegram also calls it an edit when
// something else than the words changed, such as a preview; then the words have
// the same time of change, and the same identity as before.
func (c *Channel) edit(u update) (phantom.Inbound, bool) {
	m := u.Edited
	in, ok := c.begin(u, m, phantom.InboundEdit)
	in.Text = c.words(m)
	if !ok || in.Text == "" || m.EditDate == 0 || m.author() != "" {
		return in, false
	}
	sum := sha256.Sum256([]byte(in.Text))
	in.Identity = fmt.Sprintf("edit:%s:%d:%s", messageName(m.Chat.ID, m.ID), m.EditDate, hex.EncodeToString(sum[:8]))
	return in, true
}

// spokenTo reports whether a message in a group is meant for the bot: it names
// it, answers it, or is a command.
func (c *Channel) spokenTo(m *message) bool {
	me := c.identity()
	if m.Reply != nil && m.Reply.From != nil && m.Reply.From.ID == me.ID && !(m.Topic && m.Reply.ID == m.Thread) { // all in a topic answers its first message
		return true
	}
	text, entities := m.text()
	for _, e := range entities {
		switch said := cut(text, e); e.Type {
		case models.MessageEntityTypeMention:
			if strings.EqualFold(said, "@"+me.Username) {
				return true
			}
		case models.MessageEntityTypeTextMention:
			if e.User != nil && e.User.ID == me.ID {
				return true
			}
		case models.MessageEntityTypeBotCommand:
			if _, ok := c.command(m, text); ok {
				return true
			}
		}
	}
	return false
}

// command reads a message that is one of the commands and nothing else, said
// to this bot or to no bot by name.
func (c *Channel) command(m *message, text string) (word string, ok bool) {
	if m.author() != "" {
		return "", false
	}
	said, ok := strings.CutPrefix(strings.TrimSpace(text), "/")
	if !ok {
		return "", false
	}
	if rest, ok := strings.CutPrefix(said, "start "); ok && !strings.ContainsAny(rest, " \n") {
		said = "start" // a link to the bot may carry a word
	}
	word, to, named := strings.Cut(said, "@")
	if named && !strings.EqualFold(to, c.identity().Username) {
		return "", false
	}
	word = strings.ToLower(word)
	switch word {
	case "start", "status", "stop", "cost", "help":
		return word, true
	}
	return "", false
}

// text is what a message says, and its marks.
func (m *message) text() (string, []models.MessageEntity) {
	if m.Text != "" {
		return m.Text, m.Entities
	}
	return m.Caption, m.CaptionEntities
}

// words is the text of a message: without the bot's name at its ends, with the
// addresses that are hidden behind words.
func (c *Channel) words(m *message) string {
	text, entities := m.text()
	units := utf16.Encode([]rune(text))
	for i := len(entities) - 1; i >= 0; i-- { // from the end, so that the offsets before stay right
		e := entities[i]
		if e.Type == models.MessageEntityTypeTextLink && inside(e, units) && len(e.URL) < maxQuoted {
			end := e.Offset + e.Length
			units = append(append(append([]uint16{}, units[:end]...), utf16.Encode([]rune(" ("+e.URL+")"))...), units[end:]...)
		}
	}
	text = strings.TrimSpace(string(utf16.Decode(units)))
	if m.Sticker != nil && text == "" {
		text = m.Sticker.Emoji
	}
	if l := m.Location; l != nil && text == "" {
		text = fmt.Sprintf("I am, or mean, at latitude %.6f, longitude %.6f.", l.Latitude, l.Longitude)
	}
	if m.Chat.Type == "private" {
		return text
	}
	whole, name := text, "@"+c.identity().Username
	if len(text) >= len(name) && strings.EqualFold(text[:len(name)], name) {
		text = strings.TrimLeft(text[len(name):], " ,:\n")
	}
	if n := len(text) - len(name); n >= 0 && strings.EqualFold(text[n:], name) {
		text = text[:n]
	}
	if text = strings.TrimSpace(text); text == "" {
		return whole // a name alone is a call
	}
	return text
}

// inside reports whether an entity lies within a text.
func inside(e models.MessageEntity, units []uint16) bool {
	return e.Offset >= 0 && e.Length >= 0 && e.Offset <= len(units) && e.Length <= len(units)-e.Offset
}

// cut is the part of a text that an entity marks; "" if it lies outside.
func cut(text string, e models.MessageEntity) string {
	units := utf16.Encode([]rune(text))
	if !inside(e, units) {
		return ""
	}
	return string(utf16.Decode(units[e.Offset : e.Offset+e.Length]))
}

// beside is what others wrote that the message answers or carries.
func (c *Channel) beside(m *message) string {
	var parts []string
	if m.Contact != nil {
		parts = append(parts, fmt.Sprintf("A contact: %s, %s", clip(strings.TrimSpace(m.Contact.FirstName+" "+m.Contact.LastName), maxName), clip(m.Contact.Phone, maxName)))
	}
	author := ""
	if m.Reply != nil && m.Reply.From != nil && m.Reply.From.ID != c.identity().ID && !(m.Topic && m.Reply.ID == m.Thread) {
		author = m.Reply.From.name()
	}
	switch {
	case m.Quote != nil && m.Quote.Text != "": // also of our own words: it says which are meant
		if author == "" {
			author = "an earlier message"
		}
		parts = append(parts, "In answer to these words of "+author+":\n"+clip(m.Quote.Text, maxQuoted))
	case author != "":
		if text, _ := m.Reply.text(); text != "" {
			parts = append(parts, "In answer to what "+author+" wrote:\n"+clip(text, maxQuoted))
		}
	}
	return strings.Join(parts, "\n\n")
}

// unreadable reports whether somebody sent what is not read here.
func (m *message) unreadable() bool {
	return m.Poll != nil || m.Dice != nil || m.Story != nil || m.PaidMedia != nil || m.Checklist != nil
}

// reaction reads a reaction that was added to a message. Whether the message
// is ours the router knows, by its name.
func (c *Channel) reaction(u update) (phantom.Inbound, bool) {
	r := u.Reaction
	if r.User == nil || r.User.ID <= 0 || r.User.Bot || r.Chat.ID == 0 || r.Chat.Type != "private" && !c.Groups {
		return phantom.Inbound{}, false
	}
	before := map[string]bool{}
	for _, o := range r.Old {
		before[o.Emoji] = true
	}
	for _, n := range r.New {
		press, ok := worth[strings.TrimSuffix(n.Emoji, "\ufe0f")]
		if !ok || before[n.Emoji] {
			continue
		}
		on := messageName(r.Chat.ID, r.Message)
		return phantom.Inbound{
			Identity: fmt.Sprintf("%d:reaction:%s", u.ID, on), Conversation: place{chat: r.Chat.ID}.conversation(),
			Sender: strconv.FormatInt(r.User.ID, 10), Kind: phantom.InboundReaction, Press: press, On: on, Polite: r.Chat.Type == "private",
		}, true
	}
	return phantom.Inbound{}, false
}

// worth is what reactions stand for.
var worth = map[string]phantom.Press{
	"👍": phantom.PressUp, "❤": phantom.PressUp, "🔥": phantom.PressUp, "👏": phantom.PressUp, "🎉": phantom.PressUp, "💯": phantom.PressUp,
	"👎": phantom.PressDown, "💩": phantom.PressDown,
}

// clip returns the beginning of s, at most n bytes of whole runes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

package email

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	"phantom/internal/channel/email/quote"
	"phantom/internal/phantom"
)

// maxBeside bounds what is handed on of what stands around a message, in bytes.
const maxBeside = 64 << 10

// envelope is a message as the mailbox shows it, before its body is fetched.
type envelope struct {
	mailbox uint32 // UIDVALIDITY
	uid     uint32
	size    int64
	header  []byte
	fetch   func(context.Context) ([]byte, error) // the whole message
}

// take hands one message on. When it returns nil, the message is dealt with
// and may be marked as seen; any other end brings it again.
func (c *Channel) take(ctx context.Context, e envelope, receive func(context.Context, phantom.Inbound) error) error {
	name := fmt.Sprintf("uid:%d:%d", e.mailbox, e.uid)
	l, err := c.readLetter(e.header)
	if err != nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "a message has no header that can be read", slog.String("message", name), slog.Any("error", err))
		l = letter{why: "it has no header that can be read"}
	}
	if l.id != "" {
		name = "id:" + l.id
	}
	if l.automatic != "" {
		c.Log.LogAttrs(ctx, slog.LevelInfo, "a message is passed over", slog.String("message", name), slog.String("because", l.automatic))
		return nil
	}
	sender := c.sender(l)
	if sender != c.Owner {
		return c.handOver(ctx, l, receive, phantom.Inbound{
			Identity: name, Conversation: c.stranger(l, name), Sender: sender, Kind: phantom.InboundMessage,
			Text: strings.TrimSpace("Subject: " + l.subject),
		})
	}
	c.believed()
	if e.size > maxMessage {
		return c.tell(ctx, l, name, fmt.Sprintf("your message has %d MB, and %d MB are read of one: send the files apart, or a link to them", (e.size+1<<20-1)>>20, maxMessage>>20))
	}
	raw, err := e.fetch(ctx)
	if err != nil {
		return err
	}
	body, err := readBody(raw)
	if err != nil {
		return c.tell(ctx, l, name, err.Error())
	}
	ins, err := c.inbound(ctx, l, name, body)
	if err != nil {
		return err
	}
	for _, in := range ins {
		if err := c.once(ctx, l, receive, in); err != nil {
			return err
		}
	}
	return c.Ledger.Drop(ctx, keptKey(name)) // the files are the router's now
}

// stranger is the conversation of a message that nobody vouches for: one of its
// own, so that it gets near no thread of the owner's.
func (c *Channel) stranger(l letter, name string) phantom.ConversationID {
	return conversation("stranger " + l.from.String() + " " + name)
}

// once hands over what the router takes once by itself, and an answer to a
// question only if it was not handed over before: of a second one the owner
// would hear that the question is closed.
func (c *Channel) once(ctx context.Context, l letter, receive func(context.Context, phantom.Inbound) error, in phantom.Inbound) error {
	if in.Kind != phantom.InboundButton {
		return c.handOver(ctx, l, receive, in)
	}
	_, found, err := c.Ledger.Get(ctx, pressKey(in.Identity))
	if err != nil || found {
		return err
	}
	if err := c.handOver(ctx, l, receive, in); err != nil {
		return err
	}
	return c.Ledger.Set(ctx, pressKey(in.Identity), string(in.Press))
}

// handOver calls receive until there is no more to do about the message. A
// refusal is one: the router has recorded it, and nobody is written to.
func (c *Channel) handOver(ctx context.Context, l letter, receive func(context.Context, phantom.Inbound) error, in phantom.Inbound) error {
	err := receive(ctx, in)
	switch {
	case err == nil:
		return nil
	case c.Refused(err):
		c.refused(ctx, l)
		return nil
	case c.Invalid(err) && in.Sender == c.Owner:
		return c.tell(ctx, l, in.Identity, err.Error())
	case c.Invalid(err):
		c.Log.LogAttrs(ctx, slog.LevelInfo, "a message of a stranger cannot be taken", slog.Any("error", err))
		return nil
	}
	return fmt.Errorf("commit message %s: %w", in.Identity, err)
}

// refused notes why a message that claims to be the owner's was not believed:
// most often a setting is wrong, and only the owner can tell.
func (c *Channel) refused(ctx context.Context, l letter) {
	if l.from != c.owner || l.verified {
		return
	}
	c.Log.LogAttrs(ctx, slog.LevelWarn, "a message in the owner's name was refused", slog.String("because", l.why))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state.believed {
		c.state.refused = l.why
	}
}

// believed notes that the owner's mail is recognised: from now on a message
// that is not is a forger's, and no setting is wrong.
func (c *Channel) believed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.believed, c.state.refused = true, ""
}

// inbound makes of a message of the owner what the router is to hear.
func (c *Channel) inbound(ctx context.Context, l letter, name string, body content) ([]phantom.Inbound, error) {
	own, rest := quote.Split(body.text)
	fresh := l.replyTo == "" && len(l.before) == 0 && !reply.MatchString(l.subject)
	home, err := c.conversationOf(ctx, l, name)
	if err != nil {
		return nil, err
	}
	source, err := l.thread().encode()
	if err != nil {
		return nil, err
	}
	if err := c.remember(ctx, home, l.thread()); err != nil {
		return nil, err
	}
	base := phantom.Inbound{Identity: name, Conversation: home, Sender: c.Owner, Kind: phantom.InboundMessage, Source: source}
	var ins []phantom.Inbound
	if press, number, after, ok := answer(own); ok {
		in := base
		in.Kind, in.Press, in.Question = phantom.InboundButton, press, number
		ins, own = append(ins, in), after
		base.Identity += " further"
		if own == "" && len(body.files) == 0 {
			return ins, nil
		}
	}
	if word, ok := command(own); ok && len(body.files) == 0 {
		base.Kind, base.Text = phantom.InboundCommand, word
		return append(ins, base), nil
	}
	if base.Files, body.notes, err = c.keepFiles(ctx, name, body); err != nil {
		return nil, err
	}
	if len(base.Files) > 0 {
		base.Kind = phantom.InboundFile
	}
	base.Text = c.text(l, own, rest, fresh, len(base.Files) > 0)
	base.Beside = beside(l, rest, fresh, body.notes)
	return append(ins, base), nil
}

// reply begins the subject of an answer or of a forwarded message.
var reply = regexp.MustCompile(`(?i)^(re|aw|antw|sv|vs|r|ré|rép|fwd?|wg|tr|rv|enc|i)(\[\d+\])?\s*:`)

// text is what the owner says. The subject is among it where the owner thought
// of it, and not in an answer or a forwarded message, whose subject was there.
func (c *Channel) text(l letter, own, rest string, fresh, files bool) string {
	switch {
	case own == "" && fresh && l.subject != "":
		return l.subject
	case own == "" && rest != "" && !files:
		return "(I forward this without words of my own.)"
	case own == "" || !fresh || l.subject == "" || stop(own):
		return own
	}
	return "Subject: " + l.subject + "\n\n" + own
}

// stop reports whether a text is one that the router obeys only if it stands
// alone.
func stop(text string) bool {
	switch strings.ToLower(text) {
	case "stop", "cancel", "/stop":
		return true
	}
	return false
}

// beside is what stands around the owner's words.
func beside(l letter, rest string, fresh bool, notes []string) string {
	var parts []string
	if !fresh && l.subject != "" {
		parts = append(parts, "Subject: "+l.subject)
	}
	if rest != "" {
		parts = append(parts, rest)
	}
	parts = append(parts, notes...)
	if rest == "" && len(notes) == 0 && (l.replyTo != "" || len(l.before) > 0) {
		return "" // the subject of a thread is known
	}
	text := strings.Join(parts, "\n\n")
	if len(text) > maxBeside {
		text = strings.ToValidUTF8(text[:maxBeside], "") + "\n[… cut]"
	}
	return text
}

// conversationOf finds the thread that a message goes on with: that of the
// message of ours which it answers, else the one that its first message began.
func (c *Channel) conversationOf(ctx context.Context, l letter, name string) (phantom.ConversationID, error) {
	named := append([]string{l.replyTo}, l.before...)
	for i := range named {
		id := named[(len(named)-i)%len(named)] // what is answered, then what came before, newest first
		if id == "" {
			continue
		}
		value, found, err := c.Ledger.Get(ctx, sentKey(id))
		if err != nil {
			return "", fmt.Errorf("find the thread of a message: %w", err)
		}
		if home, _, _ := strings.Cut(value, " "); found && strings.HasPrefix(home, Name+":") {
			return phantom.ConversationID(home), nil
		}
	}
	switch {
	case len(l.before) > 0:
		return conversation(l.before[0]), nil
	case l.replyTo != "":
		return conversation(l.replyTo), nil
	case l.id != "":
		return conversation(l.id), nil
	}
	return conversation(name), nil
}

// remember keeps where in its thread a conversation is, for texts that answer
// no message. The subject is not kept: it is content, which can be forgotten
// elsewhere.
func (c *Channel) remember(ctx context.Context, home phantom.ConversationID, t thread) error {
	t.Subject = ""
	value, err := t.encode()
	if err != nil {
		return err
	}
	return c.Ledger.Set(ctx, lastKey(home), value)
}

// The names in the ledger.
func lastKey(home phantom.ConversationID) string { return "last:" + string(home) }
func sentKey(id string) string                   { return "mail:" + digest(id) }
func keptKey(name string) string                 { return "files:" + digest(name) }
func pressKey(name string) string                { return "press:" + digest(name) }

// keepFiles keeps the attachments, and returns their paths and what to say
// beside. Those of a message that comes again after a crash are not kept twice.
func (c *Channel) keepFiles(ctx context.Context, name string, body content) (paths, notes []string, err error) {
	if len(body.files) == 0 {
		return nil, body.notes, nil
	}
	value, found, err := c.Ledger.Get(ctx, keptKey(name))
	if err != nil {
		return nil, nil, fmt.Errorf("find the files of a message: %w", err)
	}
	var kept struct{ Paths, Notes []string }
	if found && json.Unmarshal([]byte(value), &kept) == nil {
		return kept.Paths, kept.Notes, nil
	}
	kept.Notes = body.notes
	for _, f := range body.files {
		at, err := c.Files.Keep(ctx, f.name, bytes.NewReader(f.data))
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, nil, fmt.Errorf("keep the files of a message: %w", err)
		case err != nil:
			kept.Notes = append(kept.Notes, fmt.Sprintf("%q could not be kept: %v", f.name, err))
		default:
			kept.Paths = append(kept.Paths, at)
		}
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return nil, nil, fmt.Errorf("keep the files of a message: %w", err)
	}
	return kept.Paths, kept.Notes, c.Ledger.Set(ctx, keptKey(name), string(raw))
}

// decision is the first line of an answer to a question.
var decision = regexp.MustCompile(`(?i)^[*_ ]*(approve|deny)[*_ ]*#?\s*([1-9][0-9]{0,17})[*_ .!]*$`)

// answer reads the answer to a question from the first line, and returns the
// lines after it.
func answer(own string) (press phantom.Press, number int64, after string, ok bool) {
	first, after, _ := strings.Cut(own, "\n")
	found := decision.FindStringSubmatch(strings.TrimSpace(first))
	if found == nil {
		return "", 0, own, false
	}
	number, err := strconv.ParseInt(found[2], 10, 64)
	if err != nil {
		return "", 0, own, false
	}
	press = phantom.PressDeny
	if strings.EqualFold(found[1], "approve") {
		press = phantom.PressApprove
	}
	return press, number, strings.TrimSpace(after), true
}

// command reads a text that is one word behind a slash.
func command(own string) (word string, ok bool) {
	word, slash := strings.CutPrefix(strings.ToLower(own), "/")
	switch word {
	case "status", "stop", "cost", "help", "start":
		return word, slash
	}
	return "", false
}

// encodeJSON writes a value without the escapes that HTML would need.
func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

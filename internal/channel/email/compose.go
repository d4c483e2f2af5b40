package email

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"

	"phantom/internal/phantom"
)

// outgoing is one message as it is sent.
type outgoing struct {
	id      string // Message-ID without angle brackets
	to      []string
	subject string
	text    string // Markdown
	thread  thread // what it answers; its ID is "" if it begins a thread
	reply   bool   // a person's message led to it, not a plan of ours
}

// Deliver implements router.Channel. A delivery whose message the server took
// is not sent again; a repeat of any other has the same Message-ID, by which
// mail programs know it.
func (c *Channel) Deliver(ctx context.Context, d phantom.Delivery) (shown []string, err error) {
	out := outgoing{id: c.messageID(string(d.ID)), to: []string{c.Owner}, text: d.Text, reply: true}
	value, _, err := c.Ledger.Get(ctx, sentKey(out.id))
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(value, sentMark) {
		return nil, nil
	}
	if out.thread, err = c.threadOf(ctx, d); err != nil {
		return nil, err
	}
	switch {
	case out.thread.Subject != "":
		out.subject = answering(out.thread.Subject)
	case out.thread.ID != "":
		out.subject = "Re: your message to " + c.Deps.Name
	default:
		out.subject, out.reply = headline(d.Text, c.Deps.Name), false
	}
	if d.Question != nil {
		out.text += question(*d.Question)
	}
	// Before it is sent: the answer may be here before the server's word is.
	if err := c.Ledger.Set(ctx, sentKey(out.id), string(d.Conversation)); err != nil {
		return nil, err
	}
	if err := c.send(ctx, out); err != nil {
		return nil, err
	}
	return nil, c.Ledger.Set(context.WithoutCancel(ctx), sentKey(out.id), string(d.Conversation)+sentMark) // it is sent, whatever ends now
}

// sentMark stands behind the conversation of a message that the server took.
const sentMark = " sent"

// threadOf returns what a delivery answers: the message that it names, else
// the last one of its conversation.
func (c *Channel) threadOf(ctx context.Context, d phantom.Delivery) (thread, error) {
	value := d.Source
	if value == "" {
		var err error
		if value, _, err = c.Ledger.Get(ctx, lastKey(d.Conversation)); err != nil {
			return thread{}, err
		}
	}
	var t thread
	if value == "" {
		return t, nil
	}
	if err := json.Unmarshal([]byte(value), &t); err != nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "what a message answers cannot be read, so it begins a thread", slog.Any("error", err))
		return thread{}, nil
	}
	// What was kept is judged as what comes in is: it goes into a header.
	clean := thread{Subject: oneLine(t.Subject, maxSubject), Before: messageIDs(bracketed(t.Before))}
	if ids := messageIDs(bracketed([]string{t.ID})); len(ids) == 1 {
		clean.ID = ids[0]
	}
	return clean, nil
}

// answering is the subject of an answer.
func answering(subject string) string {
	if reply.MatchString(subject) && strings.EqualFold(subject[:2], "re") {
		return subject
	}
	return "Re: " + subject
}

// headline makes the subject of a message that begins a thread of its text.
func headline(text, name string) string {
	for line := range strings.Lines(text) {
		if line = strings.Trim(oneLine(line, 100), "#*_>`- "); line != "" {
			return line
		}
	}
	return "A message from " + name
}

// question says how to answer.
func question(q phantom.Question) string {
	return fmt.Sprintf("\n\n---\n\nTo answer, reply to this message with **approve %d** or **deny %d** on the first line. It can be answered until %s.",
		q.Number, q.Number, q.Expires.UTC().Format("2 January 2006, 15:04 UTC"))
}

// tell answers a message of the owner that cannot be taken. That the answer
// cannot be sent is logged and no more: the message would only come again.
func (c *Channel) tell(ctx context.Context, l letter, name, what string) error {
	id := c.messageID("cannot-be-taken-" + digest(name))
	value, _, err := c.Ledger.Get(ctx, sentKey(id))
	if err != nil || strings.HasSuffix(value, sentMark) {
		return err
	}
	home, err := c.conversationOf(ctx, l, name)
	if err != nil {
		return err
	}
	out := outgoing{id: id, to: []string{c.Owner}, subject: answering(l.subject), text: "I could not take your message: " + what + ".", thread: l.thread(), reply: true}
	if err := c.send(ctx, out); err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.Log.LogAttrs(ctx, slog.LevelError, "the owner could not be told that a message cannot be taken", slog.String("reason", what), slog.Any("error", err))
		return nil
	}
	return c.Ledger.Set(context.WithoutCancel(ctx), sentKey(id), string(home)+sentMark)
}

// messageID derives the name of a message from that of its delivery, so that
// it is the same on every try.
func (c *Channel) messageID(delivery string) string {
	return "phantom." + digest(c.own.String()+" "+delivery) + "@" + c.own.domain
}

func bracketed(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString("<" + id + "> ")
	}
	return b.String()
}

// message writes a message for the wire.
func (c *Channel) message(out outgoing) (*mail.Msg, error) {
	page, err := render(out.text)
	if err != nil {
		return nil, err
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP))
	if err := m.FromFormat(c.Deps.Name, c.Address); err != nil {
		return nil, fmt.Errorf("write a message from %s: %w", c.Address, err)
	}
	if err := m.To(out.to...); err != nil {
		return nil, fmt.Errorf("write a message to %q: %w", out.to, err)
	}
	m.Subject(oneLine(out.subject, maxSubject))
	m.SetDateWithValue(time.Now())
	m.SetMessageIDWithValue(out.id)
	sort := "auto-generated"
	if out.reply {
		sort = "auto-replied"
	}
	m.SetGenHeader("Auto-Submitted", sort)
	if out.thread.ID != "" {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+out.thread.ID+">")
		m.SetGenHeader(mail.HeaderReferences, strings.TrimSpace(bracketed(trimmed(append(slices.Clone(out.thread.Before), out.thread.ID)))))
	}
	m.SetBodyString(mail.TypeTextPlain, out.text)
	m.AddAlternativeString(mail.TypeTextHTML, page)
	return m, nil
}

// render turns Markdown into a page. HTML in it is shown as the text that it
// is, links lead to nothing that runs, and pictures are shown as their
// addresses: a mail program would fetch them, and so tell somebody what stands
// in the address.
func render(text string) (string, error) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(shown{}, 1))),
	)
	var page bytes.Buffer
	page.WriteString("<html><body>\n")
	if err := md.Convert([]byte(text), &page); err != nil {
		return "", fmt.Errorf("render a message: %w", err)
	}
	page.WriteString("</body></html>\n")
	return page.String(), nil
}

// shown renders what must not act as what is written.
type shown struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (shown) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	write := func(w util.BufWriter, text string) (ast.WalkStatus, error) {
		_, err := w.WriteString(text)
		return ast.WalkContinue, err
	}
	escaped := func(text []byte) string { return string(util.EscapeHTML(text)) }
	r.Register(ast.KindImage, func(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			return write(w, "[")
		}
		return write(w, "] ("+escaped(node.(*ast.Image).Destination)+")")
	})
	r.Register(ast.KindRawHTML, func(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		return write(w, escaped(node.(*ast.RawHTML).Segments.Value(source)))
	})
	r.Register(ast.KindHTMLBlock, func(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		block := node.(*ast.HTMLBlock)
		switch {
		case entering:
			return write(w, "<p>"+escaped(block.Lines().Value(source)))
		case block.HasClosure():
			return write(w, escaped(block.ClosureLine.Value(source))+"</p>\n")
		}
		return write(w, "</p>\n")
	})
}

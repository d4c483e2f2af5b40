package email

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/charset"

	"phantom/internal/channel/email/vouch"
	"phantom/internal/phantom"
)

// The bounds of what is read of a header, in bytes unless said otherwise.
const (
	maxHeader     = 256 << 10
	maxSubject    = 300
	maxID         = 250
	maxIDField    = 16 << 10 // of a field of ids; the end of a longer one is read
	maxReferences = 10       // ids: the first, and the last ones
)

// letter is what the header of a message says.
type letter struct {
	from      address
	verified  bool   // the receiving server vouches for from, and the message is for us
	why       string // it is not verified
	automatic string // why it is passed over; "" if a person wrote it
	subject   string // one line
	id        string // without angle brackets; "" if it has none that can be used
	replyTo   string // the id of the message that it answers; "" for none
	before    []string
}

// readLetter judges a header. An error means that it is none.
func (c *Channel) readLetter(raw []byte) (letter, error) {
	entity, err := message.ReadWithOptions(bytes.NewReader(raw), &message.ReadOptions{MaxHeaderBytes: maxHeader})
	if entity == nil {
		return letter{}, fmt.Errorf("read the header of a message: %w", err)
	}
	h := entity.Header
	// Redacted here, because it is kept to be answered by.
	l := letter{subject: c.Redactor.String(oneLine(decoded(h.Get("Subject")), maxSubject)), automatic: automatic(h)}
	if ids := messageIDs(h.Get("Message-Id")); len(ids) == 1 {
		l.id = ids[0]
	}
	if ids := messageIDs(h.Get("In-Reply-To")); len(ids) > 0 {
		l.replyTo = ids[0]
	}
	l.before = messageIDs(h.Get("References"))
	var single bool
	l.from, single = author(h)
	if l.from == c.own {
		l.automatic = "Phantom wrote it itself"
	}
	switch {
	case !single:
		l.why = "it does not name one author"
	case !c.addressed(h):
		l.why = "it is addressed to others than " + c.own.String()
	default:
		l.verified, l.why = vouch.Judge(values(h, "Authentication-Results"), c.AuthServer, l.from.domain)
	}
	return l, nil
}

// sender is the identity under which the router judges the message. Without
// the receiving server's word it is nobody's.
func (c *Channel) sender(l letter) string {
	switch {
	case !l.verified && l.from == (address{}):
		return "unverified:"
	case !l.verified:
		return "unverified:" + l.from.String()
	case l.from == c.owner:
		return c.Owner
	}
	return l.from.String()
}

// author returns the one address in the one From of a header.
func author(h message.Header) (address, bool) {
	from := values(h, "From")
	if len(from) != 1 || len(from[0]) > 2000 {
		return address{}, false
	}
	list, err := (&mail.AddressParser{WordDecoder: words()}).ParseList(from[0])
	if err != nil || len(list) != 1 {
		return address{}, false
	}
	return plain(list[0].Address)
}

// addressed reports whether To or Cc names our address. A message that the
// owner wrote to somebody else carries a valid signature as well, and whoever
// has it can send it here.
func (c *Channel) addressed(h message.Header) bool {
	for _, field := range slices.Concat(values(h, "To"), values(h, "Cc")) {
		list, err := (&mail.AddressParser{WordDecoder: words()}).ParseList(field)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(list, func(a *mail.Address) bool {
			to, ok := plain(a.Address)
			return ok && to.untagged() == c.own.untagged()
		}) {
			return true
		}
	}
	return false
}

// automatic says why a message counts as one that no person wrote; "" if it
// does not. An answer to such a message could begin an endless exchange.
func automatic(h message.Header) string {
	if sort, _, _ := strings.Cut(h.Get("Auto-Submitted"), ";"); sort != "" && !strings.EqualFold(strings.TrimSpace(sort), "no") {
		return "it was sent automatically"
	}
	if h.Has("List-Id") {
		return "it comes from a mailing list"
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "junk", "list":
		return "it is a bulk message"
	}
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	switch strings.TrimSpace(kind) {
	case "multipart/report", "message/delivery-status", "message/disposition-notification":
		return "it is a report on the delivery of a message"
	}
	if path := values(h, "Return-Path"); len(path) > 0 && strings.TrimSpace(path[0]) == "<>" {
		return "it has no return path, as reports have"
	}
	if from, _ := author(h); from.local == "mailer-daemon" || from.local == "postmaster" {
		return "a mail server wrote it"
	}
	return ""
}

// values returns the fields of a name, topmost first.
func values(h message.Header, name string) []string {
	var all []string
	for fields := h.FieldsByKey(name); fields.Next(); {
		all = append(all, fields.Value())
	}
	return all
}

// words decodes encoded words. What is in a charset that nobody knows stays as it is.
func words() *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: func(name string, input io.Reader) (io.Reader, error) {
		if r, err := charset.Reader(name, input); err == nil {
			return r, nil
		}
		return input, nil
	}}
}

func decoded(text string) string {
	if plain, err := words().DecodeHeader(text); err == nil {
		return plain
	}
	return text
}

// oneLine returns the head of a text in a single line of at most limit bytes:
// nothing in it ends a header.
func oneLine(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
	}
	return text
}

// id is a message's name as it is safe in a header.
var id = regexp.MustCompile(`<([!-;=?-~]+@[!-;=?-~]+)>`)

// messageIDs returns the usable ids in a field, in their order: the first, and
// the last ones, if there are many.
func messageIDs(field string) []string {
	if len(field) > maxIDField {
		field = field[len(field)-maxIDField:]
	}
	var ids []string
	for _, found := range id.FindAllStringSubmatch(field, -1) {
		if len(found[1]) <= maxID && !slices.Contains(ids, found[1]) {
			ids = append(ids, found[1])
		}
	}
	return trimmed(ids)
}

// trimmed leaves the first id and the last ones.
func trimmed(ids []string) []string {
	if over := len(ids) - maxReferences; over > 0 {
		return slices.Concat(ids[:1], ids[1+over:])
	}
	return ids
}

// thread is what an answer to a message needs: the Source of an Inbound.
type thread struct {
	ID      string   `json:"id,omitempty"`
	Before  []string `json:"before,omitempty"` // References of the answer, without ID
	Subject string   `json:"subject,omitempty"`
}

// thread returns what an answer to the message needs.
func (l letter) thread() thread {
	before := l.before
	if len(before) == 0 && l.replyTo != "" {
		before = []string{l.replyTo}
	}
	return thread{ID: l.id, Before: before, Subject: l.subject}
}

// encode returns the thread in at most phantom.MaxSource bytes.
func (t thread) encode() (string, error) {
	for {
		var out bytes.Buffer
		if err := encodeJSON(&out, t); err != nil {
			return "", fmt.Errorf("encode the thread of a message: %w", err)
		}
		switch {
		case out.Len() <= phantom.MaxSource:
			return strings.TrimSpace(out.String()), nil
		case len(t.Before) > 1:
			t.Before = slices.Concat(t.Before[:1], t.Before[2:])
		default:
			t.Subject = ""
		}
	}
}

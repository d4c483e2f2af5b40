package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The bounds of a message's parts, in bytes.
const (
	maxConversation = 128
	maxUser         = 256
	maxMetadata     = 16 << 10
	maxCallback     = 2 << 10
	maxName         = 64 // of a sender
)

// The signs besides letters and digits of names.
const (
	nameSigns         = "-_"
	conversationSigns = "-_.:@+="
)

// plain reports whether a name is of letters, digits and some signs.
func plain(name string, limit int, signs string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return name != "" && len(name) <= limit
}

// message is what a body says.
type message struct {
	Text         string
	Conversation string // "" for one of its own
	User         string // whom the sender speaks for, or ""
	Metadata     json.RawMessage
	Callback     string // where the reply goes, or "" for whoever asks for it
}

// readMessage reads a body. Every key is one of ours, spelled as ours are, and
// stands there once: what could be read in two ways is refused. The errors are
// for the sender.
func readMessage(body []byte) (m message, err error) {
	if !utf8.Valid(body) {
		return message{}, errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return message{}, errors.New(`the body is no JSON object: want {"message": "…"}`)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return message{}, errBroken
		}
		if seen[key] {
			return message{}, fmt.Errorf("%.40q stands in the body twice", key)
		}
		seen[key] = true
		if err := m.take(dec, key); err != nil {
			return message{}, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return message{}, errBroken
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return message{}, errors.New("something follows the JSON object")
	}
	return m, m.check()
}

var errBroken = errors.New("the body is no whole JSON object")

// take reads the value of one key.
func (m *message) take(dec *json.Decoder, key string) error {
	to := map[string]*string{"message": &m.Text, "conversation_id": &m.Conversation, "user_id": &m.User, "callback_url": &m.Callback}[key]
	switch {
	case key == "metadata":
		if err := dec.Decode(&m.Metadata); err != nil {
			return errBroken
		}
		if string(m.Metadata) == "null" {
			m.Metadata = nil
		}
		return nil
	case to == nil:
		return fmt.Errorf("the body has a key %.40q: want message, conversation_id, user_id, metadata and callback_url alone; put what else there is into metadata", key)
	}
	var value *string
	if err := dec.Decode(&value); err != nil {
		if _, wrong := errors.AsType[*json.UnmarshalTypeError](err); wrong {
			return fmt.Errorf("%s is not a string", key)
		}
		return errBroken
	}
	if value != nil { // null is as good as nothing
		*to = *value
	}
	return nil
}

// check holds the parts to their bounds.
func (m *message) check() error {
	switch {
	case strings.TrimSpace(m.Text) == "":
		return errors.New("message is missing or empty: say what you want done")
	case m.Conversation != "" && !plain(m.Conversation, maxConversation, conversationSigns):
		return fmt.Errorf("conversation_id is not of up to %d letters, digits and %s", maxConversation, conversationSigns)
	case len(m.User) > maxUser:
		return fmt.Errorf("user_id has %d bytes, the limit is %d", len(m.User), maxUser)
	case len(m.Metadata) > maxMetadata:
		return fmt.Errorf("metadata has %d bytes, the limit is %d", len(m.Metadata), maxMetadata)
	case len(m.Metadata) > 0 && m.Metadata[0] != '{':
		return errors.New("metadata is no JSON object")
	case len(m.Callback) > maxCallback:
		return fmt.Errorf("callback_url has %d bytes, the limit is %d", len(m.Callback), maxCallback)
	}
	return nil
}

// beside is what the sender says besides the message: facts, and no
// instructions.
func (m *message) beside() string {
	var b strings.Builder
	if m.User != "" {
		fmt.Fprintf(&b, "user_id: %q\n", m.User)
	}
	if len(m.Metadata) > 0 {
		fmt.Fprintf(&b, "metadata: %s\n", m.Metadata)
	}
	return b.String()
}

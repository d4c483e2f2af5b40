package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"phantom/internal/netguard"
	"phantom/internal/phantom"
)

// maxEcho bounds what is read of the answer to a callback, in bytes, so that
// its connection can be used again.
const maxEcho = 64 << 10

// callback is where the reply to a message goes. It travels with the message as
// its source.
type callback struct {
	Sender       string `json:"sender"`
	Request      string `json:"request"` // the id of the request
	Conversation string `json:"conversation,omitempty"`
	URL          string `json:"url"`
}

// String is the source of a message.
func (b callback) String() string {
	var raw strings.Builder
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false) // an & in an address stays one byte
	if err := enc.Encode(b); err != nil {
		return "" // four texts always have a form
	}
	return strings.TrimSuffix(raw.String(), "\n")
}

// notice is what is sent, as Standard Webhooks advises.
type notice struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      said      `json:"data"`
}

type said struct {
	Requests     []string `json:"request_ids"` // of the messages that are answered: messages that wait together are
	Conversation string   `json:"conversation_id,omitempty"`
	Reply        string   `json:"reply"`
}

// The types of notices: the reply that ends a turn, and what else is said.
const (
	typeReply  = "phantom.reply"
	typeNotice = "phantom.notice"
)

// undelivered says why a callback did not arrive. It holds nothing of the
// address but its host, because the rest may be secret.
type undelivered struct {
	host  string
	why   error
	after time.Duration // how long the receiver asks to wait
	never bool
}

// Error says what went wrong where.
func (u *undelivered) Error() string { return fmt.Sprintf("callback to %s: %v", u.host, u.why) }

// Unwrap returns the reason.
func (u *undelivered) Unwrap() error { return u.why }

// RetryAfter is how long the receiver asks to wait; 0 if it does not.
func (u *undelivered) RetryAfter() time.Duration { return u.after }

// Permanent reports whether no later try can succeed.
func (u *undelivered) Permanent() bool { return u.never }

// Deliver implements router.Channel: a signed POST to each address that the
// answered messages named, under the id of the delivery, by which a receiver
// tells a repeat. A reply without an address is left for whoever asks for it.
func (c *Channel) Deliver(ctx context.Context, d phantom.Delivery) ([]string, error) {
	if d.Question != nil {
		return nil, nil // senders answer none
	}
	paid, err := c.answered(ctx, d)
	if err != nil {
		return nil, err
	}
	sources := make([]string, 0, len(paid)+1)
	for _, p := range paid {
		sources = append(sources, p.Source)
	}
	groups := group(append(sources, d.Source))
	var failures []*undelivered
	for _, g := range groups {
		if failed := c.call(ctx, d, g, len(groups) > 1); failed != nil {
			failures = append(failures, failed)
		}
	}
	if len(failures) > 0 {
		return nil, worst(failures)
	}
	if err := c.owed.paid(ctx, d.Conversation, paid); err != nil {
		return nil, err
	}
	for _, g := range groups {
		if len(groups) == 1 {
			break
		}
		if err := c.Ledger.Drop(ctx, sentTo(d, g)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// sentTo is where it is noted that a delivery went to one of several addresses.
func sentTo(d phantom.Delivery, sources []string) string {
	return nameOf("sent", string(d.ID), readCallback(sources[0]).URL)
}

// group puts together what goes to one address, without what comes twice.
func group(sources []string) (groups [][]string) {
	at := map[string]int{}
	seen := map[string]bool{"": true}
	for _, s := range sources {
		if seen[s] {
			continue
		}
		seen[s] = true
		to := readCallback(s)
		n, known := at[to.URL] // a conversation is one sender's
		if !known {
			n = len(groups)
			at[to.URL], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], s)
	}
	return groups
}

// readCallback reads a source; one that is none of ours has no address.
func readCallback(source string) (to callback) {
	if err := json.Unmarshal([]byte(source), &to); err != nil {
		return callback{}
	}
	return to
}

// worst is the failure by which a delivery is tried again: none is hopeless as
// long as one of them is not.
func worst(failures []*undelivered) error {
	for _, f := range failures {
		if !f.never {
			return f
		}
	}
	return failures[0]
}

// call sends a delivery to one address; if there are more, not where an earlier
// try of the whole has brought it.
func (c *Channel) call(ctx context.Context, d phantom.Delivery, sources []string, more bool) *undelivered {
	to := readCallback(sources[len(sources)-1])
	host := hostOf(to.URL)
	if to.URL == "" {
		return &undelivered{host: host, why: errors.New("the source of the message is none of ours"), never: true}
	}
	var from *sender
	for i := range c.senders {
		if c.senders[i].name == to.Sender {
			from = &c.senders[i]
		}
	}
	if from == nil {
		return &undelivered{host: host, why: fmt.Errorf("there is no sender %s any more, whose secret would sign it", to.Sender), never: true}
	}
	n := notice{Type: typeReply, Timestamp: d.Created.UTC(), Data: said{Conversation: to.Conversation, Reply: d.Text}}
	if d.Turn == "" {
		n.Type = typeNotice
	}
	for _, s := range sources {
		n.Data.Requests = append(n.Data.Requests, readCallback(s).Request)
	}
	body, err := json.Marshal(n)
	if err != nil {
		return &undelivered{host: host, why: err, never: true}
	}
	note := sentTo(d, sources)
	if more {
		_, sent, err := c.Ledger.Get(ctx, note)
		if err != nil {
			return &undelivered{host: host, why: err}
		}
		if sent {
			return nil
		}
	}
	if failed := c.post(ctx, from, to.URL, string(d.ID), body); failed != nil {
		failed.host = host
		return failed
	}
	if more {
		if err := c.Ledger.Set(ctx, note, "sent"); err != nil {
			return &undelivered{host: host, why: err}
		}
	}
	return nil
}

// post sends one signed body to an address that is judged when it is dialled.
func (c *Channel) post(ctx context.Context, from *sender, to, id string, body []byte) *undelivered {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return &undelivered{why: errors.New("it is not written as a URL is"), never: true}
	}
	p := proof{form: standard, id: id, stamp: strconv.FormatInt(c.Now().Unix(), 10)}
	var signatures []string
	for _, key := range from.keys { // the receiver may know only one of them yet
		signatures = append(signatures, standardVersion+base64.StdEncoding.EncodeToString(p.sign(key, body)))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Phantom")
	req.Header.Set(headerID, p.id)
	req.Header.Set(headerTime, p.stamp)
	req.Header.Set(headerSignature, strings.Join(signatures, " "))
	resp, err := c.client.Do(req)
	if err != nil {
		if d, denied := errors.AsType[*netguard.DeniedError](err); denied {
			return &undelivered{why: d, never: true}
		}
		if outer, ok := errors.AsType[*url.Error](err); ok { // it names the whole address
			err = outer.Err
		}
		return &undelivered{why: err}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxEcho)) // what it says changes nothing
	_ = resp.Body.Close()                                          // what the other side says beyond its status is of no concern
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	return &undelivered{
		why:   fmt.Errorf("it answered %d, want 200 to 299", resp.StatusCode),
		after: c.asked(resp.Header.Get("Retry-After")), never: resp.StatusCode == http.StatusGone,
	}
}

// asked is how long an answer asks to wait; 0 if it does not, or not in words
// that are known.
func (c *Channel) asked(text string) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longest)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(c.Now()), 0), longest)
	}
	return 0
}

// hostOf is what of an address may be told.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "an address that cannot be read"
	}
	return u.Hostname()
}

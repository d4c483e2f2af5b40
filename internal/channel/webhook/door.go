package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"phantom/internal/audit"
	"phantom/internal/phantom"
)

const (
	// bodyLimit bounds one body, in bytes.
	bodyLimit = 1 << 20
	// commitTime bounds how long a message takes to be kept, whoever still
	// listens.
	commitTime = 30 * time.Second
	// retryAfter is how many seconds a sender waits before it tries again what
	// could not be done now.
	retryAfter = 5
)

// What senders are told. That of a signature that does not count is the same
// whatever is wrong with it.
const (
	sayUnsigned   = "the request is not signed by a sender that this Phantom knows, or not at this time"
	sayUsed       = "the id of this request was used before: each counts once"
	sayBusy       = "too many requests come at the same time"
	sayUnrecorded = "the request cannot be recorded now, so it is not served"
	sayUnkept     = "the message could not be kept now: send it again, with the same id"
	sayClosing    = "Phantom ends: send the message again later, with the same id"
	sayNoTask     = "this sender has no such task"
)

// answer is what a sender gets. Only the fields that say something are sent.
type answer struct {
	Error        string `json:"error,omitempty"`
	TaskID       string `json:"task_id,omitempty"`
	State        string `json:"state,omitempty"` // working, done, stopped, failed
	Reply        string `json:"reply,omitempty"`
	Conversation string `json:"conversation_id,omitempty"`
}

// stateWorking is the state of a task without a reply.
const stateWorking = "working"

// request is one request whose signature counted.
type request struct {
	*sender
	form string
	id   string // of the request; that of the simple form may be the signature itself
	mac  string // what signed it, in one spelling
	body []byte
}

// letIn finds out who signed a request. Whoever did not is refused alike and
// counted, one row a minute.
func (c *Channel) letIn(w http.ResponseWriter, r *http.Request, method string) (q request, ok bool) {
	refuse := func(status int, say, reason string) (request, bool) {
		c.noteRefused(reason)
		c.deny(r.Context(), w, audit.Entry{Surface: Name, Principal: c.source(r).String(), Method: method}, refusal{status: status, say: say, reason: reason})
		return request{}, false
	}
	p, err := readProof(r.Header, c.Now())
	if err != nil {
		return refuse(http.StatusUnauthorized, sayUnsigned, err.Error())
	}
	var body []byte // signed as empty where none is taken, whatever comes with the request
	if r.Method == http.MethodPost {
		select {
		case c.reading <- struct{}{}:
			defer func() { <-c.reading }()
		default:
			return refuse(http.StatusServiceUnavailable, sayBusy, "too many bodies are read at the same time")
		}
		var status int
		if body, status, err = readBody(w, r); err != nil {
			return refuse(status, sayOf(status), err.Error())
		}
	}
	s, mac := p.by(c.senders, body)
	if s == nil {
		return refuse(http.StatusUnauthorized, sayUnsigned, "no secret of a sender makes its signature")
	}
	c.noteAccepted()
	q = request{sender: s, form: p.form, id: p.id, mac: fmt.Sprintf("%x", mac), body: body}
	if q.id == "" {
		q.id = q.mac
	}
	return q, true
}

// readBody reads a whole body, or says with which status it is refused.
func readBody(w http.ResponseWriter, r *http.Request) (body []byte, status int, err error) {
	if r.ContentLength > bodyLimit {
		return nil, http.StatusRequestEntityTooLarge, errors.New("the body is too large")
	}
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, http.StatusRequestEntityTooLarge, errors.New("the body is too large")
	}
	if err != nil {
		return nil, http.StatusUnauthorized, errors.New("the body did not arrive whole")
	}
	return body, http.StatusOK, nil
}

// sayOf is what a caller is told of a body that could not be read.
func sayOf(status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return fmt.Sprintf("the body has more than %d bytes", bodyLimit)
	}
	return sayUnsigned
}

// name is where the id of a request is claimed. The forms have ids of their
// own, because in one of them anybody could change it.
func (q request) name() string { return nameOf("id", q.sender.name, q.form, q.id) }

// refusal is how a request is refused.
type refusal struct {
	status int
	say    string // to its sender
	reason string // for the record; "" if the same
	task   string // that it is about, or ""
}

// deny refuses a request, and records it: one row a minute for each who asks,
// because a signed request can be sent again by whoever saw it.
func (c *Channel) deny(ctx context.Context, w http.ResponseWriter, e audit.Entry, f refusal) {
	if f.reason == "" {
		f.reason = f.say
	}
	if err := c.Audit.Flood(context.WithoutCancel(ctx), e, fmt.Sprintf("%d: %s", f.status, f.reason)); err != nil {
		c.Log.LogAttrs(ctx, slog.LevelError, "a webhook that was refused could not be recorded", slog.Any("error", err))
		f = refusal{status: http.StatusServiceUnavailable, say: sayUnrecorded}
	}
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	write(w, f.status, answer{Error: f.say, TaskID: f.task})
}

// refuse refuses what a known sender sent.
func (c *Channel) refuse(w http.ResponseWriter, r *http.Request, q request, f refusal) {
	c.deny(r.Context(), w, audit.Entry{Surface: Name, Principal: q.sender.name, Method: strings.ToLower(r.Method)}, f)
}

// fail refuses what cannot be done now.
func (c *Channel) fail(w http.ResponseWriter, r *http.Request, q request, err error) {
	c.Log.LogAttrs(r.Context(), slog.LevelError, "a webhook could not be served", slog.String("sender", q.sender.name), slog.Any("error", err))
	c.refuse(w, r, q, refusal{status: http.StatusServiceUnavailable, say: sayUnkept, reason: err.Error()})
}

// errUsed says that an id counted before.
var errUsed = errors.New(sayUsed)

// take is POST /webhook.
func (c *Channel) take(w http.ResponseWriter, r *http.Request) {
	q, ok := c.letIn(w, r, "post")
	if !ok {
		return
	}
	select {
	case <-c.closing:
		c.refuse(w, r, q, refusal{status: http.StatusServiceUnavailable, say: sayClosing})
		return
	default:
	}
	// From here on nothing is read any more: the bound on the time that reading
	// takes would end the wait for a reply.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // where there is none, none ends it
	keep, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), commitTime)
	defer cancel()
	if task, used, err := c.used.find(keep, q.name()); err != nil {
		c.fail(w, r, q, err)
		return
	} else if used {
		c.refuse(w, r, q, refusal{status: http.StatusConflict, say: sayUsed, task: task})
		return
	}
	m, err := readMessage(q.body)
	if err != nil {
		c.refuse(w, r, q, refusal{status: http.StatusBadRequest, say: err.Error()})
		return
	}
	if m.Callback != "" {
		if v := c.Web.Judge(keep, m.Callback); v.Decision != phantom.Allow {
			c.refuse(w, r, q, refusal{status: http.StatusBadRequest, say: fmt.Sprintf("callback_url: %s. Instead: %s", v.Reason, v.Suggestion), reason: "callback_url: " + v.Reason})
			return
		}
	}
	if err := c.reserve(keep, q); err != nil {
		c.refuseUnkept(w, r, q, "", err)
		return
	}
	c.receive(w, r, q, m)
}

// reserve binds the signature of the simple form to the id beside it, which is
// not signed: with another id it is a copy. It comes before the message is
// kept, and a kill in between leaves the same id free to come again.
func (c *Channel) reserve(ctx context.Context, q request) error {
	if q.form != simple {
		return nil
	}
	name := nameOf("mac", q.sender.name, q.mac)
	won, err := c.claim(ctx, name, q.name())
	if err != nil || won {
		return err
	}
	if first, _, err := c.used.find(ctx, name); err != nil || first != q.name() {
		return errors.Join(err, errUsed)
	}
	return nil
}

// claim is used.claim; where an id counted and could only not be listed, it
// says so in the log.
func (c *Channel) claim(ctx context.Context, name, value string) (bool, error) {
	won, err := c.used.claim(ctx, name, value)
	if won && err != nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "the id of a webhook is kept for longer than it need be", slog.Any("error", err))
		err = nil
	}
	return won, err
}

// receive keeps a message and answers it. It is kept before its id is claimed:
// a kill in between loses nothing, because the sender has no answer and tries
// again, and the message is found by its id. Of several copies at the same time
// one message comes, and whoever claims the id has the answer.
func (c *Channel) receive(w http.ResponseWriter, r *http.Request, q request, m message) {
	in := c.inbound(q, m)
	if len(in.Source) > phantom.MaxSource {
		c.refuse(w, r, q, refusal{status: http.StatusBadRequest, say: "callback_url and the id of the request are too long together"})
		return
	}
	var task string
	submit := func() (phantom.MessageID, error) {
		keep, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), commitTime)
		defer cancel()
		if in.Source != "" && m.Conversation != "" {
			if err := c.owed.room(keep, in.Conversation); err != nil {
				return "", err
			}
		}
		id, err := c.Receive(keep, in)
		if err != nil {
			return "", err
		}
		if task, err = c.taskOf(keep, q.sender.name, id); err != nil {
			return "", err
		}
		if in.Source != "" && m.Conversation != "" { // one of its own is answered alone
			if err := c.owed.add(keep, in.Conversation, debt{Message: id, Source: in.Source}); err != nil {
				return "", err
			}
		}
		won, err := c.claim(keep, q.name(), task)
		if err == nil && !won {
			err = errUsed
		}
		return id, err
	}
	if !c.waits(m) {
		if _, err := submit(); err != nil {
			c.refuseUnkept(w, r, q, task, err)
			return
		}
		write(w, http.StatusAccepted, answer{TaskID: task, State: stateWorking, Conversation: m.Conversation})
		return
	}
	defer func() { <-c.waiting }()
	wait, cancel := context.WithTimeout(r.Context(), c.SyncTimeout)
	defer cancel()
	defer c.whenClosing(wait, cancel)()
	var failed error
	kept := false
	reply, err := c.Answers.Await(wait, in.Conversation, func() (id phantom.MessageID, err error) {
		id, failed = submit()
		kept = failed == nil
		return id, failed
	})
	switch {
	case failed != nil:
		c.refuseUnkept(w, r, q, task, failed)
	case !kept:
		c.fail(w, r, q, fmt.Errorf("the message was not handed in: %w", err))
	case err != nil: // not in time, or it stands still and is tried again
		write(w, http.StatusAccepted, answer{TaskID: task, State: stateWorking, Conversation: m.Conversation})
	default:
		write(w, http.StatusOK, c.ended(task, m.Conversation, reply))
	}
}

// waits reports whether the sender of a message is kept waiting; if so, it
// takes one of the places.
func (c *Channel) waits(m message) bool {
	if m.Callback != "" {
		return false
	}
	select {
	case c.waiting <- struct{}{}:
		return true
	default:
		return false
	}
}

// whenClosing ends a wait when the channel closes; stop must be called.
func (c *Channel) whenClosing(wait context.Context, end context.CancelFunc) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-c.closing:
			end()
		case <-wait.Done():
		}
	}()
	return func() { end(); <-done }
}

// refuseUnkept answers a message that was not taken, or was taken before.
func (c *Channel) refuseUnkept(w http.ResponseWriter, r *http.Request, q request, task string, err error) {
	switch {
	case errors.Is(err, errUsed):
		c.refuse(w, r, q, refusal{status: http.StatusConflict, say: sayUsed, task: task})
	case errors.Is(err, errOwed):
		c.refuse(w, r, q, refusal{status: http.StatusTooManyRequests, say: err.Error()})
	case c.Refused(err):
		c.refuse(w, r, q, refusal{status: http.StatusForbidden, say: "this sender may give no work"})
	case c.Invalid(err):
		c.refuse(w, r, q, refusal{status: http.StatusBadRequest, say: c.Redactor.String(err.Error())})
	default:
		c.fail(w, r, q, err)
	}
}

// inbound is a message as the router takes it.
func (c *Channel) inbound(q request, m message) phantom.Inbound {
	conversation := m.Conversation
	if conversation == "" { // one of its own
		conversation = "once=" + nameOf(q.form, q.id)[len("used "):]
	}
	in := phantom.Inbound{
		Identity: nameOf("message", q.sender.name, q.form, q.id), Kind: phantom.InboundMessage, Text: m.Text, Beside: m.beside(),
		Sender: q.sender.name, Client: true, Conversation: phantom.ClientConversation(Name, q.sender.name, conversation),
	}
	if q.sender.owner {
		in.Sender, in.Client = c.Owner, false
		in.Conversation = phantom.ConversationID(Name + ":" + q.sender.name + ":" + conversation)
	}
	if m.Callback != "" {
		in.Source = callback{Sender: q.sender.name, Request: q.id, Conversation: m.Conversation, URL: m.Callback}.String()
	}
	return in
}

// tell is GET /webhook/tasks/{id}.
func (c *Channel) tell(w http.ResponseWriter, r *http.Request) {
	q, ok := c.letIn(w, r, "get")
	if !ok {
		return
	}
	ctx := r.Context()
	err := c.reserve(ctx, q)
	if err == nil {
		var won bool
		if won, err = c.claim(ctx, q.name(), ""); err == nil && !won {
			err = errUsed
		}
	}
	if err != nil {
		c.refuseUnkept(w, r, q, "", err)
		return
	}
	task := r.PathValue("id")
	id, err := c.messageOf(ctx, q.sender.name, task)
	if err != nil {
		c.fail(w, r, q, err)
		return
	}
	if id == "" {
		c.refuse(w, r, q, refusal{status: http.StatusNotFound, say: sayNoTask})
		return
	}
	reply, ended, err := c.Answers.Reply(ctx, id)
	switch {
	case err != nil:
		c.fail(w, r, q, err)
	case !ended:
		write(w, http.StatusAccepted, answer{TaskID: task, State: stateWorking})
	default:
		write(w, http.StatusOK, c.ended(task, "", reply))
	}
}

// ended is the answer to a message that has its reply.
func (c *Channel) ended(task, conversation string, reply phantom.Reply) answer {
	return answer{TaskID: task, State: string(reply.State), Reply: c.Redactor.String(reply.Text), Conversation: conversation}
}

// noteRefused keeps why the newest caller was refused, for Check.
func (c *Channel) noteRefused(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused, c.at = reason, c.Now()
}

func (c *Channel) noteAccepted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = c.Now()
}

// source is the address that a request comes from. A proxy on this machine says
// whom it speaks for in the last entry of X-Forwarded-For; anybody else's word
// for it counts nothing.
func (c *Channel) source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap()
	said := r.Header.Values("X-Forwarded-For")
	if !c.Proxied || !from.IsLoopback() || len(said) == 0 {
		return from
	}
	last := said[len(said)-1]
	named, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
	if err != nil {
		return netip.Addr{}
	}
	return named.Unmap()
}

func write(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the caller may be gone
}

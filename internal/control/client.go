package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"phantom/internal/approval"
	"phantom/internal/schedule"
	"phantom/internal/secret"
	"phantom/internal/vault"
)

// ErrNoInstance says that nobody listens on the socket.
var ErrNoInstance = errors.New("no phantom runs on this home: start it with `phantom start`")

// Client speaks to the running instance.
type Client struct {
	http *http.Client
}

// NewClient returns a client for the socket; it connects at the first call.
func NewClient(socket string, key secret.Value) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", socket)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, ErrNoInstance
		}
		if err != nil {
			return nil, err
		}
		if err := greet(conn, key, true); err != nil {
			return nil, errors.Join(fmt.Errorf("control socket: %w", err), conn.Close())
		}
		return conn, nil
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 1}}}
}

// Close gives the connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask sends a message and yields what happens until it is answered; the last
// event is the reply.
func (c *Client) Ask(ctx context.Context, m Message) iter.Seq2[Event, error] {
	return c.stream(ctx, http.MethodPost, "/ask", m)
}

// Watch yields what happens in a conversation from now on. ready is called
// once nothing can be missed any more.
func (c *Client) Watch(ctx context.Context, conversation string, ready func()) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		body, err := c.do(ctx, http.MethodGet, "/watch?conversation="+url.QueryEscape(conversation), nil)
		if err != nil {
			yield(Event{}, err)
			return
		}
		ready()
		events(body, yield)
	}
}

// Send sends a message without waiting for its answer.
func (c *Client) Send(ctx context.Context, m Message) error {
	return c.call(ctx, http.MethodPost, "/send", m, nil)
}

// Stop ends the running turns of a conversation, or all if it is "".
func (c *Client) Stop(ctx context.Context, conversation string) (stopped int, err error) {
	return stopped, c.call(ctx, http.MethodPost, "/stop", Message{Conversation: conversation}, &stopped)
}

// Status fills into with what the instance says of itself.
func (c *Client) Status(ctx context.Context, into any) error {
	return c.call(ctx, http.MethodGet, "/status", nil, into)
}

// Doctor fills into with what the instance finds when it examines itself.
func (c *Client) Doctor(ctx context.Context, into any) error {
	return c.call(ctx, http.MethodGet, "/doctor", nil, into)
}

// Rooms returns the places of a channel's service that the instance reaches.
func (c *Client) Rooms(ctx context.Context, channel string) (rooms []string, err error) {
	return rooms, c.call(ctx, http.MethodGet, "/channels/"+url.PathEscape(channel)+"/rooms", nil, &rooms)
}

// Prompt fills into with what the instance would send to the model.
func (c *Client) Prompt(ctx context.Context, into any) error {
	return c.call(ctx, http.MethodGet, "/prompt", nil, into)
}

// Pending returns the open approvals.
func (c *Client) Pending(ctx context.Context) (open []approval.Question, err error) {
	return open, c.call(ctx, http.MethodGet, "/approvals", nil, &open)
}

// Decide answers an approval.
func (c *Client) Decide(ctx context.Context, number int64, approve bool) (q approval.Question, err error) {
	return q, c.call(ctx, http.MethodPost, fmt.Sprintf("/approvals/%d", number), approve, &q)
}

// List returns the stored secrets, without their values.
func (c *Client) List(ctx context.Context) (list []vault.Entry, err error) {
	return list, c.call(ctx, http.MethodGet, "/secrets", nil, &list)
}

// Set stores a secret, bound to hosts.
func (c *Client) Set(ctx context.Context, name string, value secret.Value, hosts []string) (e vault.Entry, err error) {
	return e, c.call(ctx, http.MethodPost, "/secrets", secretValue{Name: name, Value: value.Reveal(), Hosts: hosts}, &e)
}

// Rotate gives a stored secret a new value.
func (c *Client) Rotate(ctx context.Context, name string, value secret.Value) (e vault.Entry, err error) {
	return e, c.call(ctx, http.MethodPost, "/secrets", secretValue{Name: name, Value: value.Reveal(), Rotate: true}, &e)
}

// Remove forgets a secret.
func (c *Client) Remove(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/secrets/"+url.PathEscape(name), nil, nil)
}

// RotateKey seals all secrets under a new key.
func (c *Client) RotateKey(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/secrets/key", nil, nil)
}

// RequestSecrets makes a link under which the owner gives secrets.
func (c *Client) RequestSecrets(ctx context.Context, r vault.Request) (link vault.Link, err error) {
	return link, c.call(ctx, http.MethodPost, "/secrets/link", r, &link)
}

// Always approves a question, and the same action in its directory from now on.
func (c *Client) Always(ctx context.Context, number int64) (q approval.Question, err error) {
	return q, c.call(ctx, http.MethodPost, fmt.Sprintf("/approvals/%d/always", number), nil, &q)
}

// Revoke takes a lasting approval back.
func (c *Client) Revoke(ctx context.Context, number int64) (y approval.Standing, err error) {
	return y, c.call(ctx, http.MethodDelete, fmt.Sprintf("/approvals/always/%d", number), nil, &y)
}

// CreateTask gives the instance a task.
func (c *Client) CreateTask(ctx context.Context, n schedule.New) (t schedule.Task, err error) {
	return t, c.call(ctx, http.MethodPost, "/tasks", n, &t)
}

// CancelTask cancels a task; one that runs ends a moment later.
func (c *Client) CancelTask(ctx context.Context, id string) (t schedule.Task, err error) {
	return t, c.call(ctx, http.MethodDelete, "/tasks/"+url.PathEscape(id), nil, &t)
}

// Shutdown asks the instance to end.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/shutdown", nil, nil)
}

func (c *Client) do(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://phantom"+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, ErrNoInstance) {
			return nil, ErrNoInstance
		}
		return nil, fmt.Errorf("reach the running phantom: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var e Event
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Text == "" {
		return nil, fmt.Errorf("the running phantom answered %s: is it of the same version?", resp.Status)
	}
	return nil, errors.New(e.Text)
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) (err error) {
	answer, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Close()) }()
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer).Decode(into)
}

func (c *Client) stream(ctx context.Context, method, path string, body any) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		answer, err := c.do(ctx, method, path, body)
		if err != nil {
			yield(Event{}, err)
			return
		}
		events(answer, yield)
	}
}

// events yields a stream's events until it ends.
func events(body io.ReadCloser, yield func(Event, error) bool) {
	defer body.Close()
	r := bufio.NewReader(body)
	for {
		raw, err := line(r)
		if errors.Is(err, io.EOF) {
			return
		}
		var e Event
		if err == nil {
			err = json.Unmarshal(raw, &e)
		}
		if err == nil && e.Kind == EventError {
			err = errors.New(e.Text)
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
		if !yield(e, nil) {
			return
		}
	}
}

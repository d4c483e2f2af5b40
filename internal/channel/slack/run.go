package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/phantom"
)

const (
	// refusedWait is the wait after a token was refused: somebody has to mend it.
	refusedWait = 3 * time.Minute
	// steady is how long a connection lasts that was no failure.
	steady = time.Minute
	// maxAtOnce bounds the events that are worked on at the same time.
	maxAtOnce = 32
	// maxFrame bounds one event, in bytes.
	maxFrame = 4 << 20
	// sendBuffer holds one acknowledgement whole; Slack reads no others.
	sendBuffer = 32 << 10
)

// Run implements router.Channel. It returns when ctx ends, and never because of
// Slack: whatever fails is tried again, and Check says what it was.
func (c *Channel) Run(ctx context.Context, receive func(context.Context, phantom.Inbound) error) error {
	c.link.begin()
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { c.marks.Sweep(ctx) })
	for failed := 0; ; failed++ {
		began := time.Now()
		err := c.session(ctx, receive)
		c.link.lost(err)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > steady {
			failed = 0
		}
		wait := fault.Backoff(failed, err)
		if fault.Refused(err) {
			wait = refusedWait
		}
		c.Log.LogAttrs(ctx, slog.LevelWarn, "not connected to Slack", slog.Any("error", err), slog.Duration("again_in", wait))
		if fault.Pause(ctx, wait) != nil {
			return nil
		}
	}
}

// session signs in, connects and hears until that does not go on.
func (c *Channel) session(ctx context.Context, receive receiver) error {
	who, err := c.authenticate(ctx)
	if err != nil {
		return err
	}
	if err := lacking(who); err != nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "not everything can work in Slack", slog.Any("error", err))
	}
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := socketmode.New(c.api, socketmode.OptionLog(mute{}), socketmode.OptionReadLimit(maxFrame),
		socketmode.OptionDialer(&websocket.Dialer{Proxy: c.door, HandshakeTimeout: callTimeout, WriteBufferSize: sendBuffer}))
	ended := make(chan error, 1)
	work.Go(func() { ended <- client.RunContext(ctx) })
	work.Go(func() { c.greet(ctx) })
	s := &shift{
		c: c, who: who, self: event.Self{User: who.user, Name: c.Deps.Name, Owner: c.Owner},
		receive: receive, client: client, work: &work, places: make(chan struct{}, maxAtOnce), lanes: lanes{tails: map[string]chan struct{}{}},
	}
	for {
		select {
		case e := <-client.Events:
			s.on(ctx, e)
		case err := <-ended:
			if err != nil {
				return c.tell.Of("connect with the app token", err)
			}
			return errors.New("slack: the connection ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// door lets a connection go to Slack, or to the server that the API's address
// names, and nowhere else: the address came in an answer. Proxies are those of
// the environment.
func (c *Channel) door(req *http.Request) (*url.URL, error) {
	host := strings.ToLower(req.URL.Hostname())
	secure := req.URL.Scheme == "https" || req.URL.Scheme == "wss"
	slacks := secure && (host == "slack.com" || strings.HasSuffix(host, ".slack.com"))
	if api, err := url.Parse(c.API); !slacks && (err != nil || api.Host != req.URL.Host || api.Scheme == "https" && !secure) {
		return nil, fmt.Errorf("slack wants a connection to %s, which is not Slack's", host)
	}
	return http.ProxyFromEnvironment(req)
}

// shift is what hears while one connection after the other lasts.
type shift struct {
	c       *Channel
	who     self
	self    event.Self
	receive receiver
	client  *socketmode.Client
	work    *sync.WaitGroup
	places  chan struct{} // one token an event at work
	lanes   lanes
}

// on handles what the connection says.
func (s *shift) on(ctx context.Context, e socketmode.Event) {
	switch e.Type {
	case socketmode.EventTypeHello:
		s.c.link.up()
		s.c.Log.LogAttrs(ctx, slog.LevelInfo, "connected to Slack", slog.String("team", s.who.teamName), slog.String("as", s.who.name))
	case socketmode.EventTypeConnecting:
		s.c.link.lost(nil)
	case socketmode.EventTypeConnectionError:
		if failed, ok := e.Data.(*slackgo.ConnectionErrorEvent); ok {
			f := s.c.tell.Of("connect", failed.ErrorObj)
			s.c.link.lost(f)
			s.c.Log.LogAttrs(ctx, slog.LevelWarn, "cannot connect to Slack", slog.Any("error", f))
		}
	case socketmode.EventTypeErrorBadMessage:
		// What cannot be read now cannot be read when it comes again.
		if bad, ok := e.Data.(*socketmode.ErrorBadMessage); ok {
			var r socketmode.Request
			if json.Unmarshal(bad.Message, &r) == nil && r.EnvelopeID != "" {
				s.take(ctx, r)
			}
		}
	case socketmode.EventTypeEventsAPI, socketmode.EventTypeInteractive, socketmode.EventTypeSlashCommand:
		if e.Request != nil {
			s.take(ctx, *e.Request)
		}
	}
}

// take works on one event, behind those of the same conversation and beside
// those of others.
func (s *shift) take(ctx context.Context, r socketmode.Request) {
	ev, ok := s.self.Read(r.Type, r.Payload)
	if !ok || s.c.heard.Has(ev.In.Identity) {
		s.ack(ctx, r)
		return
	}
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return // it was not acknowledged, so it comes again
	}
	before, leave := s.lanes.enter(string(ev.In.Conversation))
	s.work.Go(func() {
		defer func() { <-s.places }()
		defer leave()
		select {
		case <-before:
		case <-ctx.Done():
			return
		}
		if s.c.heard.Has(ev.In.Identity) { // its twin came before it in the lane
			s.ack(ctx, r)
			return
		}
		s.handle(ctx, r, ev)
	})
}

// handle commits one event, acknowledges it, and only then does what else
// there is to do.
func (s *shift) handle(ctx context.Context, r socketmode.Request, ev event.Event) {
	var err error
	for failed := 0; ; failed++ {
		if err = s.c.commit(ctx, s.who, s.receive, ev); err == nil || s.c.final(err) {
			break
		}
		s.c.Log.LogAttrs(ctx, slog.LevelError, "an event of Slack could not be kept", slog.String("identity", ev.In.Identity), slog.Any("error", err))
		if fault.Pause(ctx, fault.Backoff(failed, err)) != nil {
			return // it comes again
		}
	}
	s.c.heard.Add(ev.In.Identity)
	s.ack(ctx, r)
	s.c.afterwards(ctx, ev, err)
}

// ack tells Slack that an event need not come again. One that does not arrive
// makes it come again, and it is known then.
func (s *shift) ack(ctx context.Context, r socketmode.Request) {
	if err := s.client.AckCtx(ctx, r.EnvelopeID, nil); err != nil && ctx.Err() == nil {
		s.c.Log.LogAttrs(ctx, slog.LevelWarn, "an event of Slack could not be acknowledged", slog.Any("error", err))
	}
}

// lanes keep the order within each conversation.
type lanes struct {
	mu    sync.Mutex
	tails map[string]chan struct{} // closed when the last of a lane is done
}

// enter joins the end of a lane: before closes when it is one's turn, and leave
// lets the next go on.
func (l *lanes) enter(lane string) (before <-chan struct{}, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	prev := l.tails[lane]
	if prev == nil {
		prev = make(chan struct{})
		close(prev)
	}
	mine := make(chan struct{})
	l.tails[lane] = mine
	return prev, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(mine)
		if l.tails[lane] == mine {
			delete(l.tails, lane)
		}
	}
}

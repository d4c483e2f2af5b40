package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"phantom/internal/phantom"
)

const (
	// idleFor is how long the server is listened to before it is asked anyway.
	// Servers may end an IDLE after half an hour, and some miss what came just
	// before it began; a connection that died silently is noticed then.
	idleFor = 5 * time.Minute
	// pollEvery is how often a server without IDLE is asked.
	pollEvery = time.Minute
	// patience is how long the server may take to answer a command, and
	// fetchTime to send a message.
	patience  = time.Minute
	fetchTime = 5 * time.Minute
	// firstWait and longestWait bound the wait before the next connection.
	firstWait   = time.Second
	longestWait = 5 * time.Minute
)

// state is how the channel stands, for Check.
type state struct {
	connected bool
	last      error  // why the last connection ended
	believed  bool   // a message of the owner's was recognised
	refused   string // why one in the owner's name was last refused, before that
}

// Run implements router.Channel. Whatever fails is tried again, also a login
// that the server refuses: the owner may mend it there. Check says so meanwhile.
func (c *Channel) Run(ctx context.Context, receive func(context.Context, phantom.Inbound) error) error {
	wait := firstWait
	for ctx.Err() == nil {
		began := time.Now()
		err := c.session(ctx, receive)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > longestWait {
			wait = firstWait
		}
		c.ended(err)
		c.Log.LogAttrs(ctx, slog.LevelWarn, "the mailbox is not heard; the connection is tried again", slog.Any("error", err), slog.Duration("after", wait))
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, longestWait)
	}
	c.ended(nil)
	return nil
}

func (c *Channel) ended(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.connected, c.state.last = false, err
}

// session works the mailbox over one connection until something fails.
func (c *Channel) session(ctx context.Context, receive func(context.Context, phantom.Inbound) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the connection ends with it
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := c.knows(ctx, s.validity); err != nil {
		return err
	}
	c.mu.Lock()
	c.state.connected, c.state.last = true, nil
	c.mu.Unlock()
	for {
		if err := c.sweep(ctx, s, receive); err != nil {
			return err
		}
		if err := s.wait(ctx, c.idle, c.poll); err != nil {
			return err
		}
	}
}

// knows notes that the server numbers the mailbox anew. Messages are told
// apart by their Message-ID, so only unread ones without it come as new.
func (c *Channel) knows(ctx context.Context, validity uint32) error {
	const key = "uidvalidity"
	now := strconv.FormatUint(uint64(validity), 10)
	before, found, err := c.Ledger.Get(ctx, key)
	if err != nil || found && before == now {
		return err
	}
	if found {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "the server numbers the mailbox anew: unread messages without a Message-ID count as new", slog.String("before", before), slog.String("now", now))
	}
	return c.Ledger.Set(ctx, key, now)
}

// sweep takes every message that is not seen, in the order of their arrival.
func (c *Channel) sweep(ctx context.Context, s *session, receive func(context.Context, phantom.Inbound) error) error {
	uids, err := s.unseen()
	if err != nil {
		return err
	}
	for _, uid := range uids {
		if s.done[uid] {
			continue // the server does not keep what was seen; Check says so
		}
		e, err := s.look(uid)
		if err != nil {
			return err
		}
		if e.header == nil {
			continue // somebody deleted it meanwhile
		}
		if err := c.take(ctx, e, receive); err != nil {
			return err
		}
		s.done[uid] = true
		if err := s.seen(uid); err != nil {
			return err
		}
	}
	return nil
}

// session is one connection with the mailbox selected.
type session struct {
	client   *imapclient.Client
	validity uint32
	news     chan struct{} // full: the mailbox has changed
	done     map[imap.UID]bool
	keeps    bool // the server keeps what was seen
}

// open connects, logs in and selects the mailbox.
func (c *Channel) open(ctx context.Context) (*session, error) {
	news := make(chan struct{}, 1)
	options := &imapclient.Options{
		TLSConfig: secured(c.IMAP.Host, c.Roots),
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				select {
				case news <- struct{}{}:
				default: // it is known already
				}
			}
		}},
	}
	client, err := c.greet(ctx, options, c.IMAP.Port == c.ports.imapPlain)
	if err != nil {
		return nil, err
	}
	s := &session{client: client, news: news, done: map[imap.UID]bool{}}
	if err := s.within(patience, func() error { return client.Login(c.IMAP.User, c.IMAP.Password.Reveal()).Wait() }); err != nil {
		s.close()
		if refused, ok := errors.AsType[*imap.Error](err); ok {
			return nil, &loginError{refused}
		}
		return nil, fmt.Errorf("log in at %s: %w", c.IMAP.address(), err)
	}
	err = s.within(patience, func() error {
		data, err := client.Select("INBOX", nil).Wait()
		if err == nil {
			s.validity = data.UIDValidity
			// A server that says nothing of it keeps all flags.
			s.keeps = data.PermanentFlags == nil || slices.Contains(data.PermanentFlags, imap.FlagSeen) || slices.Contains(data.PermanentFlags, imap.FlagWildcard)
		}
		return err
	})
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open INBOX at %s: %w", c.IMAP.address(), err)
	}
	return s, nil
}

// greet connects by TLS, begun at once or by STARTTLS. Nothing is said to a
// server without it.
func (c *Channel) greet(ctx context.Context, options *imapclient.Options, start bool) (*imapclient.Client, error) {
	if !start {
		conn, err := c.IMAP.connect(ctx, options.TLSConfig)
		if err != nil {
			return nil, err
		}
		return imapclient.New(conn, options), nil
	}
	conn, err := c.IMAP.connect(ctx, nil)
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(maxConnect, func() { _ = conn.Close() }) // the handshake hears of it
	defer timer.Stop()
	client, err := imapclient.NewStartTLS(conn, options)
	if err != nil {
		return nil, fmt.Errorf("begin TLS at %s, without which nothing is said: %w", c.IMAP.address(), err)
	}
	return client, nil
}

// loginError is the server's refusal of name and password.
type loginError struct{ err *imap.Error }

// Error says what to do.
func (e *loginError) Error() string {
	return fmt.Sprintf("the IMAP server refuses the login (%s): look at email.imap.user and the password in config/channels.yaml; many providers want a password made for one program", oneLine(e.err.Text, maxSubject))
}

// Unwrap returns the server's answer.
func (e *loginError) Unwrap() error { return e.err }

// within ends the connection if op takes longer than d: a server that says
// nothing more would be waited for without end.
func (s *session) within(d time.Duration, op func() error) error {
	timer := time.AfterFunc(d, func() { _ = s.client.Close() }) // op hears of it
	err := op()
	if !timer.Stop() && err != nil {
		return fmt.Errorf("no answer for %v: %w", d, err)
	}
	return err
}

// close ends the connection.
func (s *session) close() { _ = s.client.Close() } // there is nobody to tell

// unseen returns the messages that are not marked as seen, oldest first.
func (s *session) unseen() (uids []imap.UID, err error) {
	err = s.within(patience, func() error {
		data, err := s.client.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, nil).Wait()
		if err != nil {
			return fmt.Errorf("look for new messages: %w", err)
		}
		uids = data.AllUIDs()
		return nil
	})
	slices.Sort(uids)
	return uids, err
}

// look returns a message as the mailbox shows it; without a header if it is
// not there any more.
func (s *session) look(uid imap.UID) (envelope, error) {
	e := envelope{mailbox: s.validity, uid: uint32(uid)}
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true, Partial: &imap.SectionPartial{Size: maxHeader}}
	var err error
	e.header, e.size, err = s.get(uid, section, maxHeader)
	e.fetch = func(context.Context) ([]byte, error) {
		raw, _, err := s.get(uid, &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: maxMessage}}, maxMessage)
		if err == nil && raw == nil {
			err = fmt.Errorf("message %d was deleted while it was read", uid)
		}
		return raw, err
	}
	return e, err
}

// get fetches one section of a message, at most limit bytes of it, and the
// size of the whole.
func (s *session) get(uid imap.UID, section *imap.FetchItemBodySection, limit int64) (raw []byte, size int64, err error) {
	err = s.within(fetchTime, func() error {
		cmd := s.client.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}})
		var broken error
		for m := cmd.Next(); m != nil; m = cmd.Next() {
			for item := m.Next(); item != nil; item = m.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataRFC822Size:
					size = item.Size
				case imapclient.FetchItemDataBodySection:
					if item.Literal == nil || raw != nil {
						continue
					}
					if item.Literal.Size() > limit {
						broken = fmt.Errorf("the server sends %d bytes where %d were asked for", item.Literal.Size(), limit)
						go s.close() // what is left of them is not waited for
						continue
					}
					if raw, broken = io.ReadAll(io.LimitReader(item.Literal, limit)); raw == nil {
						raw = []byte{}
					}
				}
			}
		}
		if err := errors.Join(broken, cmd.Close()); err != nil {
			return fmt.Errorf("fetch message %d: %w", uid, err)
		}
		return nil
	})
	return raw, size, err
}

// seen marks a message.
func (s *session) seen(uid imap.UID) error {
	return s.within(patience, func() error {
		err := s.client.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close()
		if err != nil {
			return fmt.Errorf("mark message %d as seen: %w", uid, err)
		}
		return nil
	})
}

// wait returns when the mailbox has changed or it is time to look anyway.
func (s *session) wait(ctx context.Context, idle, poll time.Duration) error {
	select {
	case <-s.news:
		return nil
	default:
	}
	if !s.client.Caps().Has(imap.CapIdle) {
		if err := s.pause(ctx, poll); err != nil {
			return err
		}
		return s.within(patience, func() error { return s.client.Noop().Wait() })
	}
	var listening *imapclient.IdleCommand
	err := s.within(patience, func() (err error) {
		listening, err = s.client.Idle()
		return err
	})
	if err != nil {
		return fmt.Errorf("listen to the mailbox: %w", err)
	}
	if err := s.pause(ctx, idle); err != nil {
		return err
	}
	return s.within(patience, func() error {
		if err := listening.Close(); err != nil {
			return err
		}
		return listening.Wait()
	})
}

// pause waits for news, for at most d.
func (s *session) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.news:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.client.Closed():
		return errors.New("the server ended the connection")
	}
	return nil
}

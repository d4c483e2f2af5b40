// Package telegram is the channel of a Telegram bot: the owner's private chat
// with it and, where allowed, groups in which it is spoken to.
//
// It owns the one poller of the bot. An update is confirmed only when what it
// says is committed, so what came in during a downtime, or was lost by a crash,
// comes again. It shows how work stands by the typing indicator and one message
// that is edited, and sends replies as MarkdownV2, or as plain text where
// Telegram refuses that. It drops what bots and anonymous senders write, takes
// no file but the owner's, follows no redirect, and lets Telegram fetch no
// address for a preview. Who is heard is the router's to say.
//
// Replies are sent at least once: Telegram cannot be asked whether it has a
// message. What was sent of a reply is kept in the ledger part by part, so one
// part, and no more, can come twice: when the process is killed, or the answer
// to the request is lost, between Telegram's taking the part and its note.
package telegram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-telegram/bot"

	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Name is the channel's name in conversation ids.
const Name = "telegram"

// server is Telegram's own.
const server = "https://api.telegram.org"

// Deps is what a Channel needs.
type Deps struct {
	Token   secret.Value
	Owner   string // the owner's numeric user id
	Name    string // what Phantom is called here
	Groups  bool   // hear the owner in groups, where spoken to
	Server  string // "": Telegram's own
	HTTP    *http.Client
	Ledger  ledger
	Files   files // nil: files are not taken
	Refused func(error) bool
	Invalid func(error) bool
	Log     *slog.Logger
}

// ledger is what is kept across restarts.
type ledger interface {
	Get(ctx context.Context, name string) (value string, found bool, err error)
	Set(ctx context.Context, name, value string) error
	Drop(ctx context.Context, name string) error
}

// files keeps what the owner sends in the workspace.
type files interface {
	Keep(ctx context.Context, name string, r io.Reader) (path string, err error)
}

// Channel implements router.Presenter and router.Asker.
type Channel struct {
	Deps
	owner int64
	http  *http.Client
	bot   *bot.Bot

	mu    sync.Mutex // guards what follows
	me    identity   // zero until Telegram said it
	fault error      // what keeps the poller from its work; nil: nothing
	since time.Time  // of the fault
	shows map[phantom.ConversationID]show
	owed  map[phantom.DeliveryID]sending // what was sent and could not be noted
	quiet map[int64]time.Time            // chats in which Telegram wants a pause, and until when
}

// identity is who the bot is to Telegram.
type identity struct {
	ID       int64
	Username string
}

// New returns a channel that has not spoken to Telegram yet, or an error that
// names what is missing.
func New(d Deps) (*Channel, error) {
	for name, missing := range map[string]bool{
		"token": d.Token.IsZero(), "name": d.Name == "", "ledger": d.Ledger == nil, "judge of refusals": d.Refused == nil, "judge of validity": d.Invalid == nil, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("telegram: no %s", name)
		}
	}
	owner, err := strconv.ParseInt(d.Owner, 10, 64)
	if err != nil || owner <= 0 {
		return nil, errors.New("telegram: the owner's user id is not a number above 0: write it under `owner: {telegram: …}` in config/phantom.yaml")
	}
	if d.Server == "" {
		d.Server = server
	}
	d.Server = strings.TrimSuffix(d.Server, "/")
	if u, err := url.Parse(d.Server); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("telegram: the server is no address that begins with https://")
	}
	c := &Channel{Deps: d, owner: owner, http: client(d.HTTP), shows: map[phantom.ConversationID]show{}, quiet: map[int64]time.Time{}, owed: map[phantom.DeliveryID]sending{}}
	c.bot, err = bot.New(d.Token.Reveal(), bot.WithSkipGetMe(), bot.WithServerURL(d.Server), bot.WithHTTPClient(callTimeout, bounded{c.http}),
		bot.WithErrorsHandler(func(err error) {
			d.Log.Debug("telegram client", slog.String("error", c.scrub(err)))
		}))
	if err != nil {
		return nil, fmt.Errorf("telegram: %s", c.scrub(err)) // the library's errors may hold the token
	}
	return c, nil
}

// Name implements router.Channel.
func (*Channel) Name() string { return Name }

// Asks implements router.Asker.
func (*Channel) Asks() bool { return true }

// Home is the conversation in which the owner is reached without having
// written first: the private chat, whose id is the user's.
func (c *Channel) Home(context.Context) (phantom.ConversationID, error) {
	return place{chat: c.owner}.conversation(), nil
}

// place is a chat, and a topic in it if thread is not 0.
type place struct {
	chat   int64
	thread int
}

func (p place) conversation() phantom.ConversationID {
	id := Name + ":" + strconv.FormatInt(p.chat, 10)
	if p.thread != 0 {
		id += ":" + strconv.Itoa(p.thread)
	}
	return phantom.ConversationID(id)
}

// private reports whether nobody but one person and the bot reads there.
func (p place) private() bool { return p.chat > 0 }

// placeOf is the inverse of conversation.
func placeOf(id phantom.ConversationID) (place, error) {
	rest, ok := strings.CutPrefix(string(id), Name+":")
	chat, thread, topic := strings.Cut(rest, ":")
	var p place
	var err, threadErr error
	p.chat, err = strconv.ParseInt(chat, 10, 64)
	if topic {
		p.thread, threadErr = strconv.Atoi(thread)
	}
	if !ok || err != nil || threadErr != nil || p.chat == 0 || topic && p.thread <= 0 {
		return place{}, &apiError{method: "deliver", code: http.StatusBadRequest, text: fmt.Sprintf("%q is no conversation of Telegram", id)}
	}
	return p, nil
}

// messageName is the channel's name of one message, by which presses name it.
func messageName(chat int64, message int) string {
	return strconv.FormatInt(chat, 10) + ":" + strconv.Itoa(message)
}

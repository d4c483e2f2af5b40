// Package slack is the channel of one Slack workspace, over Socket Mode.
//
// It owns Slack's wire format: what people write, edit, upload, press and react
// with becomes an Inbound; a reply becomes messages in the thread that it
// answers, each once, with a progress message, reactions and buttons around it.
// An event is acknowledged only when it is committed, so that Slack gives it
// again otherwise. Outages, lost connections and revoked tokens end nothing:
// the channel keeps trying and Check says what is wrong.
//
// It drops what Phantom itself, other apps and the service write, and reads no
// file of anybody but the owner. Who is heard it does not decide. It needs the
// scopes of Manifest and says which are missing.
package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/channel/slack/mark"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Name is the channel's name in conversation ids.
const Name = event.Name

// Deps is what a Channel needs; all but DefaultChannel, API and Files
// must be set.
type Deps struct {
	BotToken, AppToken secret.Value
	Owner              string // the owner's user id, such as U0123ABCD
	Name, Role         string // Phantom's own, for its introduction
	DefaultChannel     string // where it introduces itself; "" for nowhere
	API                string // the address of the Web API, ending with /api/; "" is Slack's own
	Ledger             ledger
	Files              files // nil: uploads are not read
	Refused, Invalid   func(error) bool
	Log                *slog.Logger
}

// ledger is what is kept across restarts.
type ledger interface {
	Get(ctx context.Context, name string) (value string, found bool, err error)
	Set(ctx context.Context, name, value string) error
	Claim(ctx context.Context, name, value string) (won bool, err error)
	Drop(ctx context.Context, name string) error
}

// files keeps what the owner uploads, bounded and under names of its own.
type files interface {
	Keep(ctx context.Context, name string, r io.Reader) (path string, err error)
}

// receiver commits one inbound thing.
type receiver func(context.Context, phantom.Inbound) error

// Channel implements router.Presenter and router.Asker. It is safe for
// concurrent use.
type Channel struct {
	Deps
	api  *slackgo.Client
	web  *http.Client // of files
	tell fault.Teller

	link  link
	marks *mark.Board
	rooms rooms
	heard event.Recent // identities that were committed
	names names
}

const (
	// callTimeout bounds one call of the Web API.
	callTimeout = 30 * time.Second
	// fileTimeout bounds the download of one file.
	fileTimeout = 5 * time.Minute
	// maxAnswer bounds an answer of the Web API, in bytes.
	maxAnswer = 8 << 20
)

// New returns the channel. It makes no call.
func New(d Deps) (*Channel, error) {
	for name, missing := range map[string]bool{
		"bot token": d.BotToken.IsZero(), "app token": d.AppToken.IsZero(), "owner": d.Owner == "", "name": d.Name == "", "role": d.Role == "", "ledger": d.Ledger == nil,
		"way to tell who was refused": d.Refused == nil, "way to tell what cannot be taken": d.Invalid == nil, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("slack: no %s", name)
		}
	}
	if d.API == "" {
		d.API = slackgo.APIURL
	}
	if !strings.HasSuffix(d.API, "/") {
		return nil, fmt.Errorf("slack: the address of the API must end with a slash: %s", d.API)
	}
	// An answer that leads elsewhere is not followed: the tokens are for Slack.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &Channel{
		Deps: d, web: &http.Client{Timeout: fileTimeout, CheckRedirect: stay},
		tell: fault.Teller{Redact: secret.NewRedactor(d.BotToken, d.AppToken)}, rooms: newRooms(),
	}
	c.api = slackgo.New(d.BotToken.Reveal(),
		slackgo.OptionAppLevelToken(d.AppToken.Reveal()), slackgo.OptionAPIURL(d.API), slackgo.OptionLog(mute{}),
		slackgo.OptionHTTPClient(&http.Client{Timeout: callTimeout, CheckRedirect: stay, Transport: bounded{}}))
	c.marks = mark.New(c.api, c.tell, d.Ledger, func() string { return c.link.who().user }, d.Log)
	return c, nil
}

// Name implements router.Channel.
func (*Channel) Name() string { return Name }

// Asks implements router.Asker: questions are put with buttons.
func (*Channel) Asks() bool { return true }

// mute is the library's log: errors come back from its calls, and the rest is
// of no use to the owner.
type mute struct{}

func (mute) Output(int, string) error { return nil }

// bounded is the transport of the Web API.
type bounded struct{}

// RoundTrip implements http.RoundTripper.
func (bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// Home returns the conversation in which the owner is reached without having
// written first: the direct messages with them.
func (c *Channel) Home(ctx context.Context) (phantom.ConversationID, error) {
	key := "home:" + c.Owner
	id, found, err := c.Ledger.Get(ctx, key)
	if err != nil {
		return "", err
	}
	if !found {
		opened, _, _, err := c.api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{c.Owner}})
		if err != nil {
			return "", c.tell.Of("open direct messages with the owner", err)
		}
		if opened == nil || opened.ID == "" {
			return "", errors.New("slack: open direct messages with the owner: the answer names no channel")
		}
		id = opened.ID
		if err := c.Ledger.Set(ctx, key, id); err != nil {
			return "", err
		}
	}
	return event.Place{Channel: id}.Conversation(), nil
}

const (
	// maxChannels bounds the list of channels.
	maxChannels = 1000
	// pageSize is how much is asked for at a time.
	pageSize = 200
)

// Channels lists the public channels that can be reached, and says in which
// of them Phantom is a member; at most 1,000.
func (c *Channel) Channels(ctx context.Context) ([]string, error) {
	var list []string
	for cursor := ""; len(list) < maxChannels; {
		page, next, err := c.api.GetConversationsContext(ctx, &slackgo.GetConversationsParameters{
			Cursor: cursor, Limit: pageSize, ExcludeArchived: true, Types: []string{"public_channel"},
		})
		if err != nil {
			return nil, c.tell.Of("list the channels", err)
		}
		for _, ch := range page {
			line := fmt.Sprintf("#%s (%s)", ch.Name, ch.ID)
			if ch.IsMember {
				line += ", member"
			}
			list = append(list, line)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	return list[:min(len(list), maxChannels)], nil
}

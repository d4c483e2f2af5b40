package slack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"phantom/internal/channel/slack/fault"
)

// link is what is known of the connection to Slack.
type link struct {
	mu        sync.Mutex // guards what follows
	tried     bool       // Run was called
	connected bool
	since     time.Time
	self      self
	trouble   error            // why it is not connected
	notes     map[string]error // what else does not work, by what it is
}

// self is who Phantom is in the workspace.
type self struct {
	user, name, team, teamName string
	scopes                     []string // that were granted; nil if Slack did not say
}

// granted reports whether the app has a scope; unknown counts as yes, because
// Slack refuses what it does not allow.
func (s self) granted(scope string) bool { return s.scopes == nil || slices.Contains(s.scopes, scope) }

func (l *link) who() self {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.self
}

func (l *link) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried = true
}

func (l *link) is(s self) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.self = s
}

func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected, l.since, l.trouble = true, time.Now(), nil
}

// lost notes that there is no connection, and why, if there was a reason.
func (l *link) lost(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connected {
		l.since = time.Now()
	}
	l.connected = false
	if err != nil {
		l.trouble = err
	}
}

// note keeps what does not work besides the connection; nil takes it back.
func (l *link) note(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.notes == nil {
		l.notes = map[string]error{}
	}
	if err == nil {
		delete(l.notes, what)
	} else {
		l.notes[what] = err
	}
}

// authenticate asks Slack who Phantom is and what it may do.
func (c *Channel) authenticate(ctx context.Context) (self, error) {
	answer, err := c.api.AuthTestContext(ctx)
	if err != nil {
		return self{}, c.tell.Of("sign in with the bot token", err)
	}
	if answer.UserID == "" {
		return self{}, fmt.Errorf("slack: sign in with the bot token: the answer names no user: is %s the address of Slack's Web API?", c.API)
	}
	s := self{user: answer.UserID, name: answer.User, team: answer.TeamID, teamName: answer.Team}
	if header := answer.Header.Get("X-OAuth-Scopes"); header != "" {
		s.scopes = []string{}
		for scope := range strings.SplitSeq(header, ",") {
			s.scopes = append(s.scopes, strings.TrimSpace(scope))
		}
	}
	c.link.note("scopes", lacking(s))
	c.link.is(s)
	return s, nil
}

// lacking names the scopes of the manifest that were not granted.
func lacking(s self) error {
	var missing []string
	for _, scope := range botScopes() {
		if !s.granted(scope) {
			missing = append(missing, scope)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the app lacks the scopes %s: paste what `phantom manifest slack` prints into the app's manifest and install it again", strings.Join(missing, ", "))
}

// Check says how the connection stands, and what there is to mend. While Run
// runs it tells what Run sees; otherwise it tries both tokens.
func (c *Channel) Check(ctx context.Context) (detail string, problem error) {
	c.link.mu.Lock()
	tried := c.link.tried
	c.link.mu.Unlock()
	if !tried {
		s, err := c.authenticate(ctx)
		if err != nil {
			return "cannot sign in", err
		}
		if _, _, err := c.api.StartSocketModeContext(ctx); err != nil {
			return describe(s), c.tell.Of("ask for a connection with the app token", err)
		}
		c.verify(ctx)
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	l := &c.link
	detail = describe(l.self)
	switch {
	case l.connected:
		detail += ", connected since " + l.since.UTC().Format(time.RFC3339)
	case tried:
		detail += ", not connected"
		problem = l.trouble
	}
	for _, what := range slices.Sorted(maps.Keys(l.notes)) {
		if problem == nil {
			problem = l.notes[what]
		} else {
			problem = fmt.Errorf("%w; %w", problem, l.notes[what])
		}
	}
	return detail, problem
}

// describe says who Phantom is there.
func describe(s self) string {
	if s.user == "" {
		return "not signed in yet"
	}
	return fmt.Sprintf("@%s (%s) in %s (%s)", s.name, s.user, s.teamName, s.team)
}

// verify looks whether the default channel is there.
func (c *Channel) verify(ctx context.Context) {
	if c.DefaultChannel == "" {
		return
	}
	found, err := c.api.GetConversationInfoContext(ctx, &slackgo.GetConversationInfoInput{ChannelID: c.DefaultChannel})
	switch {
	case fault.Word(err) == "missing_scope":
		// A private channel: its members may write there, and that is all to know.
		c.link.note("channel", nil)
	case err != nil:
		c.link.note("channel", c.tell.Of("look for the default channel "+c.DefaultChannel+" (default_channel_id in config/channels.yaml)", err))
	case found.IsArchived:
		c.link.note("channel", fmt.Errorf("the default channel %s (default_channel_id in config/channels.yaml) is archived", c.DefaultChannel))
	default:
		c.link.note("channel", nil)
	}
}

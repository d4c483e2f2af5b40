package config

import (
	"fmt"
	"strings"
	"time"

	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

// Channels is channels.yaml. A block that is off or unusable is zero.
type Channels struct {
	Slack    Slack
	Telegram Telegram
	Email    Email
	Webhook  Webhook
}

// Slack is the block slack.
type Slack struct {
	Enabled            bool
	BotToken, AppToken secret.Value
	DefaultChannel     string // for the introduction, or ""
	API                string // where its Web API is, or "" for Slack's own
}

// Telegram is the block telegram.
type Telegram struct {
	Enabled  bool
	BotToken secret.Value
	API      string // where its Bot API is, or "" for Telegram's own
	Groups   bool   // the owner is heard in groups too, where Phantom is spoken to
}

// Email is the block email. TLS is not a setting: it is required.
type Email struct {
	Enabled       bool
	Address, Name string // that Phantom writes from
	IMAP, SMTP    MailServer
	// AuthServer is the name under which the owner's receiving server writes
	// what it found out about a sender; "*." in front stands for any one host.
	AuthServer string
	Allow      []string // whom the agent may write to besides the owner: addresses and @domains
	PerDay     int      // how many messages the agent may send of its own accord
}

// MailServer is where mail comes from or goes to.
type MailServer struct {
	Host     string
	Port     int
	User     string
	Password secret.Value
}

// Webhook is the block webhook.
type Webhook struct {
	Enabled     bool
	SyncTimeout time.Duration
	Senders     []Sender
}

// Sender is one system that may call the webhook. Several secrets let one be
// exchanged without a gap.
type Sender struct {
	Name    string
	Secrets []secret.Value
	Owner   bool // its text counts as the owner's
}

// minWebhookSecret is the length, in bytes, below which a signature's secret
// could be guessed.
const minWebhookSecret = 24

// channelsFile reads channels.yaml, each block on its own.
func (l *loader) channelsFile(root strict.Node) {
	c := &l.config.Channels
	root.Fields(
		block(l, "slack", &c.Slack, readSlack),
		block(l, "telegram", &c.Telegram, readTelegram),
		block(l, "email", &c.Email, readEmail),
		block(l, "webhook", &c.Webhook, readWebhook),
	)
}

// block reads one channel's block: whatever is wrong in it disables that
// channel and nothing else.
func block[T any](l *loader, key string, to *T, read func(*loader, strict.Node, *T)) strict.Field {
	return strict.Block(key, func(n strict.Node) {
		n = n.Apart()
		var value T
		read(l, n, &value)
		if problems := n.Problems(); len(problems) > 0 {
			l.config.Disabled = append(l.config.Disabled, Disabled{key, strings.Join(problems, "\n")})
			return
		}
		if !n.Off() {
			*to = value
		}
	})
}

// enabled must be the first field of a block: what a block that is off lacks
// is no fault.
func enabled(n strict.Node, to *bool) strict.Field {
	n.SwitchOff(true)
	return strict.Flag("enabled", to).Then(func() { n.SwitchOff(!*to) }).Field()
}

// onlyOwner is the switch that other assistants have to answer everybody. What
// a stranger is answered would be written from the owner's memories and notes,
// so it cannot be turned on.
func onlyOwner(n strict.Node) strict.Field {
	anyone := false
	return strict.Flag("allow_anyone", &anyone).Then(func() {
		if anyone {
			n.Problem("allow_anyone: only the owner is answered, because answers are written from the owner's memories: leave it out")
		}
	}).Field()
}

// needsOwner refuses a channel that would answer nobody.
func (l *loader) needsOwner(n strict.Node, channel string) {
	if n.Off() || l.config.Owner[channel] != "" {
		return
	}
	n.Problem("nobody owns this channel: write `owner: {%s: …}` into config/phantom.yaml", channel)
}

func prefixed(prefix, want string) strict.Rule {
	return strict.Want(want, func(s string) bool { return len(s) > len(prefix) && strings.HasPrefix(s, prefix) })
}

// needs records a key that a block cannot do without, unless something else is
// wrong already or the block is off.
func needs(n strict.Node, ok bool, key string) {
	if !ok && !n.Off() && len(n.Problems()) == 0 {
		n.Problem("%s is missing", key)
	}
}

func readSlack(l *loader, n strict.Node, s *Slack) {
	n.Fields(
		enabled(n, &s.Enabled),
		strict.Hidden("bot_token", "SLACK_BOT_TOKEN", &s.BotToken, prefixed("xoxb-", "a Slack bot token, which begins with xoxb-")),
		strict.Hidden("app_token", "SLACK_APP_TOKEN", &s.AppToken, prefixed("xapp-", "a Slack app token, which begins with xapp-")),
		strict.Text("default_channel_id", &s.DefaultChannel, prefixed("", "the id of a channel").OrNothing()).From("SLACK_CHANNEL_ID").Field(),
		strict.Text("api_url", &s.API, rule.URL().OrNothing()).Field(),
		onlyOwner(n),
	)
	l.found = append(l.found, s.BotToken, s.AppToken)
	needs(n, !s.BotToken.IsZero(), "bot_token")
	needs(n, !s.AppToken.IsZero(), "app_token")
	l.needsOwner(n, "slack")
}

func readTelegram(l *loader, n strict.Node, t *Telegram) {
	n.Fields(
		enabled(n, &t.Enabled),
		strict.Hidden("bot_token", "TELEGRAM_BOT_TOKEN", &t.BotToken, strict.Want("a Telegram bot token, which reads <digits>:<text>", func(s string) bool {
			id, rest, ok := strings.Cut(s, ":")
			return ok && rule.Digits(id) && rest != ""
		})),
		strict.Text("api_url", &t.API, rule.URL().OrNothing()).Field(),
		strict.Flag("groups", &t.Groups).Field(),
		onlyOwner(n),
	)
	l.found = append(l.found, t.BotToken)
	needs(n, !t.BotToken.IsZero(), "bot_token")
	l.needsOwner(n, "telegram")
}

func readEmail(l *loader, n strict.Node, e *Email) {
	e.Name, e.IMAP.Port, e.SMTP.Port, e.PerDay = l.config.Name, 993, 587, 20
	server := func(key string, to *MailServer) strict.Field {
		return strict.Block(key, func(n strict.Node) {
			n.Fields(
				strict.Text("host", &to.Host, rule.Host()).Field(),
				strict.Number("port", &to.Port, 1, maxPort).Field(),
				strict.Text("user", &to.User, rule.Sentence()).Field(),
				strict.Hidden("password", "EMAIL_PASSWORD", &to.Password, rule.Sentence()),
			)
			l.found = append(l.found, to.Password)
			needs(n, to.Host != "" && to.User != "" && !to.Password.IsZero(), "one of host, user and password")
		})
	}
	n.Fields(
		enabled(n, &e.Enabled),
		strict.Text("address", &e.Address, rule.Email()).Field(),
		strict.Text("name", &e.Name, rule.Name()).Field(),
		server("imap", &e.IMAP),
		server("smtp", &e.SMTP),
		strict.Text("auth_server", &e.AuthServer, rule.AuthServer()).Field(),
		strict.Texts("allow", &e.Allow, rule.Recipient()),
		strict.Number("per_day", &e.PerDay, 0, 1000).Field(),
	)
	if e.AuthServer == "" {
		e.AuthServer = e.IMAP.Host
	}
	needs(n, e.Address != "", "address")
	l.needsOwner(n, "email")
}

func readWebhook(l *loader, n strict.Node, w *Webhook) {
	w.SyncTimeout = 25 * time.Second
	seconds := int(w.SyncTimeout / time.Second)
	secretRule := strict.Want(fmt.Sprintf("a secret of at least %d bytes", minWebhookSecret), func(s string) bool { return len(s) >= minWebhookSecret })
	n.Fields(
		enabled(n, &w.Enabled),
		strict.Number("sync_timeout_s", &seconds, 1, 300).Field(),
		strict.Block("senders", func(n strict.Node) {
			for _, item := range n.Items() {
				var s Sender
				item.Fields(
					strict.Text("name", &s.Name, rule.Word()).Field(),
					strict.Block("secrets", func(n strict.Node) {
						for _, i := range n.Items() {
							var v secret.Value
							strict.Hidden("", "WEBHOOK_SECRET", &v, secretRule).Read(i)
							s.Secrets = append(s.Secrets, v)
						}
					}),
					strict.Flag("owner", &s.Owner).Field(),
				)
				l.found = append(l.found, s.Secrets...)
				needs(item, s.Name != "" && len(s.Secrets) > 0, "one of name and secrets")
				w.Senders = append(w.Senders, s)
			}
		}),
	)
	w.SyncTimeout = time.Duration(seconds) * time.Second
	needs(n, len(w.Senders) > 0, "senders")
}

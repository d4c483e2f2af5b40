package config

import (
	"fmt"
	"strings"
	"time"

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
	AllowAnyone        bool
}

// Telegram is the block telegram.
type Telegram struct {
	Enabled     bool
	BotToken    secret.Value
	AllowAnyone bool
}

// Email is the block email. TLS is not a setting: it is required.
type Email struct {
	Enabled       bool
	Address, Name string // that Phantom writes from
	IMAP, SMTP    MailServer
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
func (l *loader) channelsFile(root node) {
	c := &l.config.Channels
	root.fields(
		block(l, "slack", &c.Slack, readSlack),
		block(l, "telegram", &c.Telegram, readTelegram),
		block(l, "email", &c.Email, readEmail),
		block(l, "webhook", &c.Webhook, readWebhook),
	)
}

// block reads one channel's block: whatever is wrong in it disables that
// channel and nothing else.
func block[T any](l *loader, key string, to *T, read func(*loader, node, *T)) field {
	return field{key, func(n node) {
		alone := *n.file
		alone.problems = nil
		n.file = &alone
		var value T
		read(l, n, &value)
		if len(alone.problems) > 0 {
			l.config.Disabled = append(l.config.Disabled, Disabled{key, strings.Join(alone.problems, "\n")})
			return
		}
		if !alone.off {
			*to = value
		}
	}}
}

// enabled must be the first field of a block: what a block that is off lacks
// is no fault.
func enabled(n node, to *bool) field {
	n.file.off = true
	s := flag("enabled", to)
	take := s.take
	s.take = func(text string) {
		take(text)
		n.file.off = !*to
	}
	return s.field()
}

// needsOwner refuses a channel that would answer nobody or everybody.
func (l *loader) needsOwner(n node, channel string, anyone bool) {
	if n.file.off || anyone || l.config.Owner[channel] != "" {
		return
	}
	n.problem("%s has no owner: write `owner: {%s: …}` into config/phantom.yaml", channel, channel)
}

func prefixed(prefix, want string) rule {
	return rule{want, func(s string) bool { return len(s) > len(prefix) && strings.HasPrefix(s, prefix) }}
}

func (n node) require(ok bool, key string) {
	if !ok && !n.file.off && len(n.file.problems) == 0 {
		n.problem("%s is missing", key)
	}
}

func readSlack(l *loader, n node, s *Slack) {
	n.fields(
		enabled(n, &s.Enabled),
		hidden("bot_token", "SLACK_BOT_TOKEN", &s.BotToken, prefixed("xoxb-", "a Slack bot token, which begins with xoxb-")),
		hidden("app_token", "SLACK_APP_TOKEN", &s.AppToken, prefixed("xapp-", "a Slack app token, which begins with xapp-")),
		text("default_channel_id", &s.DefaultChannel, prefixed("", "the id of a channel").orNothing()).from("SLACK_CHANNEL_ID").field(),
		flag("allow_anyone", &s.AllowAnyone).field(),
	)
	l.found = append(l.found, s.BotToken, s.AppToken)
	n.require(!s.BotToken.IsZero(), "bot_token")
	n.require(!s.AppToken.IsZero(), "app_token")
	l.needsOwner(n, "slack", s.AllowAnyone)
}

func readTelegram(l *loader, n node, t *Telegram) {
	n.fields(
		enabled(n, &t.Enabled),
		hidden("bot_token", "TELEGRAM_BOT_TOKEN", &t.BotToken, rule{"a Telegram bot token, which reads <digits>:<text>", func(s string) bool {
			id, rest, ok := strings.Cut(s, ":")
			return ok && digits.MatchString(id) && rest != ""
		}}),
		flag("allow_anyone", &t.AllowAnyone).field(),
	)
	l.found = append(l.found, t.BotToken)
	n.require(!t.BotToken.IsZero(), "bot_token")
	l.needsOwner(n, "telegram", t.AllowAnyone)
}

func readEmail(l *loader, n node, e *Email) {
	e.Name, e.IMAP.Port, e.SMTP.Port = l.config.Name, 993, 587
	server := func(key string, to *MailServer) field {
		return field{key, func(n node) {
			n.fields(
				text("host", &to.Host, hostRule()).field(),
				number("port", &to.Port, 1, maxPort).field(),
				text("user", &to.User, sentenceRule()).field(),
				hidden("password", "EMAIL_PASSWORD", &to.Password, sentenceRule()),
			)
			l.found = append(l.found, to.Password)
			n.require(to.Host != "" && to.User != "" && !to.Password.IsZero(), "one of host, user and password")
		}}
	}
	n.fields(
		enabled(n, &e.Enabled),
		text("address", &e.Address, emailRule()).field(),
		text("name", &e.Name, nameRule()).field(),
		server("imap", &e.IMAP),
		server("smtp", &e.SMTP),
	)
	n.require(e.Address != "", "address")
	l.needsOwner(n, "email", false)
}

func readWebhook(l *loader, n node, w *Webhook) {
	w.SyncTimeout = 25 * time.Second
	seconds := int(w.SyncTimeout / time.Second)
	secretRule := rule{fmt.Sprintf("a secret of at least %d bytes", minWebhookSecret), func(s string) bool { return len(s) >= minWebhookSecret }}
	n.fields(
		enabled(n, &w.Enabled),
		number("sync_timeout_s", &seconds, 1, 300).field(),
		field{"senders", func(n node) {
			for _, item := range n.items() {
				var s Sender
				item.fields(
					text("name", &s.Name, wordRule()).field(),
					field{"secrets", func(n node) {
						for _, i := range n.items() {
							var v secret.Value
							hidden("", "WEBHOOK_SECRET", &v, secretRule).read(i)
							s.Secrets = append(s.Secrets, v)
						}
					}},
					flag("owner", &s.Owner).field(),
				)
				l.found = append(l.found, s.Secrets...)
				item.require(s.Name != "" && len(s.Secrets) > 0, "one of name and secrets")
				w.Senders = append(w.Senders, s)
			}
		}},
	)
	w.SyncTimeout = time.Duration(seconds) * time.Second
	n.require(len(w.Senders) > 0, "senders")
}

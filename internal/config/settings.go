package config

import (
	"log/slog"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

const maxPort = 65535

// The shapes of words that end up in file names, addresses or tables.
var (
	nameShape  = regexp.MustCompile(`^[\pL\pN][\pL\pN _.-]{0,63}$`)
	wordShape  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	modelShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`)
	hostShape  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	slackUser  = regexp.MustCompile(`^[UW][A-Z0-9]{2,30}$`)
	digits     = regexp.MustCompile(`^[1-9][0-9]{0,19}$`)
	digest     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

func shaped(shape *regexp.Regexp, want string) rule { return rule{want, shape.MatchString} }

// orNothing lets an empty text pass: what a variable without a value gives.
func (r rule) orNothing() rule {
	return rule{r.want, func(s string) bool { return s == "" || r.ok(s) }}
}

func nameRule() rule {
	return shaped(nameShape, "a name of up to 64 letters, digits, spaces and _ . -, that begins with a letter or digit")
}

func wordRule() rule {
	return shaped(wordShape, "a word of up to 64 small letters, digits, _ and -")
}

func modelRule() rule { return shaped(modelShape, "the id of a model") }

func sentenceRule() rule {
	return rule{"a text that is not empty", func(s string) bool { return strings.TrimSpace(s) != "" }}
}

func variableRule() rule {
	return rule{"the name of a variable, such as ANTHROPIC_API_KEY", variableName}
}

func hostRule() rule {
	return rule{"an IP address or a host name, without a port", func(s string) bool {
		_, err := netip.ParseAddr(s)
		return err == nil || hostShape.MatchString(s)
	}}
}

func urlRule() rule {
	return rule{"an http:// or https:// address without user, query or fragment", func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
			u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(s, " \t\n#?\"<>\\")
	}}
}

func emailRule() rule {
	return rule{"an email address", func(s string) bool {
		a, err := mail.ParseAddress(s)
		return err == nil && a.Address == s && !strings.ContainsAny(s, "{}$#\"'`\\ ") // which YAML or ${…} would read otherwise
	}}
}

func ownerRule(channel string) rule {
	switch channel {
	case "slack":
		return shaped(slackUser, "a Slack member id, such as U0123ABCD (Slack profile, ⋮, Copy member ID)")
	case "telegram":
		return shaped(digits, "a Telegram user id: digits only")
	}
	return emailRule()
}

// databaseRule knows both engines; which of them this version can open is
// said by the store.
func databaseRule() rule {
	return rule{"sqlite or a postgres:// URL", func(s string) bool {
		u, err := url.Parse(s)
		return s == "sqlite" || err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && u.Host != ""
	}}
}

// mainFile reads phantom.yaml.
func (l *loader) mainFile(root node) {
	c := l.config
	publicURL := text("public_url", &c.PublicURL, urlRule().orNothing())
	publicURL.take = func(s string) { c.PublicURL = strings.TrimRight(s, "/") }
	model := text("model", &c.Model, modelRule())
	model.take = func(s string) { c.Model, l.model = s, s }
	root.fields(
		text("name", &c.Name, nameRule()).from("PHANTOM_NAME").field(),
		text("role", &c.Role, wordRule()).from("PHANTOM_ROLE").field(),
		publicURL.from("PHANTOM_PUBLIC_URL").field(),
		text("host", &c.Host, hostRule()).field(),
		number("port", &c.Port, 1, maxPort).from("PORT").field(),
		field{"owner", func(n node) {
			n.fields(l.owner("slack", "OWNER_SLACK_USER_ID"), l.owner("telegram", "OWNER_TELEGRAM_USER_ID"), l.owner("email", "OWNER_EMAIL"))
		}},
		model.from("PHANTOM_MODEL").field(),
		text("effort", &c.Effort, oneOf("low", "medium", "high", "max").orNothing()).from("PHANTOM_EFFORT").field(),
		field{"provider", l.provider},
		minutes("timeout_minutes", &c.Timeout).field(),
		field{"agent", func(n node) {
			n.fields(number("max_concurrent_turns", &c.MaxTurns, 1, 64).field(), number("max_steps", &c.MaxSteps, 1, 10_000).field())
		}},
		field{"spend", func(n node) {
			n.fields(usd("per_turn_usd", &c.Spend.PerTurn).field(), usd("per_day_usd", &c.Spend.PerDay).field(), usd("per_month_usd", &c.Spend.PerMonth).field())
		}},
		text("database", &c.Database, databaseRule()).field(),
		field{"log", func(n node) {
			n.fields(level("level", &c.Log.Level).field(), text("format", &c.Log.Format, oneOf("auto", "text", "json")).field())
		}},
		duration("shutdown_timeout", &c.ShutdownTimeout, time.Second, 10*time.Minute).field(),
	)
}

// owner is the owner's identity on one channel.
func (l *loader) owner(channel, env string) field {
	take := func(s string) {
		if s != "" {
			l.config.Owner[channel] = s
		}
	}
	return setting{key: channel, env: env, kind: kindIdentity, rule: ownerRule(channel).orNothing(), take: take}.field()
}

func (l *loader) provider(n node) {
	p := &l.config.Provider
	n.fields(
		text("type", &p.Type, oneOf(Anthropic, OpenAI, Offline)).field(),
		text("base_url", &p.BaseURL, urlRule().orNothing()).field(),
		text("api_key_env", &p.KeyName, variableRule()).field(),
		text("fallback_model", &p.Fallback, modelRule()).field(),
		field{"prices", func(n node) {
			for _, e := range n.entries() {
				if !modelRule().ok(e.key) {
					e.node.problem("found %q as a key, want %s", clip(e.key), modelRule().want)
				}
				var price Price
				e.node.fields(
					amount("input", &price.Input).field(), amount("output", &price.Output).field(),
					amount("cache_write", &price.CacheWrite).field(), amount("cache_read", &price.CacheRead).field(),
				)
				if p.Prices == nil {
					p.Prices = map[string]Price{}
				}
				p.Prices[e.key] = price
			}
		}},
	)
}

// minutes is a duration that the file counts in whole minutes.
func minutes(key string, to *time.Duration) setting {
	var n int
	s := number(key, &n, 1, 60*24*7)
	parse := s.take
	s.take = func(text string) {
		parse(text)
		*to = time.Duration(n) * time.Minute
	}
	return s
}

func level(key string, to *slog.Level) setting {
	words := []string{"debug", "info", "warn", "error"}
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	return setting{key: key, kind: kindText, rule: oneOf(words...), take: func(s string) {
		*to = levels[slices.Index(words, s)]
	}}
}

// roleFile reads roles/<role>.yaml.
func (l *loader) roleFile(root node) {
	if root.syntax == nil {
		root.file.add(0, "", "the role "+l.config.Role+" is described nowhere: write this file with `description: …`, or choose a role that has one")
		return
	}
	root.fields(text("description", &l.config.RoleDescription, sentenceRule()).field())
	l.config.RoleDescription = strings.TrimSpace(l.config.RoleDescription)
}

// mcpFile reads mcp.yaml.
func (l *loader) mcpFile(root node) {
	m := &l.config.MCP
	root.fields(
		field{"tokens", func(n node) {
			for _, item := range n.items() {
				var t Token
				item.fields(
					text("name", &t.Name, nameRule()).field(),
					text("hash", &t.Hash, shaped(digest, "sha256: and 64 hexadecimal digits")).field(),
					words("scopes", &t.Scopes, oneOf("read", "operator", "admin")),
				)
				if t.Name == "" || t.Hash == "" || len(t.Scopes) == 0 {
					item.problem("a token needs name, hash and scopes: make one with `phantom token create`")
				}
				m.Tokens = append(m.Tokens, t)
			}
		}},
		field{"rate_limit", func(n node) {
			n.fields(number("requests_per_minute", &m.RequestsPerMinute, 1, 1_000_000).field(), number("burst", &m.Burst, 1, 1_000_000).field())
		}},
	)
}

// words is a list of texts that keep a rule.
func words(key string, to *[]string, r rule) field {
	return field{key, func(n node) {
		for _, item := range n.items() {
			if s, ok := item.scalar(kindText, r.want); ok {
				if r.ok(s) {
					*to = append(*to, s)
				} else {
					item.problem("found %s, want %s", describe(item.syntax), r.want)
				}
			}
		}
	}}
}

// defaultLevel is the least sandbox that the system is expected to give.
func defaultLevel() string {
	if runtime.GOOS == "linux" {
		return "kernel"
	}
	return "none"
}

// guardFile reads guard.yaml.
func (l *loader) guardFile(root node) {
	g := &l.config.Guard
	root.fields(
		field{"families", func(n node) {
			for _, e := range n.entries() {
				var severity string
				r := oneOf("critical", "ask")
				setting{key: e.key, rule: r, take: func(s string) { severity = s }}.field().read(e.node)
				if g.Families == nil {
					g.Families = map[string]string{}
				}
				g.Families[e.key] = severity
			}
		}},
		field{"block", func(n node) {
			for _, item := range n.items() {
				var b BlockRule
				item.fields(
					text("id", &b.ID, wordRule()).field(),
					text("program", &b.Program, sentenceRule()).field(),
					words("args", &b.Args, sentenceRule()),
					text("reason", &b.Reason, sentenceRule()).field(),
				)
				if b.ID == "" || b.Program == "" || b.Reason == "" {
					item.problem("a block rule needs id, program and reason")
				}
				g.Block = append(g.Block, b)
			}
		}},
		field{"grants", func(n node) {
			for _, item := range n.items() {
				var grant Grant
				item.fields(l.place("path", &grant.Path), flag("write", &grant.Write).field())
				if grant.Path == "" {
					item.problem("a grant needs a path")
				}
				g.Grants = append(g.Grants, grant)
			}
		}},
		field{"launch_points", func(n node) {
			for _, item := range n.items() {
				var path string
				l.place("", &path).read(item)
				g.Writable = append(g.Writable, path)
			}
		}},
		field{"sandbox", func(n node) {
			n.fields(text("require", &g.Require, oneOf("none", "kernel", "full")).field(), text("profile", &g.Profile, oneOf("computer", "none")).field())
		}},
		field{"web", func(n node) {
			n.fields(field{"ports", func(n node) {
				for _, item := range n.items() {
					var port int
					number("", &port, 1, maxPort).field().read(item)
					g.Ports = append(g.Ports, port)
				}
			}})
		}},
	)
}

// place is a path that guard.yaml opens: absolute or under ~, and not one of
// those that stay protected whatever the owner writes.
func (l *loader) place(key string, to *string) field {
	r := rule{"an absolute path, or one that begins with ~/", func(s string) bool {
		return filepath.IsAbs(s) || s == "~" || strings.HasPrefix(s, "~/")
	}}
	return field{key, func(n node) {
		var path string
		text(key, &path, r).field().read(n)
		if path == "" {
			return
		}
		resolved, err := absolute(path)
		if err != nil {
			n.problem("%v", err)
			return
		}
		for _, p := range l.home.Protected() {
			if resolved == p || strings.HasPrefix(resolved, p+string(os.PathSeparator)) {
				n.problem("%s is protected and cannot be opened to the agent", resolved)
				return
			}
		}
		*to = resolved
	}}
}

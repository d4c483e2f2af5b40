package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/phantom"
)

const (
	maxPort      = 65535
	maxRetention = 36_500 // days
)

// mainFile reads phantom.yaml.
func (l *loader) mainFile(root strict.Node) {
	c := l.config
	root.Fields(
		strict.Text("name", &c.Name, rule.Name()).From("PHANTOM_NAME").Field(),
		strict.Text("role", &c.Role, rule.Word()).From("PHANTOM_ROLE").Field(),
		strict.Text("public_url", &c.PublicURL, rule.URL().OrNothing()).Then(func() { c.PublicURL = strings.TrimRight(c.PublicURL, "/") }).From("PHANTOM_PUBLIC_URL").Field(),
		strict.Text("host", &c.Host, rule.Host()).Field(),
		strict.Number("port", &c.Port, 1, maxPort).From("PORT").Field(),
		strict.Block("owner", func(n strict.Node) {
			n.Fields(l.owner("slack", "OWNER_SLACK_USER_ID"), l.owner("telegram", "OWNER_TELEGRAM_USER_ID"), l.owner("email", "OWNER_EMAIL"))
		}),
		strict.Text("model", &c.Model, rule.Model()).Then(func() { l.modelNamed = true }).From("PHANTOM_MODEL").Field(),
		strict.Text("effort", &c.Effort, strict.OneOf("low", "medium", "high", "max").OrNothing()).From("PHANTOM_EFFORT").Field(),
		strict.Block("provider", l.provider),
		minutes("timeout_minutes", &c.Timeout).Field(),
		strict.Block("agent", func(n strict.Node) {
			n.Fields(strict.Number("max_concurrent_turns", &c.MaxTurns, 1, 64).Field(), strict.Number("max_steps", &c.MaxSteps, 1, 10_000).Field())
		}),
		strict.Block("tasks", func(n strict.Node) {
			n.Fields(strict.Number("max_running", &c.MaxTasks, 1, 64).Field())
		}),
		strict.Block("spend", func(n strict.Node) {
			n.Fields(usd("per_turn_usd", &c.Spend.PerTurn).Field(), usd("per_day_usd", &c.Spend.PerDay).Field(), usd("per_month_usd", &c.Spend.PerMonth).Field())
		}),
		strict.Block("audit", func(n strict.Node) {
			n.Fields(strict.Number("retention_days", &c.RetentionDays, 0, maxRetention).Field())
		}),
		l.remotes("peers", true),
		l.remotes("mcp_servers", false),
		strict.Text("database", new(string), rule.Database()).Field(),
		strict.Block("log", func(n strict.Node) {
			n.Fields(level("level", &c.Log.Level).Field(), strict.Text("format", &c.Log.Format, strict.OneOf("auto", "text", "json")).Field())
		}),
		strict.Duration("shutdown_timeout", &c.ShutdownTimeout, time.Second, 10*time.Minute).Field(),
	)
}

// owner is the owner's identity on one channel.
func (l *loader) owner(channel, env string) strict.Field {
	take := func(s string) {
		if s != "" {
			l.config.Owner[channel] = s
		}
	}
	return strict.Identity(channel, take, rule.Owner(channel).OrNothing()).From(env).Field()
}

func (l *loader) provider(n strict.Node) {
	p := &l.config.Provider
	n.Fields(
		strict.Text("type", &p.Type, strict.OneOf(Anthropic, OpenAI, Offline)).Field(),
		strict.Text("base_url", &p.BaseURL, rule.URL().OrNothing()).Field(),
		strict.Text("api_key_env", &p.KeyName, rule.Variable()).Field(),
		strict.Text("fallback_model", &p.Fallback, rule.Model()).Field(),
		strict.Block("prices", func(n strict.Node) {
			for _, e := range n.Entries() {
				if !rule.Model().OK(e.Key) {
					e.Node.Problem("found %q as a key, want %s", e.Key, rule.Model().Want)
				}
				price := Price{Input: -1, Output: -1, CacheWrite: -1, CacheRead: -1} // not written
				e.Node.Fields(
					strict.Amount("input", &price.Input).Field(), strict.Amount("output", &price.Output).Field(),
					strict.Amount("cache_write", &price.CacheWrite).Field(), strict.Amount("cache_read", &price.CacheRead).Field(),
				)
				if price.Input < 0 || price.Output < 0 {
					e.Node.Problem("a price needs input and output, in USD per million tokens (zero is allowed)")
				}
				// A provider that does not say otherwise bills cached tokens as fresh.
				if price.CacheWrite < 0 {
					price.CacheWrite = price.Input
				}
				if price.CacheRead < 0 {
					price.CacheRead = price.Input
				}
				if p.Prices == nil {
					p.Prices = map[string]Price{}
				}
				p.Prices[e.Key] = price
			}
		}),
	)
}

// minutes is a duration that the file counts in whole minutes.
func minutes(key string, to *time.Duration) strict.Setting {
	var n int
	return strict.Number(key, &n, 1, 60*24*7).Then(func() { *to = time.Duration(n) * time.Minute })
}

func usd(key string, to *phantom.MicroUSD) strict.Setting {
	var dollars float64
	return strict.Amount(key, &dollars).Then(func() { *to = phantom.USD(dollars) })
}

func level(key string, to *slog.Level) strict.Setting {
	var word string
	return strict.Text(key, &word, strict.OneOf("debug", "info", "warn", "error")).Then(func() {
		*to = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}[word]
	})
}

// roleFile reads roles/<role>.yaml.
func (l *loader) roleFile(root strict.Node) {
	if !root.Written() {
		root.Problem("the role %s is described nowhere: write this file with `description: …`, or choose a role that has one", l.config.Role)
		return
	}
	l.config.RoleTitle = l.config.Role
	root.Fields(
		strict.Text("title", &l.config.RoleTitle, rule.Name()).Field(),
		strict.Text("description", &l.config.RoleDescription, rule.Sentence()).Field(),
	)
	l.config.RoleDescription = strings.TrimSpace(l.config.RoleDescription)
}

// defaultLevel is the least sandbox that the system is expected to give.
func defaultLevel() string {
	if runtime.GOOS == "linux" {
		return "kernel"
	}
	return "none"
}

// guardFile reads guard.yaml.
func (l *loader) guardFile(root strict.Node) {
	g := &l.config.Guard
	root.Fields(
		strict.Block("families", func(n strict.Node) {
			for _, e := range n.Entries() {
				var severity string
				r := strict.OneOf("critical", "ask")
				strict.Text(e.Key, &severity, r).Field().Read(e.Node)
				if g.Families == nil {
					g.Families = map[string]string{}
				}
				g.Families[e.Key] = severity
			}
		}),
		strict.Block("block", func(n strict.Node) {
			for _, item := range n.Items() {
				var b BlockRule
				item.Fields(
					strict.Text("id", &b.ID, rule.Word()).Field(),
					strict.Text("program", &b.Program, rule.Sentence()).Field(),
					strict.Texts("args", &b.Args, rule.Sentence()),
					strict.Text("reason", &b.Reason, rule.Sentence()).Field(),
				)
				if b.ID == "" || b.Program == "" || b.Reason == "" {
					item.Problem("a block rule needs id, program and reason")
				}
				g.Block = append(g.Block, b)
			}
		}),
		strict.Block("grants", func(n strict.Node) {
			for _, item := range n.Items() {
				var grant Grant
				item.Fields(l.place("path", &grant.Path), strict.Flag("write", &grant.Write).Field())
				if grant.Path == "" {
					item.Problem("a grant needs a path")
				}
				g.Grants = append(g.Grants, grant)
			}
		}),
		strict.Block("launch_points", func(n strict.Node) {
			for _, item := range n.Items() {
				var path string
				l.place("", &path).Read(item)
				g.Writable = append(g.Writable, path)
			}
		}),
		strict.Block("sandbox", func(n strict.Node) {
			n.Fields(strict.Text("require", &g.Require, strict.OneOf("none", "kernel", "full")).Field(), strict.Text("profile", &g.Profile, strict.OneOf("computer", "none")).Field())
		}),
		strict.Block("web", func(n strict.Node) {
			n.Fields(strict.Block("ports", func(n strict.Node) {
				for _, item := range n.Items() {
					var port int
					strict.Number("", &port, 1, maxPort).Field().Read(item)
					g.Ports = append(g.Ports, port)
				}
			}))
		}),
		strict.Block("network", func(n strict.Node) {
			n.Fields(written("programs", &g.Network.Programs, programRule()), written("hosts", &g.Network.Hosts, domainRule()))
		}),
	)
}

// written is a list that, once written, stands in place of the built-in one,
// even if it is empty.
func written(key string, to *[]string, r strict.Rule) strict.Field {
	return strict.Block(key, func(n strict.Node) {
		if n.Written() {
			*to = []string{}
		}
		strict.Texts(key, to, r).Read(n)
	})
}

func programRule() strict.Rule {
	return strict.Want("a program without its directory, and the words that must follow it, as in npm ci", func(s string) bool {
		words := strings.Fields(s)
		return len(words) > 0 && strings.Join(words, " ") == s && !strings.ContainsAny(s, "/$`\"'*?") && !strings.Contains(s, " -")
	})
}

func domainRule() strict.Rule {
	return strict.Want("the name of a host, in lower case and without port, as in github.com", func(s string) bool {
		return strings.Contains(s, ".") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && strings.Trim(s, "0123456789.") != ""
	})
}

// place is a path that guard.yaml opens: absolute or under ~, and not one of
// those that stay protected whatever the owner writes.
func (l *loader) place(key string, to *string) strict.Field {
	r := strict.Want("an absolute path, or one that begins with ~/", func(s string) bool {
		return filepath.IsAbs(s) || s == "~" || strings.HasPrefix(s, "~/")
	})
	return strict.Block(key, func(n strict.Node) {
		var path string
		strict.Text(key, &path, r).Field().Read(n)
		if path == "" {
			return
		}
		resolved, err := absolute(path)
		if err != nil {
			n.Problem("%v", err)
			return
		}
		for _, p := range l.home.Protected() {
			if resolved == p || strings.HasPrefix(resolved, p+string(os.PathSeparator)) {
				n.Problem("%s is protected and cannot be opened to the agent", resolved)
				return
			}
		}
		*to = resolved
	})
}

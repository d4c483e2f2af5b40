// Package rule says what the words of settings must look like: names, hosts,
// addresses, ids. It is pure. Only config may use it.
package rule

import (
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"phantom/internal/config/strict"
)

// shape is what a word looks like. It is compiled at its first use, because
// the sandbox starts this program for every command; the length is counted
// apart, because bounded repeats compile slowly.
type shape struct {
	longest int // characters
	expr    func() *regexp.Regexp
}

func newShape(longest int, expr string) shape {
	return shape{longest, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })}
}

func (s shape) match(text string) bool {
	return utf8.RuneCountInString(text) <= s.longest && s.expr().MatchString(text)
}

// The shapes of words that end up in file names, addresses or tables.
var (
	nameShape  = newShape(64, `^[\pL\pN][\pL\pN _.-]*$`)
	wordShape  = newShape(64, `^[a-z0-9][a-z0-9_-]*$`)
	modelShape = newShape(128, `^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)
	hostShape  = newShape(253, `^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	slackUser  = newShape(32, `^[UW][A-Z0-9][A-Z0-9]+$`)
	digits     = newShape(20, `^[1-9][0-9]*$`)
	server     = newShape(24, `^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)
	serverTool = newShape(64, `^[A-Za-z0-9_-]+$`)
	digest     = newShape(71, `^sha256:[0-9a-f]{64}$`)
)

func shaped(s shape, want string) strict.Rule {
	return strict.Want(want, s.match)
}

// Name is what people call something.
func Name() strict.Rule {
	return shaped(nameShape, "a name of up to 64 letters, digits, spaces and _ . -, that begins with a letter or digit")
}

// Word ends up in file names and tables.
func Word() strict.Rule {
	return shaped(wordShape, "a word of up to 64 small letters, digits, _ and -")
}

// Model is the id of a model.
func Model() strict.Rule { return shaped(modelShape, "the id of a model") }

// Server stands before the names of the tools of a server, so it has no __.
func Server() strict.Rule {
	return shaped(server, "a name of up to 24 small letters and digits, a letter first, with single _ or - between them")
}

// ServerTool is what a server calls its tool.
func ServerTool() strict.Rule {
	return shaped(serverTool, "the name of a tool as its server says it: up to 64 letters, digits, _ and -")
}

// Sentence is any text but an empty one.
func Sentence() strict.Rule {
	return strict.Want("a text that is not empty", func(s string) bool { return strings.TrimSpace(s) != "" })
}

// Variable names a variable of the environment.
func Variable() strict.Rule {
	return strict.Want("the name of a variable, such as ANTHROPIC_API_KEY", strict.VariableName)
}

// Host is where something listens, without a port.
func Host() strict.Rule {
	return strict.Want("an IP address or a host name, without a port", func(s string) bool {
		_, err := netip.ParseAddr(s)
		return err == nil || hostShape.match(s)
	})
}

// URL is where a service answers.
func URL() strict.Rule {
	return strict.Want("an http:// or https:// address without user, query or fragment", func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
			u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(s, " \t\n#?\"<>\\")
	})
}

// Email is one address, without a name.
func Email() strict.Rule {
	return strict.Want("an email address", address)
}

func address(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && !strings.ContainsAny(s, "{}$#\"'`\\ ") // which YAML or ${…} would read otherwise
}

// Recipient is an address, or all of a domain.
func Recipient() strict.Rule {
	return strict.Want("an email address, or @ and a domain", func(s string) bool {
		if domain, whole := strings.CutPrefix(s, "@"); whole {
			return hostShape.match(domain) && strings.Contains(domain, ".")
		}
		return address(s)
	})
}

// AuthServer is the name of a mail server, or of any one host of a domain.
func AuthServer() strict.Rule {
	return strict.Want("the name of a mail server, such as mx.example.com, or *.example.com for any host of a domain", func(s string) bool {
		domain, any := strings.CutPrefix(s, "*.")
		return hostShape.match(domain) && (!any || strings.Contains(domain, "."))
	})
}

// Owner is the owner's identity on a channel.
func Owner(channel string) strict.Rule {
	switch channel {
	case "slack":
		return shaped(slackUser, "a Slack member id, such as U0123ABCD (Slack profile, ⋮, Copy member ID)")
	case "telegram":
		return shaped(digits, "a Telegram user id: digits only")
	}
	return Email()
}

// Database names the one engine; docs/adr/0001-one-database.md says why there
// is no other.
func Database() strict.Rule {
	return strict.Want("sqlite: a database server could not forget for certain, nor be kept from the agent's shell", func(s string) bool { return s == "sqlite" })
}

// Digits reports whether a text is a number of up to 20 digits that does not begin with 0.
func Digits(text string) bool { return digits.match(text) }

// Digest is a SHA-256 in hexadecimal digits.
func Digest() strict.Rule {
	return shaped(digest, "sha256: and 64 hexadecimal digits")
}

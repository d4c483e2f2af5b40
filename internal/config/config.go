// Package config reads an owner's settings: strict YAML and the environment,
// of which it is the only reader. It knows the layout of a home directory,
// writes a new one, and holds the lock that gives one process the home.
//
// Every key has a default but the secrets. Flag comes before environment,
// before .env.local, before YAML, before default. Variables are replaced in
// scalars that are already parsed.
//
// It refuses an unknown key, a wrong type, a value out of range, a variable
// that is not set, a secret in plain text, YAML anchors and tags, and a
// .env.local that other users can read; everything wrong is said at once. A
// channel's block is judged alone: a bad one is put into Config.Disabled and
// the others stay. It never overwrites a file that the owner may have edited,
// and no package gets settings past it.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"phantom/internal/config/disk"
	"phantom/internal/config/learning"
	"phantom/internal/config/recall"
	"phantom/internal/config/strict"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Overrides are what flags say; a zero field says nothing.
type Overrides struct {
	Offline bool // take the embedded model whatever is configured
	Port    int
}

// Config is everything the owner decided. Only Load makes a usable one.
type Config struct {
	Home            Home
	Name            string
	Role            string
	RoleTitle       string // what people call it
	RoleDescription string // what config/roles/<role>.yaml says Phantom is for
	PublicURL       string // without a slash at the end; "" if nothing is published
	Host            string
	Port            int
	Owner           map[string]string // the owner's identity by channel: slack, telegram, email
	Model           string            // as configured; the offline provider does not look at it
	Effort          string            // "", low, medium, high, max
	Provider        Provider
	Timeout         time.Duration // of a turn
	MaxTurns        int           // that run at once
	MaxSteps        int           // of a turn
	MaxTasks        int           // that run at once
	Spend           Spend
	RetentionDays   int // how long the audit log keeps contents; 0: for ever
	Log             Log
	ShutdownTimeout time.Duration
	Guard           Guard
	Channels        Channels
	MCP             MCP
	Memory          recall.Settings
	Learning        learning.Settings
	Remotes         []Remote       // servers whose tools become the agent's: peers and mcp_servers
	Disabled        []Disabled     // optional parts that are configured but unusable
	VaultKey        secret.Value   // keys of stored secrets, if they come from outside the home
	VaultKeySource  string         // where VaultKey comes from
	Secrets         []secret.Value // every secret the process was given
	Digest          string         // sha256 of the files as they were read, in hex: a change of the configuration shows in it
}

// The provider types.
const (
	Anthropic = "anthropic"
	OpenAI    = "openai"
	Offline   = "offline"
)

// Provider says where the model is.
type Provider struct {
	Type     string // Anthropic, OpenAI or Offline; never ""
	BaseURL  string // "" for the provider's own
	APIKey   secret.Value
	KeyName  string // the variable that holds the key
	Fallback string // a model to try when the first cannot answer, or ""
	Prices   map[string]Price
	Chosen   string // why it is this one, for doctor
}

// Price is what a model costs, in USD per million tokens.
type Price struct {
	Input, Output, CacheWrite, CacheRead float64
}

// Spend are the ceilings; 0 means none.
type Spend struct {
	PerTurn, PerDay, PerMonth phantom.MicroUSD
}

// Log says how the process logs.
type Log struct {
	Level  slog.Level
	Format string // auto (text on a terminal, else JSON), text, json
}

// Guard is guard.yaml. It can make the built-in rules stricter and open
// places; what it may not weaken is decided where it is enforced.
type Guard struct {
	Families map[string]string // command family -> critical or ask
	Block    []BlockRule
	Grants   []Grant
	Writable []string // launch points that commands may write
	Require  string   // least sandbox level: none, kernel, full
	Profile  string   // of the agent's shell: computer, none
	Ports    []int    // of the web, besides 80 and 443
	Network  Network
}

// Network is what the shell may fetch while untrusted text is in the context.
// A list that is not nil stands in place of the built-in one.
type Network struct {
	Programs []string // with the words that must follow: "npm ci"
	Hosts    []string
}

// BlockRule is a command that the owner forbids: the program with all of the
// arguments, in any order. Without arguments it is the program itself.
type BlockRule struct {
	ID, Program string
	Args        []string
	Reason      string
}

// Grant opens a place outside the workspace to the file tools and the shell.
type Grant struct {
	Path  string // absolute
	Write bool
}

// Disabled is an optional part that is off because of what is written.
type Disabled struct {
	Part, Reason string
}

// Load reads the settings of a home.
func Load(h Home, o Overrides) (*Config, error) {
	if ok, err := h.Exists(); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("%s holds no phantom: run `phantom init --home %s`, or choose another home with --home", h.dir, h.dir)
	}
	local, err := readEnvFile(h.EnvFile())
	if err != nil {
		return nil, err
	}
	l := &loader{
		home:   h,
		env:    &environ{process: processEnviron(), local: local, localName: filepath.Base(h.EnvFile())},
		config: defaults(h),
		sum:    sha256.New(),
	}
	c := l.config
	c.Secrets = l.env.secrets()
	if err := l.vaultKey(); err != nil {
		return nil, err
	}

	l.read(mainFile, l.mainFile)
	l.read("guard.yaml", l.guardFile)
	l.read("mcp.yaml", c.MCP.read)
	secretly := func(v secret.Value) { l.found = append(l.found, v) }
	l.read("memory.yaml", c.Memory.Read(l.env.lookup, secretly))
	l.read("evolution.yaml", c.Learning.Read(l.env.lookup, secretly))
	l.read(filepath.Join("roles", c.Role+".yaml"), l.roleFile)
	l.overrides(o)
	if len(l.problems) == 0 {
		l.resolveProvider(o.Offline)
		if reason := c.Learning.Settle(c.Provider.Type, c.Model); reason != "" {
			c.Disabled = append(c.Disabled, Disabled{"evolution", reason})
		}
		l.read("channels.yaml", l.channelsFile) // needs the owner's identities
	}
	for _, v := range l.found {
		if !v.IsZero() {
			c.Secrets = append(c.Secrets, v)
		}
	}
	if len(l.problems) > 0 {
		return nil, errors.New(strings.Join(l.problems, "\n"))
	}
	c.Digest = hex.EncodeToString(l.sum.Sum(nil))
	return c, nil
}

// defaults returns what holds when nothing is written.
func defaults(h Home) *Config {
	return &Config{
		Home: h, Name: "phantom", Role: "swe", Host: "127.0.0.1", Port: 3100,
		Owner: map[string]string{}, Model: "claude-opus-4-6",
		Timeout: 240 * time.Minute, MaxTurns: 4, MaxSteps: 200, MaxTasks: 2,
		Spend: Spend{PerDay: phantom.USD(50)},
		Log:   Log{Level: slog.LevelInfo, Format: "auto"}, ShutdownTimeout: 30 * time.Second,
		Guard: Guard{Require: defaultLevel(), Profile: "computer"},
		MCP:   defaultMCP(),
	}
}

// loader reads the files of one home into one Config.
type loader struct {
	home       Home
	env        *environ
	config     *Config
	modelNamed bool           // somewhere, so that Model is not the default
	found      []secret.Value // secrets under names that do not look like it
	problems   []string
	sum        hash.Hash // over names, lengths and contents of what was read
}

// read judges one file of the config directory; one that is not there is one
// without keys.
func (l *loader) read(name string, judge func(strict.Node)) {
	// The directory is 0700 and the files hold no secrets, so that others could
	// read one is no fault; that they could change what guards Phantom is.
	raw, err := disk.Read(filepath.Join(l.home.Config(), name), 0o002)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.problems = append(l.problems, err.Error())
		return
	}
	fmt.Fprintf(l.sum, "%q %d\n%s", name, len(raw), raw)
	root := strict.Parse(filepath.Join("config", name), raw, l.env.lookup)
	if len(root.Problems()) == 0 {
		judge(root)
	}
	l.problems = append(l.problems, root.Problems()...)
}

// overrides puts the flags over everything else.
func (l *loader) overrides(o Overrides) {
	if o.Port == 0 {
		return
	}
	if o.Port < 1 || o.Port > maxPort {
		l.problems = append(l.problems, "--port: found "+strconv.Itoa(o.Port)+", want a whole number from 1 to 65535")
		return
	}
	l.config.Port = o.Port
}

// resolveProvider decides which model is used and finds its key.
func (l *loader) resolveProvider(offline bool) {
	p := &l.config.Provider
	written, named := p.Type, p.KeyName != ""
	if !named {
		p.KeyName = map[string]string{"": "ANTHROPIC_API_KEY", Anthropic: "ANTHROPIC_API_KEY", OpenAI: "OPENAI_API_KEY"}[written]
	}
	key, source, hasKey := l.env.lookup(p.KeyName)
	switch {
	case offline:
		p.Type, p.Chosen = Offline, "the flag --offline"
	case written == Offline:
		p.Chosen = "configured"
	case written == "" && hasKey:
		p.Type, p.Chosen = Anthropic, p.KeyName+" is in the "+source
		if source == l.env.localName {
			p.Chosen = p.KeyName + " is in " + source
		}
	case written == "":
		p.Type, p.Chosen = Offline, "no key: "+p.KeyName+" is not set"
	case !hasKey && (written == Anthropic || named || p.BaseURL == ""):
		// A server of one's own often wants no key, so only there it may lack.
		l.problems = append(l.problems, fmt.Sprintf("config/phantom.yaml: provider.type is %s, but %s is not set: set it in the environment or in .env.local, or write `type: offline`", written, p.KeyName))
		return
	default:
		p.Chosen = "configured"
	}
	if p.Type == Offline {
		p.KeyName = ""
		return
	}
	if p.Type == OpenAI && !l.modelNamed {
		l.problems = append(l.problems, "config/phantom.yaml: provider.type is openai, but no model is named: write `model: …` or set PHANTOM_MODEL")
	}
	if hasKey {
		p.APIKey = secret.New(key)
		l.found = append(l.found, p.APIKey)
	}
}

package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"phantom/internal/config"
	"phantom/internal/llm"
	"phantom/internal/llm/anthropic"
	"phantom/internal/llm/offline"
	"phantom/internal/llm/openai"
	"phantom/internal/policy"
	"phantom/internal/sandbox"
	"phantom/internal/spend"
	"phantom/internal/tool"
	"phantom/internal/tool/file"
)

// bash is where every Linux distribution has it.
const bash = "/bin/bash"

// patience is how a model call is tried again: five times within about half a
// minute, or as long as the provider asks for, up to a minute each.
var patience = llm.RetryOptions{Attempts: 5, Base: time.Second, Max: time.Minute}

// prices returns the price table with the owner's own prices over it.
func prices(c *config.Config) *llm.Prices {
	own := make(map[string]llm.Price, len(c.Provider.Prices))
	for name, p := range c.Provider.Prices {
		own[name] = llm.Price(p)
	}
	return llm.NewPrices(own)
}

// newModel returns what makes the configured model for a purpose, and the name
// to ask for. Each try of a call is metered, those that are repeated included.
func newModel(c *config.Config, ledger *spend.Ledger) (func(purpose string) llm.Model, string, error) {
	name := c.Model
	var driver llm.Model
	var err error
	switch c.Provider.Type {
	case config.Anthropic:
		driver, err = anthropic.New(anthropic.Options{APIKey: c.Provider.APIKey, KeyName: c.Provider.KeyName, BaseURL: c.Provider.BaseURL})
	case config.OpenAI:
		driver, err = openai.New(openai.Options{APIKey: c.Provider.APIKey, KeyName: c.Provider.KeyName, BaseURL: c.Provider.BaseURL})
	case config.Offline:
		driver, name = offline.New(), llm.OfflineModel
	default:
		err = fmt.Errorf("provider.type is %q, want anthropic, openai or offline", c.Provider.Type)
	}
	if err != nil {
		return nil, "", err
	}
	if _, priced := prices(c).Lookup(name); !priced {
		return nil, "", &llm.PriceError{Model: name}
	}
	second := c.Provider.Fallback
	if c.Provider.Type == config.Offline {
		second = ""
	}
	if second != "" {
		if _, priced := prices(c).Lookup(second); !priced {
			return nil, "", &llm.PriceError{Model: second}
		}
	}
	return func(purpose string) llm.Model {
		metered := ledger.Model(driver, purpose)
		var fallback *llm.Choice
		if second != "" {
			fallback = &llm.Choice{Model: metered, Name: second}
		}
		return llm.Resilient(llm.Choice{Model: metered, Name: name}, fallback, patience)
	}, name, nil
}

// maxTokens bounds one response: long enough for a large file, and never more
// than a quarter of what the model can see.
func maxTokens(model string) int64 { return min(32_000, llm.Window(model)/4) }

func limitsText(c *config.Config) string {
	var text strings.Builder
	text.WriteString(fmt.Sprintf("%d steps and %v a turn", c.MaxSteps, c.Timeout))
	for _, l := range []struct {
		of    string
		limit fmt.Stringer
		set   bool
	}{
		{"turn", c.Spend.PerTurn, c.Spend.PerTurn > 0}, {"day", c.Spend.PerDay, c.Spend.PerDay > 0}, {"month", c.Spend.PerMonth, c.Spend.PerMonth > 0},
	} {
		if l.set {
			text.WriteString(fmt.Sprintf(", %v a %s", l.limit, l.of))
		}
	}
	return text.String()
}

func policyConfig(c *config.Config) policy.Config {
	p := policy.Config{
		Home: c.Home.Dir(), Workspace: c.Home.Workspace(), UserHome: c.Home.UserHome(),
		Protected: c.Home.Protected(), Readable: c.Home.Readable(), Families: c.Guard.Families, Files: policy.Disk(),
	}
	for _, g := range c.Guard.Grants {
		p.Grants = append(p.Grants, policy.Grant(g))
	}
	for _, b := range c.Guard.Block {
		p.Block = append(p.Block, policy.BlockRule(b))
	}
	p.Programs, p.Hosts, p.Ports = c.Guard.Network.Programs, c.Guard.Network.Hosts, []int{c.Port}
	return p
}

func sandboxConfig(c *config.Config, helper []string) (sandbox.Config, error) {
	require, err := sandbox.ParseLevel(c.Guard.Require)
	if err != nil {
		return sandbox.Config{}, err
	}
	return sandbox.Config{
		Self: helper, Home: c.Home.Dir(), Workspace: c.Home.Workspace(), Protected: c.Home.Protected(), Readable: c.Home.Readable(),
		Writable: c.Guard.Writable, Record: filepath.Clean(c.Home.Record()), Require: require, AllowNone: c.Guard.Profile == string(sandbox.Unconfined),
	}, nil
}

func places(c *config.Config) file.Places {
	p := file.Places{Workspace: c.Home.Workspace(), Read: c.Home.Readable(), Protected: c.Home.Protected()}
	for _, g := range c.Guard.Grants {
		if g.Write {
			p.Write = append(p.Write, g.Path)
		} else {
			p.Read = append(p.Read, g.Path)
		}
	}
	return p
}

func shell(c *config.Config) tool.Shell {
	return tool.Shell{
		Path: bash, Profile: sandbox.Profile(c.Guard.Profile), Network: true,
		Env: []string{"PATH=" + config.ChildPath(), "HOME=" + c.Home.Workspace(), "LANG=" + config.Lang(), "TERM=" + config.Term()},
	}
}

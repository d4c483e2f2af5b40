// Package policy judges command lines and paths before anything acts on them.
//
// It owns the command guard's rules, the path guard's zones, and the digest
// that binds an approval to both. It refuses whatever it cannot read, resolve
// or finish in time, and it never runs, opens or writes anything: symlinks and
// globs come through a Resolver. It is a seat belt, not a boundary; the
// sandbox is the boundary. Nobody may pass a line to a shell, or a path to a
// file tool, without its verdict.
package policy

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/policy/egress"
	"phantom/internal/policy/place"
	"phantom/internal/policy/shell"
)

// Config says where things are and what the owner changed in guard.yaml.
type Config struct {
	Home      string            // Phantom's home, absolute
	Workspace string            // the agent's working directory and HOME
	UserHome  string            // the OS user's home directory
	Protected []string          // absolute paths that no tool may write, nor read unless Readable
	Readable  []string          // protected paths that may be read
	Grants    []Grant           // places outside the workspace that the owner opened
	Families  map[string]string // family -> "critical" or "ask"
	Block     []BlockRule       // the owner's own rules
	Programs  []string          // fetches that a tainted context may make; nil: the built-in list
	Hosts     []string          // where to; nil: the built-in list
	Ports     []int             // Phantom's own, on this machine
	Files     Resolver          `json:"-"` // read-only view of the file system
}

// Grant opens a place outside the workspace to the file tools.
type Grant struct {
	Path  string
	Write bool
}

// BlockRule refuses a program, or those of its calls that hold all of Args.
// An element of Args is a word, or the beginning of one if it ends in "*";
// "-x" also finds x among bundled letters.
type BlockRule struct {
	ID      string
	Program string
	Args    []string
	Reason  string
}

// Resolver is the guard's only window to the file system.
type Resolver = place.Resolver

// Disk returns a resolver that only reads.
func Disk() Resolver { return place.Disk{} }

// Policy judges by one configuration. The zero value blocks everything.
type Policy struct {
	cfg     Config
	rules   map[string][]rule // by program; "" holds those for all programs
	all     []rule
	network egress.List
	places  place.Places
	version string
}

// The package's own text is part of the version: a rule that changes makes
// every approval given under the old one void.
//
//go:embed *.go egress/*.go place/*.go resource/*.go program/*.go shell/*.go landmark/*.go
var source embed.FS

// New checks the configuration and returns a policy for it.
func New(cfg Config) (*Policy, error) {
	if cfg.Files == nil {
		return nil, errors.New("policy: no resolver for the file system")
	}
	for name, path := range map[string]string{"home": cfg.Home, "workspace": cfg.Workspace, "user home": cfg.UserHome} {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("policy: the %s %q is not an absolute path", name, path)
		}
	}
	named := slices.Concat(cfg.Protected, cfg.Readable)
	for _, g := range cfg.Grants {
		named = append(named, g.Path)
	}
	for _, path := range named {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("policy: %q is not an absolute path; write it from / in guard.yaml", path)
		}
	}
	cfg.Protected = place.WithTargets(cfg.Files, cfg.Protected)
	cfg.Readable = place.WithTargets(cfg.Files, cfg.Readable)
	p := &Policy{cfg: cfg, rules: map[string][]rule{}}
	all, err := settled(cfg)
	if err != nil {
		return nil, err
	}
	p.all = all
	p.places = place.Places{Home: cfg.Home, Workspace: cfg.Workspace, UserHome: cfg.UserHome, Protected: cfg.Protected, Files: cfg.Files}
	for _, g := range cfg.Grants {
		if g.Write {
			p.places.Writable = append(p.places.Writable, g.Path)
		}
	}
	p.network = egress.Default(cfg.Workspace)
	p.network.Own = cfg.Ports
	if cfg.Programs != nil {
		p.network.Programs = cfg.Programs
	}
	if cfg.Hosts != nil {
		p.network.Hosts = cfg.Hosts
	}
	for _, r := range all {
		for _, name := range r.names() {
			p.rules[name] = append(p.rules[name], r)
		}
	}
	if p.version, err = digest(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// settled returns the rules as guard.yaml leaves them.
func settled(cfg Config) ([]rule, error) {
	all := slices.Concat(deleteRules(), diskRules(), permissionRules(), dockerRules(), gitRules(), logRules(), processRules(),
		networkRules(), accountRules(), packageRules(), databaseRules(), cloudRules(), secretRules(), protectedRules(), injectionRules(), outwardRules(), formRules())
	for _, b := range cfg.Block {
		r, err := b.rule()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	for family, to := range cfg.Families {
		found := false
		for i := range all {
			r := &all[i]
			if r.family != family {
				continue
			}
			found = true
			switch {
			case to == "critical":
				r.severity = critical
			case to == "ask" && r.severity == critical:
				return nil, fmt.Errorf("guard.yaml: family %s holds the critical rule %s, which cannot be lowered; remove the line", family, r.id)
			case to == "ask":
				r.severity = destructive
			default:
				return nil, fmt.Errorf("guard.yaml: family %s is set to %q; write critical or ask", family, to)
			}
		}
		if !found {
			return nil, fmt.Errorf("guard.yaml: there is no family %q; the families are %s", family, strings.Join(families(all), ", "))
		}
	}
	return all, nil
}

func families(all []rule) []string {
	var out []string
	for _, r := range all {
		if !slices.Contains(out, r.family) {
			out = append(out, r.family)
		}
	}
	slices.Sort(out)
	return out
}

func digest(cfg Config) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(cfg); err != nil {
		return "", fmt.Errorf("policy: digest the configuration: %w", err)
	}
	err := fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := source.ReadFile(path)
		if err != nil {
			return err
		}
		h.Write(text)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("policy: digest the rules: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// Version is a digest of rules and configuration; an approval holds for one.
func (p *Policy) Version() string { return p.version }

// Command judges a line for bash, about to run in cwd.
func (p *Policy) Command(line, cwd string) phantom.Verdict {
	return p.Explain(line, cwd).verdict
}

// Derivation tells how a verdict came about.
type Derivation struct {
	Decision string          `json:"verdict"`
	Rule     string          `json:"rule,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Version  string          `json:"version"`
	Commands []Step          `json:"commands"`
	Problems []shell.Problem `json:"problems,omitempty"`

	verdict phantom.Verdict
}

// Step is one simple command of a line and the rules that it meets.
type Step struct {
	shell.Call
	Rules []Outcome `json:"rules,omitempty"`
}

// Outcome is one rule that a command meets.
type Outcome struct {
	Rule     string `json:"rule"`
	Family   string `json:"family"`
	Decision string `json:"verdict"`
	Reason   string `json:"reason"`
}

// Explain judges a line and keeps what it found on the way.
func (p *Policy) Explain(line, cwd string) Derivation {
	if p == nil || p.all == nil {
		return refused(phantom.Verdict{Rule: "no-policy", Reason: "the guard is not set up"})
	}
	res, ok := p.derive(line, cwd)
	if !ok {
		return refused(phantom.Verdict{Rule: "no-directory", Family: "opaque", Reason: fmt.Sprintf("the working directory %q is not an absolute path", cwd)})
	}
	d := Derivation{Version: p.version, verdict: phantom.Allowed()}
	d.Problems = res.Problems
	for _, problem := range res.Problems {
		for _, r := range p.all {
			if r.problem == problem.Kind {
				v := r.verdict()
				v.Reason += ": " + problem.Detail
				d.verdict = d.verdict.Stricter(v)
			}
		}
	}
	for _, c := range res.Calls {
		step := Step{Call: c}
		x := &call{Call: c, p: p, line: res.Calls, name: c.Name()}
		for _, list := range [][]rule{p.rules[x.name], p.rules[""]} {
			for _, r := range list {
				if r.match == nil || !r.match(x) {
					continue
				}
				v := r.verdict()
				step.Rules = append(step.Rules, Outcome{r.id, r.family, v.Decision.String(), r.reason})
				d.verdict = d.verdict.Stricter(v)
			}
		}
		d.Commands = append(d.Commands, step)
	}
	d.Decision, d.Rule, d.Reason = d.verdict.Decision.String(), d.verdict.Rule, d.verdict.Reason
	return d
}

// derive walks a line; false means that there is no directory to walk it in.
func (p *Policy) derive(line, cwd string) (shell.Result, bool) {
	if !filepath.IsAbs(cwd) {
		return shell.Result{}, false
	}
	return shell.Derive(line, filepath.Clean(cwd), shell.Home{Dir: p.cfg.Workspace, User: p.cfg.UserHome, Phantom: p.cfg.Home}), true
}

func refused(v phantom.Verdict) Derivation {
	return Derivation{Decision: v.Decision.String(), Rule: v.Rule, Reason: v.Reason, verdict: v}
}

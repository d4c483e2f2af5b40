// Package sandbox is the only package that starts a process.
//
// It owns the life of every child: a clean environment, its own session, the
// limits of the whole tree, what it may see and touch (Landlock, seccomp,
// namespaces), and its end: a call returns only when no descendant is left.
// It refuses to be built when the machine cannot have the level that the
// configuration requires, and refuses every profile that it does not know.
//
// A call starts our own binary again as a helper. The helper waits for its
// order on a pipe, so the process is on record before it can act; the same
// pipe ends when Phantom ends, by whatever death, and the helper then kills
// the tree. The restrictions go onto one thread of the helper, which starts
// the program and is gone; the helper's other threads stay outside, count the
// tree's memory and processes, and reap. At level full the helper is process 1
// of its own process namespace, so the tree cannot outlive it.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"phantom/internal/sandbox/track"
	"phantom/internal/secret"
)

// Level says what holds a child back. The zero value holds nothing back.
type Level int

// The levels, weakest first.
const (
	None   Level = iota
	Kernel       // Landlock and seccomp
	Full         // namespaces, Landlock and seccomp
)

var levelNames = [...]string{"none", "kernel", "full"}

// String returns the word used in the configuration and by doctor.
func (l Level) String() string {
	if l < None || int(l) >= len(levelNames) {
		return levelNames[None]
	}
	return levelNames[l]
}

// ParseLevel is the inverse of String.
func ParseLevel(s string) (Level, error) {
	if i := slices.Index(levelNames[:], s); i >= 0 {
		return Level(i), nil
	}
	return Full, fmt.Errorf("sandbox level %q: want none, kernel or full", s)
}

// Profile says how much of the machine a child sees. The empty profile is refused.
type Profile string

// The profiles.
const (
	Computer    Profile = "computer" // the machine as its user sees it, minus protected paths and launch points
	Tool        Profile = "tool"     // a read-only system and a private directory
	Unconfined  Profile = "none"     // only limits and a certain end; needs Config.AllowNone
	toolHome            = "/tmp"     // the private directory as a tool at level full sees it
	graceToKill         = 500 * time.Millisecond
)

// Config says what to protect and how much protection is required.
type Config struct {
	Self      []string // argv prefix that runs our binary as the helper, e.g. {"/proc/self/exe", "sandbox-exec"}
	Home      string   // Phantom's home
	Workspace string   // where a command runs that names no directory
	Protected []string // never writable; not readable unless in Readable
	Readable  []string
	Writable  []string // launch points that the owner granted
	Record    string   // directory, inside a protected one, where running trees are on record
	Require   Level    // refuse to construct below this level
	Max       Level    // use at most this level; zero means the best that the machine has
	AllowNone bool     // allow the profile "none", and level none if Require is none
}

// Limits bind the whole tree of a call. Zero means the profile's default.
type Limits struct {
	Time      time.Duration // from its start to its end; no default but a tool's
	Output    int64         // bytes of standard output, and of standard error; no default but a tool's
	Memory    int64         // bytes resident in all processes together
	Processes int           // living processes
	FileSize  int64         // bytes in one file
	CPU       time.Duration // processor time of all processes together
}

// Spec is one call.
type Spec struct {
	Profile Profile
	Argv    []string
	Dir     string    // as the guard judged it, free of links; "" is the workspace, or a tool's private directory
	Env     []string  // complete, but for HOME of a tool, which names its private directory
	Secrets []Secret  // further variables
	Stdin   io.Reader // nil: /dev/null
	Stdout  io.Writer // nil: /dev/null
	Stderr  io.Writer
	Network bool
	// Loopback, without Network: the tree may speak to itself, over a loopback
	// interface of its own. Below level full there are no sockets then.
	Loopback bool
	// Reached, if set, hears of the first addresses beyond this machine that a
	// tracked tree reaches for, as it does; until it returns, nothing more is heard.
	Reached func(address string)
	Extra   *os.File // becomes descriptor 3 of the child, which has no others beyond the standard ones
	Limits  Limits
}

// Secret is a variable whose value nobody but the program may see.
type Secret struct {
	Name  string
	Value secret.Value
}

// Exit is how a call ended.
type Exit struct {
	Code     int    // exit code of the main process; 128 + signal if a signal ended it
	Signal   string // "" or the signal's name, e.g. "killed"
	Killed   string // why the sandbox ended it: "", "memory", "processes", "cpu", "cancelled" or "deadline"
	Leftover int    // descendants that outlived the main process and were ended
	Cut      bool   // output beyond its limit is lost

	Tracked bool    // Touched tells what the tree asked for; otherwise nothing was recorded
	Touched []Touch // by path; links are followed
	Dropped int     // touches that did not fit into the record, or could not be read
}

// Touch is one file and the strongest thing that a call asked of it; Refused
// means that the sandbox grants no such thing there.
type Touch = track.Touch

// The operations of a touch.
const (
	OpRead   = track.Read
	OpExec   = track.Exec
	OpWrite  = track.Write
	OpCreate = track.Create
	OpDelete = track.Delete
)

// Sandbox starts processes. The zero value refuses every call.
type Sandbox struct {
	config  Config
	level   Level
	userns  bool   // namespaces need a user namespace, because we are not root
	tracks  bool   // the files that calls touch can be recorded
	blind   string // why not
	missing []string
	hooks   []string // what git runs outside the workspace
	launch  []string // places whose contents somebody else runs
	boot    string   // names this boot of the machine in records

	spawning sync.RWMutex // held for reading from a helper's start until it is known

	mu      sync.Mutex
	live    map[string]bool // records of the helpers of this incarnation
	spare   map[kind]*call  // helpers in reserve
	filling map[kind]bool   // reserves on their way
	ready   bool            // the level is settled, so a reserve is worth while
}

// New finds the best level that works, by trying it, and returns a sandbox of
// that level. Its error says why the required level cannot be had.
func New(ctx context.Context, c Config) (*Sandbox, error) {
	c, err := c.check()
	if err != nil {
		return nil, fmt.Errorf("configure the sandbox: %w", err)
	}
	if err := os.MkdirAll(c.Record, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of process records: %w", err)
	}
	if err := os.Remove(c.bait()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("clear an unfinished self-test: %w", err)
	}
	// Descendants whose helper was killed come to us instead of to init, so
	// that they can be found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of lost processes: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	s := &Sandbox{config: c, launch: launchPoints(c), hooks: hookPlaces(c), boot: boot, live: map[string]bool{}, spare: map[kind]*call{}, filling: map[kind]bool{}}
	var why []error
	for _, try := range s.candidates() {
		s.level, s.userns = try.level, try.userns
		if s.level == None {
			break
		}
		err := s.selfTest(ctx)
		if err == nil {
			break
		}
		why = append(why, fmt.Errorf("level %s: %w", try, err))
		s.level, s.userns = None, false
	}
	if s.level < c.Require {
		return nil, fmt.Errorf("sandbox level %s is required, but this machine gives %s: %w; mend the cause, or lower sandbox.require in config/guard.yaml",
			c.Require, s.level, errors.Join(why...))
	}
	if s.level == None && !c.AllowNone {
		return nil, fmt.Errorf("no sandbox level works and running without one is not allowed: %w", errors.Join(why...))
	}
	s.missing, s.ready = s.gaps(), true
	return s, nil
}

type candidate struct {
	level  Level
	userns bool
}

func (c candidate) String() string {
	if c.userns {
		return c.level.String() + " (with a user namespace)"
	}
	return c.level.String()
}

func (s *Sandbox) candidates() []candidate {
	all := []candidate{{Full, true}, {Kernel, false}, {None, false}}
	if os.Geteuid() == 0 {
		all = slices.Insert(all, 0, candidate{Full, false})
	}
	top := s.config.Max
	if top == None && (s.config.Require > None || !s.config.AllowNone) {
		top = Full
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return c.level > top })
}

// check returns the configuration with every path made absolute and free of
// links, because the rules are about places, not names.
func (c Config) check() (Config, error) {
	if len(c.Self) == 0 || c.Home == "" || c.Workspace == "" || c.Record == "" {
		return c, errors.New("self, home, workspace and record must be set")
	}
	if c.Require < None || c.Require > Full || c.Max < None || c.Max > Full {
		return c, errors.New("unknown level")
	}
	if c.Max != None && c.Max < c.Require {
		return c, fmt.Errorf("at most level %s allowed, but %s required", c.Max, c.Require)
	}
	var errs []error
	place := func(p string) string {
		r, err := resolve(p)
		if err != nil {
			errs = append(errs, err)
		}
		return r
	}
	places := func(in []string) []string {
		out := make([]string, len(in))
		for i, p := range in {
			out[i] = place(p)
		}
		return out
	}
	c.Home, c.Workspace, c.Record = place(c.Home), place(c.Workspace), place(c.Record)
	c.Protected, c.Readable, c.Writable = places(c.Protected), places(c.Readable), places(c.Writable)
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	for _, p := range c.Protected {
		if within(c.Workspace, p) {
			return c, fmt.Errorf("the workspace %s lies in the protected %s", c.Workspace, p)
		}
		for _, w := range c.Writable {
			if within(w, p) {
				return c, fmt.Errorf("the granted %s lies in the protected %s", w, p)
			}
		}
	}
	if len(c.Protected) > 0 && !slices.ContainsFunc(c.Protected, func(p string) bool { return within(c.Record, p) }) {
		return c, fmt.Errorf("the process records in %s are not protected", c.Record)
	}
	return c, nil
}

// resolve makes p absolute and follows the links of the part that exists.
func resolve(p string) (string, error) {
	if !filepath.IsAbs(p) {
		return "", fmt.Errorf("path %q: must be absolute", p)
	}
	p = filepath.Clean(p)
	rest := ""
	for at := p; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, os.ErrNotExist) || at == "/" {
			return "", fmt.Errorf("resolve %s: %w", p, err)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// within reports whether p is dir or lies beneath it. Both are clean.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// Level returns the level in force.
func (s *Sandbox) Level() Level { return s.level }

// Missing returns what the level in force cannot stop, for doctor.
func (s *Sandbox) Missing() []string { return slices.Clone(s.missing) }

func (s *Sandbox) gaps() []string {
	var out []string
	switch s.level {
	case Full:
	case Kernel:
		out = []string{
			"changed modes, owners, times and labels of files of the same user, protected ones included, but not their contents (Landlock does not judge them)",
			"names, sizes and times of files in protected directories can be seen and watched",
			"reading the shared memory of other programs of the same user",
			"connections to named Unix sockets of other programs, such as docker.sock, by commands that have the network",
			"the list of this machine's processes and their command lines",
		}
	default:
		out = []string{"everything but the limits: commands run with all rights of Phantom's user"}
	}
	if !s.tracks {
		out = append(out, "the record of the files that commands read, and of those they touch outside the workspace, is not kept: "+s.blind)
	}
	if s.config.AllowNone {
		out = append(out, `commands under the profile "none", which the configuration allows`)
	}
	return out
}

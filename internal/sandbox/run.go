package sandbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"phantom/internal/sandbox/track"
)

// raw is a string of any bytes: JSON would replace those that are not UTF-8.
type raw string

func (r raw) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, []byte(r)), nil
}

func (r *raw) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	*r = raw(b)
	return err
}

// order is what the helper is told to do, once its process is on record.
type order struct {
	Level   Level
	Profile Profile
	Argv    []raw
	Env     []raw
	Dir     raw
	Network bool
	// Loopback: the tree is alone in a network namespace, and may speak to itself.
	Loopback bool
	Limits   Limits
	Grants   []grant
	Mounts   mountPlan
	UID      int // 0 keeps the user
	Record   raw // where the helper notes who is in the tree
	Track    bool
	Pinned   bool // the last file is the directory to start in
}

// report is what the helper has to say at the end, or of an address when the
// tree reaches for it.
type report struct {
	Reached  string `json:",omitempty"`
	Error    string `json:",omitempty"` // why the program could not be started
	Code     int
	Signal   int
	Killed   string
	Leftover int
	Touched  []touched `json:",omitempty"`
	Dropped  int
}

// touched is a Touch whose path may hold any bytes.
type touched struct {
	Op      track.Op
	Path    raw
	Refused bool `json:",omitempty"`
}

// kind tells helpers apart that wait in reserve.
type kind struct {
	level   Level
	network bool // decides a namespace, so only at level full
}

// fdLine is the helper's line to Phantom: the order comes in, with the
// program's files, and the report goes out.
const fdLine = 3

// Stages of the helper.
const (
	stageRun   = "run"   // start the program
	stageClone = "clone" // make the namespaces first
	stageProbe = "probe" // be the program, and try to get out

	online, offline = "online", "offline" // the argument of stageClone
)

// toolUID owns the tools' processes when we are root: an id that no
// distribution gives to people, services or containers.
const toolUID = 61100

// Run runs one program and returns when neither it nor any descendant is left.
// The end of ctx kills the whole tree. The error says why the program could not
// be run at all; how it ended is no error.
func (s *Sandbox) Run(ctx context.Context, spec Spec) (Exit, error) {
	if err := s.admit(spec); err != nil {
		return Exit{}, fmt.Errorf("sandbox: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Exit{}, fmt.Errorf("sandbox: %w", context.Cause(ctx))
	}
	o, cleanup, err := s.order(spec)
	if err != nil {
		return Exit{}, fmt.Errorf("sandbox: %w", err)
	}
	defer cleanup()
	exit, err := s.run(ctx, spec, o)
	if err != nil {
		return exit, fmt.Errorf("run %q in the sandbox: %w", spec.Argv[0], err)
	}
	return exit, nil
}

func (s *Sandbox) admit(spec Spec) error {
	if s == nil || s.live == nil {
		return errors.New("not constructed")
	}
	switch spec.Profile {
	case Computer, Tool:
	case Unconfined:
		if !s.config.AllowNone {
			return errors.New(`the profile "none" is not allowed; allow it in config/guard.yaml if you must`)
		}
	default:
		return fmt.Errorf("unknown profile %q", spec.Profile)
	}
	if len(spec.Argv) == 0 || spec.Argv[0] == "" {
		return errors.New("no program named")
	}
	for _, list := range [][]string{spec.Argv, spec.Env, {spec.Dir}} {
		for _, text := range list {
			if strings.ContainsRune(text, 0) {
				return errors.New("an argument, a variable or the directory holds a zero byte")
			}
		}
	}
	return spec.admitEnv()
}

// toolEnv is all that a tool is told, secrets apart.
var toolEnv = []string{"PATH", "HOME", "LANG", "TERM", "TOOL_INPUT"}

// variable is the shape of a variable's name that every program can read.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (spec Spec) admitEnv() error {
	taken := map[string]bool{"HOME": true, "TMPDIR": true}
	for _, kv := range spec.Env {
		name, _, ok := strings.Cut(kv, "=")
		if spec.Profile == Tool && (!ok || !slices.Contains(toolEnv, name)) {
			return fmt.Errorf("a tool gets no variable %q, only %s and approved secrets", name, strings.Join(toolEnv, ", "))
		}
		taken[name] = true
	}
	for _, s := range spec.Secrets {
		switch {
		case !variable.MatchString(s.Name), strings.HasPrefix(s.Name, "LD_"), strings.HasPrefix(s.Name, "BASH_"):
			return fmt.Errorf("a secret cannot be given in the variable %q", s.Name)
		case s.Value.IsZero():
			return fmt.Errorf("the secret for %s is not there", s.Name)
		case taken[s.Name]:
			return fmt.Errorf("the variable %s is taken, a secret cannot be given in it", s.Name)
		case strings.ContainsRune(s.Value.Reveal(), 0):
			return fmt.Errorf("the secret for %s holds a zero byte", s.Name)
		}
		taken[s.Name] = true
	}
	return nil
}

// order turns a call into what the helper must know. The cleanup removes the
// tool's private directory.
func (s *Sandbox) order(spec Spec) (order, func(), error) {
	o := order{
		Level: s.level, Profile: spec.Profile, Argv: raws(spec.Argv), Env: raws(spec.Env), Dir: raw(spec.Dir),
		Network: spec.Network, Limits: spec.Limits.or(spec.Profile), Track: s.tracks,
	}
	if spec.Profile == Unconfined {
		o.Level, o.Track = None, false
	}
	cleanup := func() {}
	private := toolHome
	if spec.Profile == Tool {
		if os.Geteuid() == 0 && o.Level > None {
			o.UID = toolUID
		}
		if o.Level < Full {
			dir, err := os.MkdirTemp("", "phantom-tool-")
			if err != nil {
				return o, nil, fmt.Errorf("make a private directory: %w", err)
			}
			private = dir
			cleanup = func() { _ = os.RemoveAll(dir) } // a leftover in the temporary directory harms nobody
			if o.UID != 0 {
				if err := os.Chown(dir, o.UID, o.UID); err != nil {
					cleanup()
					return o, nil, fmt.Errorf("hand over the private directory: %w", err)
				}
			}
		}
		o.Env = raws(withHome(spec.Env, private, o.Level < Full))
	}
	o.Loopback = spec.Loopback && !spec.Network && o.Level == Full
	switch {
	case spec.Dir != "":
	case spec.Profile == Tool:
		o.Dir = raw(private)
	default:
		o.Dir = raw(s.config.Workspace)
	}
	o.Pinned = spec.Dir != "" || spec.Profile != Tool // a tool's own directory is not there yet
	if o.Level > None {
		r := rules{config: s.config, level: o.Level, launch: s.launch, hooks: s.hooks}
		o.Grants = r.grants(spec.Profile, private)
		if o.Level == Full {
			o.Mounts = r.mounts(spec.Profile)
		}
	}
	return o, cleanup, nil
}

// pin opens the directory that a program is to start in. From here on it is
// this directory or none, whatever its name is made to lead to; and that its
// name led here by a link, which the guard did not see, is refused.
func (s *Sandbox) pin(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start in %s: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), dir)
	place, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err == nil && place != filepath.Clean(dir) && !within(place, s.config.Workspace) {
		err = fmt.Errorf("it is reached through a link, and really %s", place)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start in %s: %w", dir, err), f.Close())
	}
	return f, nil
}

func raws(in []string) []raw {
	out := make([]raw, len(in))
	for i, s := range in {
		out[i] = raw(s)
	}
	return out
}

// withHome names a tool's private directory, which is also the place for its
// temporary files where it is not /tmp.
func withHome(env []string, dir string, temporary bool) []string {
	out := make([]string, 0, len(env)+2)
	for _, kv := range env {
		if !strings.HasPrefix(kv, "HOME=") && !strings.HasPrefix(kv, "TMPDIR=") {
			out = append(out, kv)
		}
	}
	if temporary {
		out = append(out, "TMPDIR="+dir)
	}
	return append(out, "HOME="+dir)
}

// or fills in the defaults of a profile.
func (l Limits) or(p Profile) Limits {
	d := Limits{Memory: 3 << 30, Processes: 512, FileSize: 8 << 30}
	if p == Tool {
		d = Limits{Memory: 512 << 20, Processes: 64, FileSize: 256 << 20, CPU: time.Minute, Time: time.Minute, Output: 1 << 20}
	}
	if l.Memory <= 0 {
		l.Memory = d.Memory
	}
	if l.Processes <= 0 {
		l.Processes = d.Processes
	}
	if l.FileSize <= 0 {
		l.FileSize = d.FileSize
	}
	if l.CPU <= 0 {
		l.CPU = d.CPU
	}
	if l.Time <= 0 {
		l.Time = d.Time
	}
	if l.Output <= 0 {
		l.Output = d.Output
	}
	return l
}

// lookPath finds name as a shell would with the child's own PATH.
func lookPath(name string, env []raw, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(string(kv), "PATH="); ok {
			path = v
		}
	}
	for d := range strings.SplitSeq(path, ":") {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		p := filepath.Join(d, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: not found in PATH %q", name, path)
}

// namespaces are the clone flags of level full.
func namespaces(network bool) uintptr {
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS)
	if !network {
		flags |= unix.CLONE_NEWNET
	}
	return flags
}

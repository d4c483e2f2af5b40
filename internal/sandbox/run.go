package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	Extra   bool
	Network bool
	Limits  Limits
	Grants  []grant
	Mounts  mountPlan
	UID     int // 0 keeps the user
	Record  raw // where the helper notes who is in the tree; "" if it need not
}

// report is what the helper has to say at the end.
type report struct {
	Error    string `json:",omitempty"` // why the program could not be started
	Code     int
	Signal   int
	Killed   string
	Leftover int
}

// Descriptors of the helper.
const (
	fdOrder  = 3
	fdReport = 4
	fdExtra  = 5
)

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
	c := &call{sandbox: s, spec: spec, order: o}
	exit, err := c.run(ctx)
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
	return nil
}

// order turns a call into what the helper must know. The cleanup removes the
// tool's private directory.
func (s *Sandbox) order(spec Spec) (order, func(), error) {
	o := order{
		Level: s.level, Profile: spec.Profile, Argv: raws(spec.Argv), Env: raws(spec.Env), Dir: raw(spec.Dir),
		Extra: spec.Extra != nil, Network: spec.Network, Limits: spec.Limits.or(spec.Profile),
	}
	if spec.Profile == Unconfined {
		o.Level = None
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
		o.Env = raws(withHome(spec.Env, private))
	}
	switch {
	case spec.Dir != "":
	case spec.Profile == Tool:
		o.Dir = raw(private)
	default:
		o.Dir = raw(s.config.Workspace)
	}
	if o.Level > None {
		r := rules{config: s.config, level: o.Level, launch: s.launch}
		o.Grants = r.grants(spec.Profile, private)
		if o.Level == Full {
			o.Mounts = r.mounts(spec.Profile)
		}
	}
	return o, cleanup, nil
}

func raws(in []string) []raw {
	out := make([]raw, len(in))
	for i, s := range in {
		out[i] = raw(s)
	}
	return out
}

func withHome(env []string, dir string) []string {
	out := make([]string, 0, len(env)+2)
	for _, kv := range env {
		if !strings.HasPrefix(kv, "HOME=") && !strings.HasPrefix(kv, "TMPDIR=") {
			out = append(out, kv)
		}
	}
	return append(out, "HOME="+dir, "TMPDIR="+dir)
}

// or fills in the defaults of a profile.
func (l Limits) or(p Profile) Limits {
	d := Limits{Memory: 3 << 30, Processes: 512, FileSize: 8 << 30}
	if p == Tool {
		d = Limits{Memory: 512 << 20, Processes: 64, FileSize: 256 << 20, CPU: time.Minute}
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
	return l
}

// call is one running helper.
type call struct {
	sandbox *Sandbox
	spec    Spec
	order   order
	cmd     *exec.Cmd
	orders  *os.File // our end; closing it ends the tree
	reports *os.File
	record  string
}

func (c *call) run(ctx context.Context) (Exit, error) {
	if err := c.begin(); err != nil {
		return Exit{}, err
	}
	defer c.reports.Close()
	defer c.orders.Close()
	if c.order.Level < Full {
		c.order.Record = raw(filepath.Join(c.sandbox.config.Record, c.record))
	}
	encoded, err := json.Marshal(c.order)
	if err == nil {
		_, err = c.orders.Write(append(encoded, '\n'))
	}
	if err != nil { // the helper has no order yet and ends when the pipe closes
		_ = c.orders.Close() // again below, harmlessly
		_ = c.cmd.Wait()     // it was never told to do anything
		return Exit{}, errors.Join(fmt.Errorf("hand over the order: %w", err), c.sandbox.leave(c.record))
	}
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(ctx, ended)
	}()
	var rep report
	repErr := json.NewDecoder(io.LimitReader(c.reports, 1<<16)).Decode(&rep)
	waitErr := c.cmd.Wait()
	close(ended)
	<-watched
	if repErr != nil {
		// The helper was killed from outside: what it watched over came to us.
		c.sandbox.sweep(c.record)
	}
	if err := c.sandbox.leave(c.record); err != nil {
		return Exit{}, err
	}
	return c.outcome(ctx, rep, repErr, waitErr)
}

// watch ends the tree when ctx ends, and the helper if it does not obey.
func (c *call) watch(ctx context.Context, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	_ = c.orders.Close() // the order to end; closing twice is harmless
	grace := time.NewTimer(graceToKill)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		_ = c.cmd.Process.Kill() // if it just ended, all is well
	}
}

func (c *call) outcome(ctx context.Context, rep report, repErr, waitErr error) (Exit, error) {
	cancelled := ""
	if ctx.Err() != nil {
		cancelled = "cancelled"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancelled = "deadline"
		}
	}
	if repErr != nil {
		if cancelled != "" {
			return Exit{Code: 128 + int(unix.SIGKILL), Signal: unix.SIGKILL.String(), Killed: cancelled}, nil
		}
		return Exit{}, fmt.Errorf("the helper ended without a report: %w", errors.Join(repErr, waitErr))
	}
	if rep.Error != "" {
		return Exit{}, errors.New(rep.Error)
	}
	exit := Exit{Code: rep.Code, Killed: rep.Killed, Leftover: rep.Leftover}
	if rep.Signal != 0 {
		exit.Code, exit.Signal = 128+rep.Signal, unix.Signal(rep.Signal).String()
	}
	if rep.Killed == killedCancelled {
		exit.Killed = cancelled
	}
	return exit, nil
}

// begin starts the helper and puts it on record.
func (c *call) begin() error {
	c.sandbox.spawning.RLock()
	defer c.sandbox.spawning.RUnlock()
	if err := c.start(); err != nil {
		return err
	}
	err := c.sandbox.enter(c.record)
	if err != nil {
		err = errors.Join(err, c.orders.Close(), c.reports.Close())
		_ = c.cmd.Wait() // without an order it does nothing and ends
	}
	return err
}

// start starts the helper, which waits for its order.
func (c *call) start() (err error) {
	s := c.sandbox
	orderR, orderW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer orderR.Close()
	reportR, reportW, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make a pipe: %w", err), orderW.Close())
	}
	defer reportW.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, orderW.Close(), reportR.Close())
		}
	}()
	argv, flags := append(slices.Clone(s.config.Self), stageRun), uintptr(0)
	switch {
	case c.order.Level < Full:
	case !s.userns:
		flags = namespaces(c.order.Network)
	case c.order.Network:
		argv = append(slices.Clone(s.config.Self), stageClone, online)
	default:
		argv = append(slices.Clone(s.config.Self), stageClone, offline)
	}
	c.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // the context ends the tree through the helper, not the helper alone
	c.cmd.Env = []string{"LANG=C"}             // not empty: an empty one would be ours
	c.cmd.Dir = "/"
	c.cmd.ExtraFiles = []*os.File{orderR, reportW}
	if c.spec.Extra != nil {
		c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, c.spec.Extra)
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: flags}
	c.cmd.Stdout, c.cmd.Stderr = c.spec.Stdout, c.spec.Stderr
	closeInput, err := c.input()
	if err != nil {
		return err
	}
	defer closeInput()
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start the helper %s: %w", argv[0], err)
	}
	if c.record, err = recordName(s.boot, c.cmd.Process.Pid); err != nil {
		_ = c.cmd.Process.Kill() // it has no order yet
		_ = c.cmd.Wait()         // reaped
		return err
	}
	c.orders, c.reports = orderW, reportR
	return nil
}

// input connects the child's standard input. A reader that is no file gets a
// pipe of its own, because a reader that never ends must not hold up the end
// of the call.
func (c *call) input() (func(), error) {
	switch in := c.spec.Stdin.(type) {
	case nil:
		return func() {}, nil
	case *os.File:
		c.cmd.Stdin = in
		return func() {}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the input pipe: %w", err)
	}
	c.cmd.Stdin = r
	go func() {
		_, _ = io.Copy(w, c.spec.Stdin) // a child that stops reading is its own affair
		_ = w.Close()                   // nothing is buffered
	}()
	return func() { _ = r.Close() }, nil // the child has its own
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

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// call is one helper: started ahead of need, then given one order.
type call struct {
	sandbox *Sandbox
	cmd     *exec.Cmd
	line    *net.UnixConn // the order goes out, the report comes in; its end ends the tree
	record  string
	tracked bool // by its order
}

// take returns a helper that waits for its order: the one in reserve, if it is
// of the right kind, or a new one.
func (s *Sandbox) take(k kind) (*call, error) {
	s.mu.Lock()
	c := s.spare[k]
	delete(s.spare, k)
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	return s.start(k)
}

// refill puts a helper in reserve, because starting our whole program takes
// longer than all the rest of a call. It runs beside the caller and ends when
// the helper is started; one that is not wanted after all ends with us.
func (s *Sandbox) refill(k kind) {
	s.mu.Lock()
	wanted := s.ready && !s.filling[k] && s.spare[k] == nil
	if wanted {
		s.filling[k] = true
	}
	s.mu.Unlock()
	if !wanted {
		return
	}
	go func() {
		c, err := s.start(k)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.filling, k)
		if err == nil { // the next call meets the error and reports it
			s.spare[k] = c
		}
	}()
}

// start starts a helper, which waits for its order.
func (s *Sandbox) start(k kind) (*call, error) {
	s.spawning.RLock()
	defer s.spawning.RUnlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the line to the helper: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "line"), os.NewFile(uintptr(pair[1]), "line")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("make the line to the helper: %w", err)
	}
	line, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("the line to the helper is no socket"), conn.Close())
	}
	c := &call{sandbox: s, line: line}
	argv, flags := append(slices.Clone(s.config.Self), stageRun), uintptr(0)
	switch {
	case k.level < Full:
	case !s.userns:
		flags = namespaces(k.network)
	case k.network:
		argv = append(slices.Clone(s.config.Self), stageClone, online)
	default:
		argv = append(slices.Clone(s.config.Self), stageClone, offline)
	}
	c.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // the context ends the tree through the helper, not the helper alone
	c.cmd.Env = []string{"LANG=C"}             // not empty: an empty one would be ours
	c.cmd.Dir = "/"
	c.cmd.ExtraFiles = []*os.File{theirs}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: flags}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the helper %s: %w", argv[0], err), line.Close())
	}
	if c.record, err = recordName(s.boot, c.cmd.Process.Pid); err != nil {
		c.abandon()
		return nil, err
	}
	s.mu.Lock()
	s.live[c.record] = true
	s.mu.Unlock()
	return c, nil
}

// abandon ends a helper that has had no order.
func (c *call) abandon() {
	_ = c.line.Close()       // it ends by itself
	_ = c.cmd.Process.Kill() // or by this
	_ = c.cmd.Wait()         // how is nobody's business
}

// command gives the helper its order and the program's files.
func (c *call) command(o order, secrets []Secret, files []*os.File) error {
	if err := c.sandbox.enter(c.record); err != nil {
		return err
	}
	o.Record, c.tracked = raw(c.sandbox.path(c.record)), o.Track
	o.Env = slices.Clone(o.Env)
	for _, s := range secrets { // they go no further than the helper's memory and the program's environment
		o.Env = append(o.Env, raw(s.Name+"="+s.Value.Reveal()))
	}
	encoded, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write the order: %w", err)
	}
	encoded = append(encoded, '\n')
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd()) // also makes it block, as programs expect
	}
	n, _, err := c.line.WriteMsgUnix(encoded, unix.UnixRights(fds...), nil)
	if err == nil && n < len(encoded) {
		_, err = c.line.Write(encoded[n:])
	}
	if err != nil {
		return fmt.Errorf("hand over the order: %w", err)
	}
	return nil
}

// run gives the order and waits for the end of the tree.
func (s *Sandbox) run(ctx context.Context, spec Spec, o order) (Exit, error) {
	k := kind{level: o.Level, network: o.Network && o.Level == Full}
	st, err := connect(spec, o.Limits.Output)
	if err != nil {
		return Exit{}, err
	}
	defer st.close()
	if o.Pinned {
		dir, err := s.pin(string(o.Dir))
		if err != nil {
			return Exit{}, err
		}
		st.child, st.ours = append(st.child, dir), append(st.ours, dir)
	}
	c, err := s.take(k)
	if err != nil {
		return Exit{}, err
	}
	if err := c.command(o, spec.Secrets, st.child); err != nil {
		// The helper in reserve may have been killed; a new one was not.
		c.abandon()
		if err := s.leave(c.record); err != nil {
			return Exit{}, err
		}
		if c, err = s.start(k); err != nil {
			return Exit{}, err
		}
		if err := c.command(o, spec.Secrets, st.child); err != nil {
			c.abandon()
			return Exit{}, errors.Join(err, s.leave(c.record))
		}
	}
	st.handedOver()
	exit, err := c.finish(ctx, spec.Reached)
	exit.Cut = st.drain()
	s.refill(k)
	return exit, err
}

// maxReport leaves room for the tracker's bounds as they are encoded.
const maxReport = 16 << 20

func (c *call) finish(ctx context.Context, tell func(address string)) (Exit, error) {
	defer c.line.Close()
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(ctx, ended)
	}()
	rep, repErr := c.hear(tell)
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
	exit, err := outcome(ctx, rep, repErr, waitErr)
	if repErr == nil && c.tracked {
		exit.Tracked, exit.Dropped = true, rep.Dropped
		for _, t := range rep.Touched {
			exit.Touched = append(exit.Touched, Touch{Op: t.Op, Path: string(t.Path), Refused: t.Refused})
		}
	}
	return exit, err
}

// hear takes what the helper says, up to its report.
func (c *call) hear(tell func(address string)) (rep report, err error) {
	in := json.NewDecoder(io.LimitReader(c.line, maxReport))
	for {
		rep = report{}
		if err = in.Decode(&rep); err != nil || rep.Reached == "" {
			return rep, err
		}
		if tell != nil {
			tell(rep.Reached)
		}
	}
}

// watch ends the tree when ctx ends, and the helper if it does not obey.
func (c *call) watch(ctx context.Context, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	_ = c.line.CloseWrite() // if it cannot be closed, it has ended
	grace := time.NewTimer(graceToKill)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		_ = c.cmd.Process.Kill() // if it just ended, all is well
	}
}

func outcome(ctx context.Context, rep report, repErr, waitErr error) (Exit, error) {
	cancelled := ""
	if ctx.Err() != nil {
		cancelled = killedCancelled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancelled = killedDeadline
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

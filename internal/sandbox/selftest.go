package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// selfTestBudget is generous: the test is a handful of system calls.
const selfTestBudget = 10 * time.Second

// bait is the protected file that the self-test tries to reach.
func (c Config) bait() string { return filepath.Join(c.Record, "self-test") }

// selfTest runs our own probe under the level that is being tried. What counts
// is what the kernel does, not what it says it can. A machine where only the
// tracker does not work keeps the level and goes without.
func (s *Sandbox) selfTest(ctx context.Context) error {
	s.tracks, s.blind = true, ""
	err := s.tryProbe(ctx)
	if err == nil {
		return nil
	}
	s.tracks, s.blind = false, err.Error()
	return s.tryProbe(ctx)
}

func (s *Sandbox) tryProbe(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, selfTestBudget, errors.New("the sandbox's self-test took too long"))
	defer cancel()
	bait := s.config.bait()
	if err := os.WriteFile(bait, []byte("bait"), 0o600); err != nil {
		return fmt.Errorf("lay the bait: %w", err)
	}
	defer os.Remove(bait)
	var out bytes.Buffer
	self, err := os.Executable()
	if err == nil {
		self, err = resolve(self)
	}
	if err != nil {
		return fmt.Errorf("find our own program: %w", err)
	}
	// Ordinary calls may not even read the binary; the probe is the binary.
	readable := s.config.Readable
	s.config.Readable = append(slices.Clone(readable), self)
	defer func() { s.config.Readable = readable }()
	argv := append(slices.Clone(s.config.Self), stageProbe, s.level.String(), bait)
	exit, err := s.Run(ctx, Spec{Profile: Computer, Argv: argv, Dir: "/", Env: []string{"LANG=C"}, Stdout: &out, Stderr: &out, Loopback: true})
	if err != nil {
		return err
	}
	if exit.Code != 0 {
		return fmt.Errorf("the probe got out: %s (exit %d%s)", strings.TrimSpace(out.String()), exit.Code, exit.Signal)
	}
	wrote := func(t Touch) bool { return t.Path == self && t.Op == OpWrite }
	if s.tracks && !slices.ContainsFunc(exit.Touched, wrote) {
		return errors.New("the tracker did not see the probe")
	}
	return nil
}

// probe is the self-test's program. It fails at the first thing that a
// sandboxed program should not be able to do.
func probe(args []string) int {
	if len(args) != 2 {
		return helperUsage
	}
	level, err := ParseLevel(args[0])
	if err == nil {
		err = tryAll(level, args[1])
	}
	if err != nil {
		fmt.Println(err) //nolint:forbidigo // the sandbox reads it
		return 1
	}
	return helperOK
}

func tryAll(level Level, bait string) error {
	if f, err := os.Open(bait); err == nil {
		return errors.Join(errors.New("a protected file could be read"), f.Close())
	}
	if f, err := os.OpenFile(bait, os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
		return errors.Join(errors.New("a protected file could be written"), f.Close())
	}
	if err := os.Truncate(bait, 0); err == nil {
		return errors.New("a protected file could be truncated")
	}
	if err := os.Remove(bait); err == nil {
		return errors.New("a protected file could be removed")
	}
	// Nothing but Landlock keeps a program from naming itself anew.
	if f, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0); err == nil {
		return errors.Join(errors.New("the kernel's files could be written"), f.Close())
	}
	// A program that runs cannot be written; the tracker sees the attempt.
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find our own program: %w", err)
	}
	if f, err := os.OpenFile(self, os.O_WRONLY, 0); err == nil {
		return errors.Join(errors.New("our own program could be written"), f.Close())
	}
	if fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); err == nil {
		return errors.Join(errors.New("a netlink socket could be opened"), unix.Close(fd))
	}
	// Where it has a network of its own, nothing leads out of it. Connecting a
	// datagram socket asks for a route, and sends nothing.
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err == nil {
		out := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, 2, 1}})
		if err := unix.Close(fd); out == nil || err != nil {
			return errors.Join(errors.New("an address beyond this machine has a route"), err)
		}
	}
	if err := unix.Unshare(0); !errors.Is(err, unix.EPERM) {
		return errors.New("the system call filter is not in force")
	}
	if nnp, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || nnp != 1 {
		return errors.New("setuid programs could gain rights")
	}
	if level == Full && os.Getppid() != 1 {
		return errors.New("the process namespace is not in force")
	}
	return nil
}

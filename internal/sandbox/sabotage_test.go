package sandbox

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// without makes a sandbox whose helpers leave one control out.
func (s *Sandbox) without(t *testing.T, c control) {
	t.Helper()
	await(t, func() bool { // no refill is on its way any more
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.filling) == 0
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = false
	for k, spare := range s.spare {
		spare.abandon()
		delete(s.live, spare.record)
		delete(s.spare, k)
	}
	s.config.Self = []string{"/proc/self/exe", "sandbox-without", string(c)}
}

// TestEachControlIsNeeded leaves out one control at a time: then the probe that
// it alone holds gets out, which with it does not.
func TestEachControlIsNeeded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user's rights hold some of these probes by themselves")
	}
	rows := []struct {
		lacks   control
		level   Level
		profile Profile
		network bool
		probe   string
		root    bool // holds nothing of an ordinary user's
	}{
		{files, Kernel, Computer, true, "read the database", false},
		{files, Kernel, Computer, true, "write the configuration", false},
		{files, Kernel, Computer, true, "signal a bystander", false},
		{files, Kernel, Computer, true, "connect to an abstract socket", false},
		{files, Kernel, Tool, false, "read a file outside", false},
		{files, Full, Computer, true, "connect to an abstract socket", false},
		{calls, Kernel, Computer, true, "open a netlink socket", false},
		{calls, Kernel, Computer, true, "set up io_uring", false},
		{calls, Kernel, Computer, true, "open an MPTCP socket", false},
		{calls, Kernel, Computer, true, "unshare a user namespace", false},
		{calls, Kernel, Computer, false, "send by UDP", false},
		{calls, Kernel, Computer, false, "ask a resolver by its named socket", false},
		{calls, Full, Computer, false, "ask a resolver by its named socket", false},
		{views, Full, Computer, true, "read another program's shared memory", false},
		{views, Full, Computer, true, "look at a protected file", false},
		{capabilities, Kernel, Computer, true, "become another user", true},
		{capabilities, Kernel, Computer, true, "change the host's name", true},
		{capabilities, Full, Computer, true, "give a file away", true},
		{descriptors, Kernel, Computer, true, "find an inherited descriptor", false},
		{limits, Kernel, Computer, true, "write a 10 GB file", false},
		{threads, Kernel, Computer, true, "reach a thread of the helper", false},
		{threads, Full, Tool, false, "reach a thread of the helper", false},
	}
	program := memoryFile(t)
	for _, row := range rows {
		if row.root && os.Geteuid() != 0 {
			continue
		}
		t.Run(row.level.String()+"/"+string(row.lacks)+"/"+row.probe, func(t *testing.T) {
			w, c := layOut(t)
			s := build(t, row.level, c)
			var e escape
			for _, e = range escapes() {
				if e.name == row.probe {
					break
				}
			}
			spec := Spec{Profile: row.profile, Network: row.network}
			if got, said := attempt(t, s, w, e, program, spec); got != "closed" {
				t.Fatalf("with it %s is %s: %s", row.probe, got, said)
			}
			s.without(t, row.lacks)
			if got, said := attempt(t, s, w, e, program, spec); got != "open" {
				t.Errorf("without it %s is %s, so something else holds it: %s", row.probe, got, said)
			}
		})
	}
}

// A small crowd does for the count; the fork bomb is among the escapes.
func TestLimitsAreNeeded(t *testing.T) {
	const crowd = "for i in $(seq 40); do sleep 20 & done; sleep 0.5"
	s := sandboxed(t, Kernel)
	spec := Spec{Limits: Limits{Processes: 20}}
	if got := bash(t, s, spec, crowd); got.Killed != killedProcesses {
		t.Errorf("with the limit: %+v, want it ended", got.Exit)
	}
	s.without(t, limits)
	if got := bash(t, s, spec, crowd); got.Killed != "" || got.Code != 0 {
		t.Errorf("without the limit: %+v, so something else ends it", got.Exit)
	}
}

// Without the promise of no new privileges Landlock and the filter are the
// kernel's to refuse, and a program does not start with half of them.
func TestNoNewPrivilegesIsNeeded(t *testing.T) {
	s := sandboxed(t, Kernel)
	s.without(t, privileges)
	exit, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"true"}, Env: []string{path}})
	if err == nil || !strings.Contains(err.Error(), "apply landlock") {
		t.Errorf("got %+v, %v; want the call refused", exit, err)
	}
}

// TestSelfTestFindsWhatIsMissing leaves a control out from the start.
func TestSelfTestFindsWhatIsMissing(t *testing.T) {
	rows := []struct {
		lacks control
		level Level
		say   string
	}{
		{files, Kernel, "a protected file could be read"},
		{files, Full, "the kernel's files could be written"}, // the mounts hide the protected one
		{calls, Kernel, "a netlink socket could be opened"},
		{privileges, Kernel, "apply landlock"},
		{views, Full, "a protected file"},
	}
	for _, row := range rows {
		t.Run(row.level.String()+"/"+string(row.lacks), func(t *testing.T) {
			c := place(t)
			c.Self = []string{"/proc/self/exe", "sandbox-without", string(row.lacks)}
			c.Require, c.Max = row.level, row.level
			if s, err := New(t.Context(), c); err == nil || !strings.Contains(err.Error(), row.say) {
				t.Errorf("got %v, %v; want an error with %q", s, err, row.say)
			}
		})
	}
}

// A machine without the tracker keeps its level, and says what is not recorded.
func TestTrackerIsMissed(t *testing.T) {
	c := place(t)
	c.Self = []string{"/proc/self/exe", "sandbox-without", string(tracking)}
	s := build(t, Kernel, c)
	got := bash(t, s, Spec{}, "cat /etc/passwd > copy")
	if got.Tracked || len(got.Touched) > 0 {
		t.Errorf("a record without a tracker: %+v", got.Exit)
	}
	if missing := strings.Join(s.Missing(), "\n"); !strings.Contains(missing, "record of the files") || !strings.Contains(missing, "did not see the probe") {
		t.Errorf("Missing says\n%s\nand not that the record is missing", missing)
	}
	if missing := strings.Join(sandboxed(t, Kernel).Missing(), "\n"); strings.Contains(missing, "record of the files") {
		t.Errorf("Missing says the record is missing where it is not:\n%s", missing)
	}
}

// TestHangUpIsNeeded kills a Phantom whose helpers do not listen for its end:
// the tree lives on, until a successor recovers.
func TestHangUpIsNeeded(t *testing.T) {
	c := place(t)
	script, mark := marked("sleep 300")
	daemon := exec.Command("/proc/self/exe", "-test.run=^TestPhantomKilled$")
	daemon.Env = append(os.Environ(), "SANDBOX_TEST_DAEMON="+c.Home+"\nkernel\n"+script, "SANDBOX_TEST_LACKS="+string(hangUps))
	daemon.Stdout, daemon.Stderr = os.Stdout, os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return len(sleepers(t, mark)) > 0 })
	<-time.After(3 * pollEvery) // the helper has noted them
	kill(daemon.Process.Pid)
	_ = daemon.Wait() // it was killed
	<-time.After(time.Second)
	if len(sleepers(t, mark)) == 0 {
		t.Error("the tree ended all the same, so something else ends it")
	}
	s := build(t, Kernel, c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if left := sleepers(t, mark); len(left) > 0 {
		t.Errorf("still alive after Recover: %v", left)
	}
}

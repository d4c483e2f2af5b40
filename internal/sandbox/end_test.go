package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// family is a tree that tries to outlive its parent in every usual way. Each
// member says its pid on standard output.
const family = `
say() { echo "pid $(exec sh -c 'echo $PPID')"; }
say
(say; exec sleep 300) &
setsid bash -c 'echo pid $$; trap "" TERM HUP INT; sleep 300' &
(setsid bash -c '(setsid bash -c "echo pid \$\$; sleep 300" &) ; echo pid $$; exec nohup sleep 300' &)
`

func sandboxed(t testing.TB, level Level) *Sandbox { return build(t, level, place(t)) }

// sleepers are the processes on the machine whose command line holds mark.
func sleepers(t testing.TB, mark string) []int {
	t.Helper()
	pids, err := numbers("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(b, []byte(mark)) && pid != os.Getpid() {
			var tb table
			if p, ok := tb.lookUp(pid); ok && !p.dead() {
				out = append(out, pid)
			}
		}
	}
	return out
}

// marked puts a number that nobody else uses into a script's sleeps.
func marked(script string) (string, string) {
	mark := strconv.FormatInt(300_000_000+time.Now().UnixNano()%100_000_000, 10)
	return strings.ReplaceAll(script, "sleep 300", "sleep "+mark), mark
}

func TestNothingOutlivesTheCall(t *testing.T) {
	for _, level := range []Level{None, Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			script, mark := marked(family + "sleep 0.2; exit 4")
			got := bash(t, sandboxed(t, level), Spec{}, script)
			if got.Code != 4 || got.Leftover < 4 {
				t.Errorf("exit %d, %d left over; want 4 and at least 4\n%s", got.Code, got.Leftover, got.out)
			}
			if left := sleepers(t, mark); len(left) > 0 {
				t.Errorf("still alive: %v", left)
			}
		})
	}
}

func TestCancelKillsTheWholeTreeQuickly(t *testing.T) {
	for _, level := range []Level{None, Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			s := sandboxed(t, level)
			var took []time.Duration
			for range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				script, mark := marked(family + "echo ready; sleep 300")
				out, in := io.Pipe()
				var exit Exit
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					exit, err = s.Run(ctx, Spec{Profile: Computer, Argv: []string{"bash", "-c", script}, Env: []string{path}, Stdout: in})
					_ = in.Close()
				}()
				seen := 0
				for lines := bufio.NewScanner(out); lines.Scan(); {
					if seen++; seen == 6 { // five pids and ready
						break
					}
				}
				go func() { _, _ = io.Copy(io.Discard, out) }()
				start := time.Now()
				cancel()
				<-done
				took = append(took, time.Since(start))
				if err != nil || exit.Killed != "cancelled" {
					t.Fatalf("exit %+v, error %v; want cancelled", exit, err)
				}
				if left := sleepers(t, mark); len(left) > 0 {
					t.Fatalf("still alive: %v", left)
				}
			}
			slices.Sort(took)
			t.Logf("cancel to dead: median %v, worst %v", took[len(took)/2], took[len(took)-1])
			if worst := took[len(took)-1]; worst > 250*time.Millisecond {
				t.Errorf("worst %v, want at most 250ms", worst)
			}
		})
	}
}

func TestDeadlineIsNamed(t *testing.T) {
	s := sandboxed(t, Kernel)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	exit, err := s.Run(ctx, Spec{Profile: Computer, Argv: []string{"sleep", "60"}, Env: []string{path}})
	if err != nil || exit.Killed != "deadline" || exit.Signal != "killed" {
		t.Errorf("got %+v, %v; want killed by the deadline", exit, err)
	}
}

func TestCallsRunSideBySide(t *testing.T) {
	s := sandboxed(t, Kernel)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var out bytes.Buffer
			exit, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"bash", "-c", "sleep 0.1 & echo " + strconv.Itoa(i)}, Env: []string{path}, Stdout: &out})
			if err != nil || exit.Code != 0 || strings.TrimSpace(out.String()) != strconv.Itoa(i) {
				t.Errorf("call %d: %+v, %v, %q", i, exit, err, out.String())
			}
		})
	}
	wg.Wait()
	records, err := os.ReadDir(s.config.Record)
	if err != nil || len(records) > 0 {
		t.Errorf("records left: %v, %v", records, err)
	}
}

// TestHelperKilled ends the helper from outside: what it watched over must die
// too, though its parent is gone.
func TestHelperKilled(t *testing.T) {
	for _, level := range []Level{None, Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			s := sandboxed(t, level)
			script, mark := marked(family + "sleep 300")
			done := make(chan error, 1)
			go func() {
				_, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"bash", "-c", script}, Env: []string{path}})
				done <- err
			}()
			await(t, func() bool { return len(sleepers(t, mark)) >= 5 })
			for _, pid := range recorded(t, s.config.Record) {
				kill(pid)
			}
			if err := <-done; err == nil {
				t.Error("a call whose helper was killed has no error")
			}
			if left := sleepers(t, mark); len(left) > 0 {
				t.Errorf("still alive: %v", left)
			}
		})
	}
}

func await(t testing.TB, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

// TestPhantomKilled runs a whole Phantom, which is this test again, and kills
// it in the middle of a call, alone or together with its helper.
func TestPhantomKilled(t *testing.T) {
	if spec := os.Getenv("SANDBOX_TEST_DAEMON"); spec != "" {
		beDaemon(t, spec)
		return
	}
	for _, level := range []Level{None, Kernel, Full} {
		for _, both := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/helper too=%v", level, both), func(t *testing.T) {
				c := place(t)
				script, mark := marked(family + "sleep 300")
				daemon := exec.Command("/proc/self/exe", "-test.run=^TestPhantomKilled$")
				daemon.Env = append(os.Environ(), "SANDBOX_TEST_DAEMON="+c.Home+"\n"+level.String()+"\n"+script)
				daemon.Stdout, daemon.Stderr = os.Stdout, os.Stderr
				if err := daemon.Start(); err != nil {
					t.Fatal(err)
				}
				await(t, func() bool { return len(sleepers(t, mark)) >= 5 })
				<-time.After(3 * pollEvery) // the helper has noted them
				kill(daemon.Process.Pid)
				if both {
					for _, pid := range recorded(t, c.Record) {
						kill(pid)
					}
				}
				_ = daemon.Wait() // it was killed
				if !both {
					start := time.Now()
					await(t, func() bool { return len(sleepers(t, mark)) == 0 })
					t.Logf("died by itself after %v", time.Since(start))
				}
				s := build(t, level, c)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				n, err := s.Recover(ctx)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("recover ended %d", n)
				if left := sleepers(t, mark); len(left) > 0 {
					t.Errorf("still alive after Recover: %v", left)
				}
				if left := recorded(t, c.Record); len(left) > 0 {
					t.Errorf("records left: %v", left)
				}
			})
		}
	}
}

func recorded(t testing.TB, dir string) []int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, e := range entries {
		if _, pid, _, err := parseRecord(e.Name()); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

func beDaemon(t *testing.T, spec string) {
	part := strings.SplitN(spec, "\n", 3)
	level, err := ParseLevel(part[1])
	if err != nil {
		t.Fatal(err)
	}
	c := configOf(part[0])
	c.Max, c.Require, c.AllowNone = level, level, level == None
	if lacks := os.Getenv("SANDBOX_TEST_LACKS"); lacks != "" {
		c.Self = []string{"/proc/self/exe", "sandbox-without", lacks}
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"bash", "-c", part[2]}, Env: []string{path}})
	t.Fatal("the daemon was to be killed: ", err)
}

// A recorded pid that now belongs to somebody else must be left alone.
func TestRecoverLeavesStrangersAlone(t *testing.T) {
	s := sandboxed(t, Kernel)
	stranger := exec.Command("sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	var tb table
	p, ok := tb.lookUp(stranger.Process.Pid)
	if !ok {
		t.Fatal("no such process")
	}
	for name, record := range map[string]string{
		"another start time": fmt.Sprintf("%s-%d-%d", s.boot, p.pid, p.start-1),
		"another boot":       fmt.Sprintf("0000-%d-%d", p.pid, p.start),
	} {
		file := filepath.Join(s.config.Record, record)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Recover(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: recovered %d, %v; want 0", name, n, err)
		}
		if p, ok := tb.lookUp(p.pid); !ok || p.dead() {
			t.Fatalf("%s: the stranger is dead", name)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: the record is still there", name)
		}
	}
}

package tool

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/tool/capture"
)

func TestBash(t *testing.T) {
	b := setUp(t, nil)
	for _, tt := range []struct {
		name, command string
		failed        bool
		want          string
	}{
		{"prints both streams", "echo out; echo err >&2", false, "out\nerr\n"},
		{"says that nothing was printed", "true", false, "(no output)"},
		{"tells the exit code", "echo before; exit 3", true, "before\n[exit code 3]"},
		{"tells the signal", "kill -TERM $$", true, "ended by signal"},
		{"has no input to wait for", "cat", false, "(no output)"},
		{"ends what is left behind", "sleep 100 & echo started", false, "left behind were ended"},
		{"is run as it was judged, not as an option of eval", "-- echo fooled", true, "not found"},
		{"reads no start-up file of the workspace", "echo $PHANTOM_TEST_RC", false, ""},
		{"redacts what is printed", "echo planted-value-''0123456789abcdef", false, "[redacted"},
		{"is text even if what is printed is not", `printf '\xff\xfe'`, false, "\uFFFD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wants(t, b.call("bash", values{"command": tt.command}), tt.failed, tt.want)
		})
	}
}

func TestOutputCap(t *testing.T) {
	b := setUp(t, nil)
	got := b.call("bash", values{"command": "echo first; seq 1 2000000; echo last"})
	wants(t, got, false, "bytes left out")
	if !strings.HasPrefix(got.Content, "first\n") || !strings.HasSuffix(got.Content, "last\n") || len(got.Content) > capture.HeadLimit+capture.TailLimit+100 {
		t.Errorf("%d bytes, from %.20q", len(got.Content), got.Content)
	}
}

func TestTimeoutKills(t *testing.T) {
	b := setUp(t, nil)
	began := time.Now()
	got := b.call("bash", values{"command": "echo before; (sleep 100; touch late) & sleep 100", "timeout_seconds": 1})
	wants(t, got, true, "before\n[ended early: timeout after 1s")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	rows := b.rows("outcome")
	if got := rows[len(rows)-1].Outcome; got != audit.Failed {
		t.Errorf("outcome = %s, want failed", got)
	}
}

func TestStoppedTurnEndsTheCommand(t *testing.T) {
	b := setUp(t, nil)
	ctx, stop := context.WithCancelCause(b.owner(t.Context()))
	time.AfterFunc(200*time.Millisecond, func() { stop(errors.New("the owner stopped it")) })
	wants(t, b.callIn(ctx, "bash", values{"command": "sleep 100"}), true, "ended early: the owner stopped it")
}

func TestWorkingDirectory(t *testing.T) {
	b := setUp(t, nil)
	wants(t, b.call("bash", values{"command": "mkdir -p a/b && cd a/b"}), false, "working directory is now "+b.path("a/b"))
	wants(t, b.call("bash", values{"command": "pwd"}), false, b.path("a/b"))
	wants(t, b.call("bash", values{"command": "ln -s b ../link; cd ../link; false"}), true, "[exit code 1]") // the same directory
	if err := os.RemoveAll(b.path("a")); err != nil {
		t.Fatal(err)
	}
	wants(t, b.call("bash", values{"command": "pwd"}), false, b.path("")[:len(b.path(""))-1])
}

// A command reports its working directory itself, so it may lie.
func TestForgedWorkingDirectory(t *testing.T) {
	b := setUp(t, nil)
	if err := os.Symlink("../config", b.path("link")); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"protected":              b.home + "/config",
		"below a protected one":  b.home + "/config/x",
		"link to a protected":    b.path("link"),
		"not clean":              b.path("../config"),
		"relative":               "workspace",
		"missing":                b.path("none"),
		"no directory":           b.path("report"),
		"with control character": "/tmp/\x1b[2J",
		"of a process":           "/proc/self/cwd",
	} {
		t.Run(name, func(t *testing.T) {
			b.put("report", dir+"\n")
			b.put("lie.sh", "trap - EXIT; cat report >&3")
			wants(t, b.call("bash", values{"command": ". ./lie.sh"}), false, "the working directory stays "+b.path(""))
			wants(t, b.call("bash", values{"command": "pwd"}), false, b.path(""))
		})
	}
}

func TestBackgroundJob(t *testing.T) {
	b := setUp(t, nil)
	wants(t, b.call("bash", values{"command": "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; exit 4", "background": true}), false, "job-1 started")
	var first string
	for !strings.Contains(first, "one") {
		got := b.call("bash_job", values{"job": "job-1"})
		wants(t, got, false, "[still running]")
		first += got.Content
	}
	b.put("go", "")
	got := b.call("bash_job", values{"job": "job-1", "wait_seconds": 60})
	wants(t, got, false, "two\n[exit code 4]")
	if strings.Contains(got.Content, "one") {
		t.Errorf("the second look repeats the first: %q", got.Content)
	}
	wants(t, b.call("bash_job", values{"job": "job-2"}), true, "the jobs are: job-1")
	wants(t, b.call("bash_job", values{"job": "job-1", "wait_seconds": 301}), true, "from 0 to 300")
	b.later.Wait()
	ended := 0
	for _, r := range b.rows("outcome") {
		if r.Tool == "bash" && r.Outcome == audit.Failed && strings.Contains(r.Detail, "exit code 4") {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("the job's end was audited %d times, want once", ended)
	}
}

func TestJobIsStopped(t *testing.T) {
	stopped := errors.New("the owner said stop")
	for _, tt := range []struct {
		name string
		stop func(b *bench, turn context.CancelCauseFunc)
		runs bool
		want string
	}{
		{"by the tool", func(b *bench, _ context.CancelCauseFunc) { b.call("bash_job", values{"job": "job-1", "stop": true}) }, false, "the job was stopped"},
		{"by the stop of its turn", func(_ *bench, turn context.CancelCauseFunc) { turn(stopped) }, false, stopped.Error()},
		{"by its conversation", func(b *bench, _ context.CancelCauseFunc) {
			if n := b.StopJobs("terminal:main"); n != 1 {
				b.t.Errorf("StopJobs = %d, want 1", n)
			}
		}, false, "the job was stopped"},
		{"not by the end of its turn", func(_ *bench, turn context.CancelCauseFunc) { turn(nil) }, true, ""},
		{"not by another conversation", func(b *bench, _ context.CancelCauseFunc) { b.StopJobs("terminal:other") }, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := setUp(t, nil)
			turn, cancel := context.WithCancelCause(b.owner(t.Context()))
			defer cancel(nil)
			wants(t, b.callIn(turn, "bash", values{"command": "sleep 100", "background": true}), false, "job-1 started")
			if of := b.JobsRun(); len(of) != 1 || of[0] != "terminal:main" {
				t.Errorf("jobs run in %v", of)
			}
			tt.stop(b, cancel)
			if tt.runs {
				wants(t, b.call("bash_job", values{"job": "job-1"}), false, "[still running]")
				return
			}
			got := b.call("bash_job", values{"job": "job-1", "wait_seconds": 30})
			wants(t, got, false, tt.want)
		})
	}
}

func TestJobsAreBounded(t *testing.T) {
	j := newJobs()
	for n := range 500 {
		created, err := j.add("c", order{line: "true"}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 { // the first one goes on running
			close(created.done)
		}
	}
	if len(j.list) > maxKept {
		t.Errorf("%d jobs are kept, want at most %d", len(j.list), maxKept)
	}
	for _, id := range []string{"job-1", "job-500"} {
		if _, err := j.find("c", id); err != nil {
			t.Errorf("%s is forgotten: %v", id, err)
		}
	}
	for range maxJobs - 1 {
		if _, err := j.add("c", order{line: "true"}, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.add("c", order{line: "true"}, func(error) {}); err == nil {
		t.Errorf("more than %d jobs run", maxJobs)
	}
}

func TestFileEventsOfACommand(t *testing.T) {
	b := setUp(t, nil)
	b.put("old", "1")
	b.put("gone", "1")
	b.call("bash", values{"command": "echo two >> old; rm gone; echo new > new"})
	got := strings.Join(b.files(), "\n")
	for _, want := range []string{"exec ", "write old", "delete gone", "create new"} {
		if !strings.Contains(got, want) {
			t.Errorf("events = %q, want %q", got, want)
		}
	}
}

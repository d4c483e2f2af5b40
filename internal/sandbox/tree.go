package sandbox

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Why the sandbox ends a tree.
const (
	killedCancelled = "cancelled"
	killedDeadline  = "deadline"
	killedMemory    = "memory"
	killedProcesses = "processes"
	killedCPU       = "cpu"
)

const (
	// pollEvery is how often a tree is counted; it bounds the overshoot.
	pollEvery = 20 * time.Millisecond
	// exactEvery spaces out the costly count of memory.
	exactEvery = 100 * time.Millisecond
	// killEvery is the pause between two rounds of killing.
	killEvery = time.Millisecond
)

// tree is what the helper watches over.
type tree struct {
	limits    Limits
	lacks     control
	pidns     bool // we are process 1, so everybody else is the tree
	table     table
	notes     *notes
	nextExact time.Time
}

// watch waits for the main process, ends what it leaves behind, and ends
// everything when a limit is passed or when orders, the line to Phantom, ends.
func (t *tree) watch(main int, orders io.Reader) report {
	mainEnd := make(chan end, 1)
	allEnd := make(chan struct{})
	go reap(main, mainEnd, allEnd)
	hangUp := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, orders) // any end is the end
		if t.lacks != hangUps {
			close(hangUp)
		}
	}()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var late <-chan time.Time
	if t.limits.Time > 0 {
		late = time.After(t.limits.Time)
	}
	var rep report
	for {
		select {
		case e := <-mainEnd:
			rep.Code, rep.Signal = e.code()
			if e.alone {
				return rep
			}
			if rest, err := t.members(); err == nil {
				rep.Leftover = len(rest)
			}
			t.end(allEnd)
			return rep
		case <-hangUp:
			rep.Killed = killedCancelled
		case <-late:
			rep.Killed = killedDeadline
		case <-poll.C:
			rep.Killed = t.over()
		}
		if rep.Killed != "" {
			t.end(allEnd)
			e := <-mainEnd
			rep.Code, rep.Signal = e.code()
			return rep
		}
	}
}

// end is how the main process ended, and whether it was the last one.
type end struct {
	status unix.WaitStatus
	alone  bool
}

func (e end) code() (code, signal int) {
	if e.status.Signaled() {
		return 0, int(e.status.Signal())
	}
	return e.status.ExitStatus(), 0
}

// reap collects every dead descendant. When there is no child left there is no
// descendant left: whoever loses a parent becomes our child before that parent
// can be reaped.
func reap(main int, mainEnd chan<- end, allEnd chan<- struct{}) {
	defer close(allEnd)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil: // ECHILD: nobody is left
			return
		case pid == main:
			e := end{status: status}
			next, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
			for ; next > 0; next, err = unix.Wait4(-1, &status, unix.WNOHANG, nil) {
			}
			e.alone = err == unix.ECHILD
			mainEnd <- e
		}
	}
}

// members returns the living processes of the tree. It looks no further when
// there are more than allowed.
func (t *tree) members() ([]process, error) {
	var out []process
	err := t.table.walk(os.Getpid(), func(p process) bool {
		if p.dead() || len(out) > t.limits.Processes {
			return false
		}
		out = append(out, p)
		return true
	})
	return out, err
}

// end kills until nobody is left.
func (t *tree) end(allEnd <-chan struct{}) {
	for {
		if t.pidns {
			_ = unix.Kill(-1, unix.SIGKILL) // all but us, at one stroke
		} else {
			_, _ = t.table.end(os.Getpid(), func(process) bool { return true }) // what it missed the next round finds
		}
		select {
		case <-allEnd:
			return
		case <-time.After(killEvery):
		}
	}
}

// over says which limit the tree has passed, if any. A tree that cannot be
// counted is over all of them.
func (t *tree) over() string {
	members, err := t.members()
	if err != nil || t.notes.keep(members) != nil {
		return killedProcesses
	}
	if t.lacks == limits {
		return ""
	}
	if len(members) > t.limits.Processes {
		return killedProcesses
	}
	var memory int64
	var used time.Duration
	for _, p := range members {
		memory += p.resident
		used += p.cpu
	}
	if memory > t.limits.Memory && !time.Now().Before(t.nextExact) {
		if exactMemory(members) > t.limits.Memory {
			return killedMemory
		}
		t.nextExact = time.Now().Add(exactEvery)
	}
	if t.limits.CPU > 0 {
		var reaped unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &reaped); err != nil {
			return killedCPU
		}
		used += time.Duration(reaped.Utime.Nano() + reaped.Stime.Nano())
		if used > t.limits.CPU {
			return killedCPU
		}
	}
	return ""
}

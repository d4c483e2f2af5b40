package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/tool/capture"
)

const (
	// maxJobs bounds the background jobs that run at the same time.
	maxJobs = 16
	// maxKept bounds the jobs whose end and output can still be looked at.
	maxKept = 64
	// maxWait is how long one look at a job may wait for it, in seconds.
	maxWait = 300
)

// errJobStopped is the cause with which a job is ended on request.
var errJobStopped = errors.New("the job was stopped")

// job is one command in the background.
type job struct {
	id           string
	number       int
	conversation phantom.ConversationID
	command      string
	shown        capture.Output
	cancel       context.CancelCauseFunc
	done         chan struct{} // closed once end is set
	end          string        // how it ended
	exposed      phantom.Taint // what it can bring in while it runs
	fetched      phantom.Taint // the same, once it has reached out
	reached      *atomic.Bool
	taint        phantom.Taint // what it has brought in; set with end
}

// jobs are the background commands of this process. They do not outlive it:
// after a restart a job's call is reported as ended.
type jobs struct {
	mu   sync.Mutex // guards what follows
	last int
	list map[string]*job
}

func newJobs() *jobs { return &jobs{list: map[string]*job{}} }

// add gives a new job its id, or refuses it.
func (j *jobs) add(conversation phantom.ConversationID, o order, cancel context.CancelCauseFunc) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	running := 0
	for _, other := range j.list {
		if !other.ended() {
			running++
		}
	}
	if running >= maxJobs {
		return nil, fmt.Errorf("%d background jobs run already: end one with bash_job first", running)
	}
	j.last++
	j.prune()
	created := &job{
		id: fmt.Sprintf("job-%d", j.last), number: j.last, conversation: conversation, command: o.line, exposed: o.exposed, fetched: o.fetched, reached: o.reached,
		cancel: cancel, done: make(chan struct{}),
	}
	j.list[created.id] = created
	return created, nil
}

// prune forgets the oldest ended jobs beyond what is kept.
func (j *jobs) prune() {
	oldest := slices.SortedFunc(maps.Values(j.list), func(a, b *job) int { return a.number - b.number })
	for _, old := range oldest {
		if len(j.list) < maxKept {
			return
		}
		if old.ended() {
			delete(j.list, old.id)
		}
	}
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// find returns a conversation's job.
func (j *jobs) find(conversation phantom.ConversationID, id string) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if found := j.list[id]; found != nil && found.conversation == conversation {
		return found, nil
	}
	var known []string
	for _, id := range slices.Sorted(maps.Keys(j.list)) {
		if j.list[id].conversation == conversation {
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("there is no job %q: this conversation has started none since phantom was started", id)
	}
	return nil, fmt.Errorf("there is no job %q; the jobs are: %s", id, strings.Join(known, ", "))
}

// stop ends the running jobs of a conversation, of all if it is "".
func (j *jobs) stop(conversation phantom.ConversationID) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, running := range j.list {
		if (conversation == "" || running.conversation == conversation) && !running.ended() {
			running.cancel(errJobStopped)
			n++
		}
	}
	return n
}

// running returns the conversations that have jobs which run.
func (j *jobs) running() []phantom.ConversationID {
	j.mu.Lock()
	defer j.mu.Unlock()
	var of []phantom.ConversationID
	for _, each := range j.list {
		if !each.ended() && !slices.Contains(of, each.conversation) {
			of = append(of, each.conversation)
		}
	}
	return of
}

// startJob runs a command in the background. It is ended when the turn that
// started it is stopped; a turn that ends by itself leaves it running.
func (c *Chain) startJob(turn context.Context, o order) output {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(turn))
	// Whoever looks at it later may not know any more what its command was made of.
	o.exposed = o.exposed.Add(phantom.ReadingFrom(turn).Taint...)
	created, err := c.jobs.add(phantom.TurnFrom(turn).Conversation, o, cancel)
	if err != nil {
		cancel(nil)
		return failure("%v", err)
	}
	forget := context.AfterFunc(turn, func() {
		if cause := context.Cause(turn); !errors.Is(cause, context.Canceled) {
			cancel(cause)
		}
	})
	pending := make(chan output, 1)
	c.later.Go(func() {
		defer cancel(nil)
		defer forget()
		limited, stop := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("timeout after %v", o.limit))
		defer stop()
		end, _ := c.carryOut(limited, o, &created.shown)
		if err := c.follow(ctx, o.call, &end); err != nil {
			c.Log.LogAttrs(ctx, slog.LevelError, "files of a background job could not be marked", slog.Any("error", err))
			end.taint = end.taint.Add("files that could not be marked")
		}
		if !end.failed {
			end.text = "[exit code 0]"
		}
		created.end, created.taint = end.text, end.taint
		close(created.done)
		pending <- end
	})
	return output{
		text:    fmt.Sprintf("%s started in the background: look at it with bash_job", created.id),
		pending: pending,
	}
}

type jobInput struct {
	Job         string `json:"job" jsonschema:"the job's id, such as job-1"`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"waits up to so many seconds for the job to end (at most 300)"`
	Stop        bool   `json:"stop,omitempty" jsonschema:"ends the job and everything it started"`
}

func (c *Chain) bashJob() (definition, error) {
	return define("bash_job", "Shows what a background job has printed since the last look and whether it still runs; waits for it or ends it if asked to.", false,
		func(ctx context.Context, in jobInput) (plan, error) {
			if in.WaitSeconds < 0 || in.WaitSeconds > maxWait {
				return plan{}, fmt.Errorf("wait_seconds is %d, it must be from 0 to %d", in.WaitSeconds, maxWait)
			}
			found, err := c.jobs.find(phantom.TurnFrom(ctx).Conversation, in.Job)
			if err != nil {
				return plan{}, err
			}
			return plan{
				verdict: phantom.Allowed(), target: found.id, summary: found.id + ": " + found.command,
				run: func(ctx context.Context, _ phantom.CallID) output { return c.look(ctx, found, in) },
			}, nil
		})
}

func (c *Chain) look(ctx context.Context, j *job, in jobInput) output {
	if in.Stop {
		j.cancel(errJobStopped)
		select {
		case <-j.done: // the sandbox returns once every process is gone
		case <-ctx.Done():
		}
	}
	timer := time.NewTimer(time.Duration(in.WaitSeconds) * time.Second)
	defer timer.Stop()
	select {
	case <-j.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	state, running := "[still running]", !j.ended()
	if !running {
		state = j.end
	}
	text := strings.TrimPrefix(strings.TrimSuffix(j.shown.Take(running), "\n")+"\n"+state, "\n")
	// What a running job has read is known at its end; until then it counts as
	// having read every marked file. This is asked for last, so that it tells of
	// more than the text holds, and never of less.
	marked, err := c.marks.All(ctx)
	if err != nil {
		return failure("%v", err)
	}
	taint := j.exposed.Add(marked.Near("/")...)
	if j.reached.Load() {
		taint = taint.Add(j.fetched...)
	}
	if j.ended() {
		taint = j.taint
	}
	return output{taint: taint, text: text}
}

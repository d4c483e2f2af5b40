// Package stage shows how the work of turns stands, on the channels that can
// show it.
//
// It owns no table: what it holds is a show, which a kill loses and the next
// picture makes good. It shows nothing of a turn while its reply is delivered,
// and nothing but its end after that. It refuses to hold anything up for longer
// than one picture takes.
package stage

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/phantom"
	"phantom/internal/tool"
)

const (
	// showPause is the least time between two pictures of a conversation.
	showPause = 500 * time.Millisecond
	// showAgain is how often the same picture is shown again.
	showAgain = 4 * time.Second
	// showTimeout bounds the showing of one.
	showTimeout = 15 * time.Second
	// hushPatience is how long a reply waits for the picture that is on its way
	// before that is broken off: replies of other conversations wait behind it.
	hushPatience = 3 * time.Second
	// maxLines bounds the lines of a picture; the newest stay.
	maxLines = 8
	// maxLine bounds one line, in bytes.
	maxLine = 200
)

// Presenter is a channel that shows how the work stands while it is done.
type Presenter interface {
	// Name is the channel part of its conversation ids.
	Name() string
	// Present shows one picture, the newest; one call at a time for a
	// conversation, and none of a turn while its reply is delivered. After the
	// reply only the end comes, without lines. The same picture comes again every
	// few seconds while work goes on, so that what fades away is renewed. An
	// error is logged and costs nothing but the picture.
	Present(ctx context.Context, s phantom.Scene) error
}

// House is the conversations whose work is shown. It is safe for concurrent use.
type House struct {
	channels map[string]Presenter
	log      *slog.Logger
	work     sync.WaitGroup

	mu   sync.Mutex // guards what follows
	all  map[phantom.ConversationID]*Stage
	life context.Context // nil: nothing is shown yet
}

// NewHouse returns a house for the channels that show something.
func NewHouse(channels []Presenter, log *slog.Logger) *House {
	h := &House{channels: map[string]Presenter{}, log: log, all: map[phantom.ConversationID]*Stage{}}
	for _, c := range channels {
		h.channels[c.Name()] = c
	}
	return h
}

// Shows reports whether a channel shows anything.
func (s *House) Shows(channel string) bool { return s.channels[channel] != nil }

// Begin shows from now on, until stop is called, which waits for every show;
// ends that are due are still shown.
func (s *House) Begin(ctx context.Context) (stop func()) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = life
	return func() {
		s.mu.Lock() // whoever begins a show now has begun it, or sees the end
		end()
		s.mu.Unlock()
		s.work.Wait()
	}
}

// Stage is one conversation's show. Its goroutine, which exists while there is
// something to show, is the only one that calls Present.
type Stage struct {
	house        *House
	life         context.Context
	channel      Presenter
	conversation phantom.ConversationID

	showing chan struct{} // full: a picture is shown

	mu      sync.Mutex // guards what follows
	breakUp func()     // ends the picture that is on its way; nil: there is none
	waiting []string   // sources of messages that wait for a turn, since the last picture
	scene   phantom.Scene
	heard   time.Time // the last activity of the turn
	ended   []phantom.Scene
	hushed  phantom.TurnID // its reply is delivered: only its end is shown
	changed chan struct{}  // full: there is something new
	alive   bool
}

// update changes what is to be shown of a conversation, and gets it shown. It
// does nothing where the channel shows nothing.
func (s *House) update(conversation phantom.ConversationID, change func(*Stage)) *Stage {
	channel := s.channels[conversation.Channel()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if channel == nil || s.life == nil || s.life.Err() != nil {
		return nil
	}
	st := s.all[conversation]
	if st == nil {
		st = &Stage{house: s, life: s.life, channel: channel, conversation: conversation, showing: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
		s.all[conversation] = st
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	change(st)
	st.poke()
	if !st.alive {
		st.alive = true
		s.work.Go(st.run)
	}
	return st
}

// Queued shows that a message waits.
func (s *House) Queued(conversation phantom.ConversationID, source string) {
	if source != "" {
		s.update(conversation, func(st *Stage) { st.waiting = append(st.waiting, source) })
	}
}

// Open shows a turn that answers the messages of sources from now on. It
// returns nil, which is of use like any other, where nothing is shown.
func (s *House) Open(ref phantom.TurnRef, sources []string) *Stage {
	return s.update(ref.Conversation, func(st *Stage) {
		st.scene = phantom.Scene{Conversation: ref.Conversation, Turn: ref.Turn, Sources: sources, Status: phantom.StatusThinking}
		st.waiting = slices.DeleteFunc(st.waiting, func(source string) bool { return slices.Contains(sources, source) })
		st.heard = time.Now()
	})
}

// Close ends the show of the running turn; its end is shown when its reply was
// delivered.
func (st *Stage) Close() {
	if st == nil {
		return
	}
	st.mu.Lock()
	st.scene = phantom.Scene{}
	st.mu.Unlock()
}

// Hush keeps a turn's pictures back while its reply is delivered, and waits for
// the one that is on its way, which is broken off if it takes long.
func (s *House) Hush(ref phantom.TurnRef) {
	s.mu.Lock()
	st := s.all[ref.Conversation]
	s.mu.Unlock()
	if st == nil {
		return // nothing is shown
	}
	st.mu.Lock()
	st.hushed = ref.Turn
	st.mu.Unlock()
	timer := time.NewTimer(hushPatience)
	defer timer.Stop()
	select {
	case st.showing <- struct{}{}:
	case <-timer.C:
		st.stopPicture()
		st.showing <- struct{}{}
	}
	<-st.showing // whoever shows next sees that it is hushed
}

// End shows how a turn ended whose reply is delivered.
func (s *House) End(ref phantom.TurnRef, sources []string, state phantom.TurnState) {
	status := phantom.StatusFailed
	switch state {
	case phantom.TurnDone:
		status = phantom.StatusDone
	case phantom.TurnStopped:
		status = phantom.StatusStopped
	case phantom.TurnRunning, phantom.TurnWaiting, phantom.TurnFailed:
	}
	s.update(ref.Conversation, func(st *Stage) {
		st.ended = append(st.ended, phantom.Scene{Conversation: ref.Conversation, Turn: ref.Turn, Sources: sources, Status: status})
	})
}

// Dropped shows that messages that waited are not worked on.
func (s *House) Dropped(conversation phantom.ConversationID, sources []string) {
	if len(sources) == 0 {
		return
	}
	s.update(conversation, func(st *Stage) {
		st.ended = append(st.ended, phantom.Scene{Conversation: conversation, Sources: sources, Status: phantom.StatusStopped})
	})
}

// poke gets the stage to show what is new.
func (st *Stage) poke() {
	select {
	case st.changed <- struct{}{}:
	default: // it will anyway
	}
}

// run shows pictures until there is nothing more to show.
func (st *Stage) run() {
	again := time.NewTicker(showAgain)
	defer again.Stop()
	var last phantom.Scene
	for {
		select {
		case <-st.changed:
		case <-again.C:
			last = phantom.Scene{} // so that it is shown again
		case <-st.life.Done():
		}
		for _, scene := range st.due() {
			if !same(scene, last) {
				st.show(scene)
			}
			last = scene
		}
		if st.rest() {
			return
		}
		pause := time.NewTimer(showPause)
		select {
		case <-pause.C:
		case <-st.life.Done():
			pause.Stop()
		}
	}
}

// due takes the pictures to show now.
func (st *Stage) due() []phantom.Scene {
	st.mu.Lock()
	defer st.mu.Unlock()
	var due []phantom.Scene
	if len(st.waiting) > 0 { // first: a turn that ended meanwhile may have answered them
		due = append(due, phantom.Scene{Conversation: st.conversation, Sources: st.waiting, Status: phantom.StatusQueued})
		st.waiting = nil
	}
	due = append(due, st.ended...)
	st.ended = nil
	if now := st.scene; now.Turn != "" && now.Turn != st.hushed {
		now.Lines = slices.Clone(now.Lines)
		if idle := time.Since(st.heard); now.Status != phantom.StatusAsking && idle >= phantom.StuckAfter {
			now.Status = phantom.StatusStuck
		} else if now.Status != phantom.StatusAsking && idle >= phantom.SlowAfter {
			now.Status = phantom.StatusSlow
		}
		due = append(due, now)
	}
	return due
}

// rest ends the stage's goroutine if nothing is left to show, or everything ends.
func (st *Stage) rest() bool {
	st.house.mu.Lock()
	defer st.house.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	idle := st.scene.Turn == "" && len(st.waiting) == 0 && len(st.ended) == 0
	if !idle && st.life.Err() == nil || len(st.ended) > 0 {
		return false
	}
	st.alive = false
	if idle {
		delete(st.house.all, st.conversation)
	}
	return true
}

// show shows one picture, unless the reply is being delivered by now.
func (st *Stage) show(scene phantom.Scene) {
	st.showing <- struct{}{}
	defer func() { <-st.showing }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(st.life), showTimeout)
	defer cancel()
	st.mu.Lock()
	hushed := scene.Turn != "" && scene.Turn == st.hushed && !scene.Status.End()
	if !hushed {
		st.breakUp = cancel
	}
	st.mu.Unlock()
	if hushed {
		return
	}
	defer st.shown()
	if err := present(ctx, st.channel, scene); err != nil {
		st.house.log.LogAttrs(ctx, slog.LevelWarn, "how work stands could not be shown", slog.String("conversation", string(st.conversation)), slog.Any("error", err))
	}
}

// shown notes that no picture is on its way.
func (st *Stage) shown() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.breakUp = nil
}

// stopPicture breaks off the picture that is on its way.
func (st *Stage) stopPicture() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.breakUp != nil {
		st.breakUp()
	}
}

// present hands one picture to its channel. A channel that panics has failed.
func present(ctx context.Context, c Presenter, scene phantom.Scene) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("channel %s panicked: %v\n%s", c.Name(), p, debug.Stack())
		}
	}()
	return c.Present(ctx, scene)
}

func same(a, b phantom.Scene) bool {
	return a.Turn == b.Turn && a.Status == b.Status && slices.Equal(a.Sources, b.Sources) && slices.Equal(a.Lines, b.Lines)
}

// See follows what a turn does.
func (st *Stage) See(e agent.Event) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.heard = time.Now()
	before := st.scene.Status
	switch {
	case st.scene.Turn == "":
		return
	case e.Tool == nil:
		if before == phantom.StatusThinking {
			return
		}
		st.scene.Status = phantom.StatusThinking
	case e.Tool.Kind == tool.Asked:
		st.scene.Status = phantom.StatusAsking
	case e.Tool.Kind == tool.Started:
		st.scene.Status = statusOf(e.Tool.Tool)
		st.scene.Lines = append(st.scene.Lines, lineOf(*e.Tool))
		st.scene.Lines = slices.Clone(st.scene.Lines[max(0, len(st.scene.Lines)-maxLines):])
	case e.Tool.Kind == tool.Decided, e.Tool.Kind == tool.Finished:
		st.scene.Status = phantom.StatusThinking
	default:
		return
	}
	st.poke()
}

// statusOf is how work looks while a tool runs.
func statusOf(name string) phantom.Status {
	switch name {
	case "bash", "bash_job":
		return phantom.StatusCode
	case "web_fetch":
		return phantom.StatusWeb
	}
	return phantom.StatusTool
}

// verbs say what a tool does, where its argument is a file or an address.
var verbs = map[string]string{
	"read_file": "reads", "write_file": "writes", "edit_file": "edits", "list_files": "looks into", "search_files": "searches", "web_fetch": "fetches",
}

// lineOf says what a call does: to anybody the tool with its file or host, to
// the owner alone the whole line.
func lineOf(e tool.Event) phantom.Line {
	verb := verbs[e.Tool]
	line := phantom.Line{Text: "uses " + e.Tool, Detail: e.Tool + ": " + e.Summary}
	switch {
	case e.Tool == "bash":
		line = phantom.Line{Text: "runs a command", Detail: "$ " + e.Summary}
	case e.Tool == "web_fetch":
		line.Text = verb + " a page"
		if u, err := url.Parse(e.Summary); err == nil && u.Host != "" {
			line.Text = verb + " " + u.Hostname()
		}
	case verb != "":
		line.Text = verb + " " + filepath.Base(e.Summary)
	}
	return phantom.Line{Text: oneLine(line.Text), Detail: oneLine(line.Detail)}
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return s
}

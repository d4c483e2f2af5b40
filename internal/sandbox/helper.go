package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"phantom/internal/sandbox/track"
)

// Exit codes of the helper itself; the program's own is in the report.
const (
	helperOK     = 0
	helperFailed = 70
	helperUsage  = 64
)

// Helper is the main function of the hidden command that a call starts. It
// returns the helper's exit code.
func Helper(args []string) int {
	if len(args) == 0 {
		return helperUsage
	}
	switch args[0] {
	case stageProbe:
		return probe(args[1:])
	case stageRun:
		return helperRun()
	case stageClone:
		return helperClone(args[1:])
	default:
		return helperUsage
	}
}

// helperRun obeys one order and reports how it went.
func helperRun() int {
	return new(helper).run()
}

func (h *helper) run() int {
	h.line = os.NewFile(fdLine, "line")
	rep := report{}
	if err := h.obey(&rep); err != nil {
		if errors.Is(err, io.EOF) {
			return helperOK // no order came, and Phantom has gone or wants none
		}
		rep = report{Error: err.Error()}
	}
	if err := json.NewEncoder(h.line).Encode(rep); err != nil {
		return helperFailed // nobody is left to hear it
	}
	return helperOK
}

// helperClone starts the real helper in namespaces of its own. An ordinary
// user's Phantom cannot do that itself: it is closed to other processes, and
// so is its child's id map.
func helperClone(args []string) int {
	if len(args) != 1 {
		return helperUsage
	}
	// The death signal belongs to the thread that starts the child.
	runtime.LockOSThread()
	// Our own arguments end in the stage and its one argument.
	again := append(slices.Clone(os.Args[1:len(os.Args)-2]), stageRun)
	cmd := exec.Command("/proc/self/exe", again...) //nolint:noctx // it ends with its order pipe
	cmd.Env = []string{"LANG=C"}
	cmd.ExtraFiles = []*os.File{os.NewFile(fdLine, "line")}
	uid, gid := os.Getuid(), os.Getgid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true,
		Pdeathsig:   unix.SIGKILL,
		Cloneflags:  namespaces(args[0] == online) | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_KILL, unix.CAP_NET_ADMIN},
	}
	if err := cmd.Start(); err != nil {
		rep := report{Error: fmt.Sprintf("make namespaces: %v", err)}
		_ = json.NewEncoder(cmd.ExtraFiles[0]).Encode(rep) // nobody else to tell
		return helperFailed
	}
	if err := cmd.Wait(); err != nil {
		return helperFailed
	}
	return helperOK
}

// helper is the process between Phantom and the program.
type helper struct {
	line  *os.File
	order order
	files []int // the program's descriptors, from 0

	lacks   control        // left out in a test
	at      int            // the directory to start in, or -1
	tracker *track.Tracker // nil if the order does not ask for one
	held    atomic.Int64   // the program that stands still, or 0
}

func (h *helper) obey(rep *report) error {
	// The program must not reach into us, nor inherit what we were given.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the helper to others: %w", err)
	}
	err := h.apply(descriptors, func() error { return unix.CloseRange(fdLine, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) })
	if err != nil {
		return fmt.Errorf("keep descriptors from the program: %w", err)
	}
	if err := h.receive(); err != nil {
		return err
	}
	var notes *notes // at level full the tree cannot outlive us
	if h.order.Level < Full {
		if notes, err = openNotes(string(h.order.Record)); err != nil {
			return err
		}
	}
	t := &tree{limits: h.order.Limits, pidns: os.Getpid() == 1, notes: notes, lacks: h.lacks}
	if err := h.prepare(); err != nil {
		return err
	}
	hurry()
	main, err := h.launch()
	if err != nil {
		return err
	}
	*rep = t.watch(main, h.line)
	if h.tracker != nil {
		var seen []Touch
		seen, rep.Dropped = h.tracker.Result()
		for _, s := range seen {
			rep.Touched = append(rep.Touched, touched{s.Op, raw(s.Path), s.Refused})
		}
	}
	return nil
}

// receive reads the order and the files that come with its first bytes.
func (h *helper) receive() error {
	first, rights := make([]byte, 1<<16), make([]byte, unix.CmsgSpace(maxFiles*4))
	n, rn, flags, _, err := unix.Recvmsg(fdLine, first, rights, unix.MSG_CMSG_CLOEXEC)
	for err == unix.EINTR {
		n, rn, flags, _, err = unix.Recvmsg(fdLine, first, rights, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return fmt.Errorf("receive the order: %w", err)
	}
	if n == 0 {
		return io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rn])
	if err != nil {
		return fmt.Errorf("receive the program's files: %w", err)
	}
	if len(messages) != 1 || flags&unix.MSG_CTRUNC != 0 {
		return errors.New("receive the program's files: they did not all arrive")
	}
	if h.files, err = unix.ParseUnixRights(&messages[0]); err != nil {
		return fmt.Errorf("receive the program's files: %w", err)
	}
	line, err := bufio.NewReader(io.MultiReader(bytes.NewReader(first[:n]), h.line)).ReadBytes('\n')
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, &h.order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	h.at = -1
	if last := len(h.files) - 1; h.order.Pinned {
		h.at, h.files = h.files[last], h.files[:last]
	}
	return nil
}

// maxFiles is the standard three, the extra one and the directory.
const maxFiles = 5

// prepare does what concerns the whole helper.
func (h *helper) prepare() error {
	unix.Umask(0o077)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of the tree: %w", err)
	}
	limit := func(what int, n uint64) error {
		if h.lacks == limits {
			return nil
		}
		return unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n})
	}
	if h.order.UID != 0 || h.order.Level == Full && os.Geteuid() != 0 {
		// The user is the tree's alone, so the kernel can stop a fork bomb
		// before we have counted it. It counts threads, of which we allow many.
		if err := limit(unix.RLIMIT_NPROC, uint64(h.order.Limits.Processes)*threadsEach); err != nil {
			return fmt.Errorf("set limits: %w", err)
		}
	}
	if err := errors.Join(limit(unix.RLIMIT_CORE, 0), limit(unix.RLIMIT_FSIZE, uint64(h.order.Limits.FileSize))); err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	if h.order.Level == Full {
		if err := detach(); err != nil {
			return err
		}
		view := func() error { return h.order.Mounts.apply(h.order.Profile, h.order.Limits) }
		if err := h.apply(views, view); err != nil {
			return err
		}
		if h.order.Loopback && loopback() != nil { // where it may not be had, there are no sockets
			h.order.Loopback = false
		}
	}
	if h.order.UID != 0 {
		// A pipe belongs to whoever made it, and its end could not be opened
		// again under /dev/stdout by another user.
		for _, fd := range h.files {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
				if err := unix.Fchown(fd, h.order.UID, h.order.UID); err != nil {
					return fmt.Errorf("hand over the standard files: %w", err)
				}
			}
		}
	}
	return nil
}

// threadsEach is how many threads a process has at most, on average.
const threadsEach = 16

// hurry lets us go before the tree, where the machine lets us: a count that
// comes late finds more to count. The program starts with the usual priority.
func hurry() {
	threads, err := numbers("/proc/self/task")
	if err != nil {
		return
	}
	for _, thread := range threads {
		_ = unix.Setpriority(unix.PRIO_PROCESS, thread, first) // an ordinary user may not
	}
}

const first, usual = -20, 0

// launch starts the program from a thread of its own that wears the
// restrictions. A program could signal the helper through a thread of its own
// domain, so the program stands still, where the tracker can hold it, until
// that thread is gone.
func (h *helper) launch() (int, error) {
	path, err := lookPath(string(h.order.Argv[0]), h.order.Env, string(h.order.Dir))
	if err != nil {
		return 0, err
	}
	type result struct {
		pid, thread int
		err         error
	}
	done, leave := make(chan result), make(chan struct{})
	var start func()
	start = func() {
		runtime.LockOSThread() // never unlocked
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end; hold it and take another.
			go start()
			select {}
		}
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), usual) // back is always allowed
		dir, err := h.enter()
		if err == nil {
			err = h.confine()
		}
		if err != nil {
			done <- result{err: err}
			return
		}
		if err := h.apply(tracking, func() error { return h.track(path) }); err != nil {
			done <- result{err: err}
			return
		}
		files := make([]uintptr, len(h.files))
		for i, fd := range h.files {
			files[i] = uintptr(fd)
		}
		pid, err := syscall.ForkExec(path, plain(h.order.Argv), &syscall.ProcAttr{
			Dir: dir, Env: plain(h.order.Env), Files: files,
			Sys: &syscall.SysProcAttr{Setsid: true},
		})
		if err != nil {
			err = fmt.Errorf("start %s in %s: %w", path, string(h.order.Dir), err)
		}
		done <- result{pid, unix.Gettid(), err}
		<-leave // with its goroutine
	}
	resume := h.stayAwake()
	defer resume()
	go start()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case r := <-done:
			if r.err == nil {
				_ = h.apply(threads, func() error { close(leave); gone(r.thread, look); return nil }) // it has none
				h.proceed()
			}
			return r.pid, r.err
		case <-look.C:
			if pid := int(h.held.Load()); pid > 0 && unstarted(pid) { // there is no program, and its thread waits to hear that
				h.proceed()
			}
		}
	}
}

// lookEvery is how often the end of the starting thread is looked for.
const lookEvery = 100 * time.Microsecond

// gone waits until no signal reaches us through a thread.
func gone(thread int, look *time.Ticker) {
	for unix.Tgkill(os.Getpid(), thread, 0) == nil {
		<-look.C
	}
}

// hold stops the program before its first instruction: the signal waits until
// the call that starts it has done so.
func (h *helper) hold(pid int) {
	if unix.Kill(pid, unix.SIGSTOP) == nil {
		h.held.Store(int64(pid))
	}
}

// proceed lets the program go on that is held, if one is. Nobody has waited
// for it yet, so its number is its own.
func (h *helper) proceed() {
	if pid := int(h.held.Swap(0)); pid > 0 {
		_ = unix.Kill(pid, unix.SIGCONT) // it may have died
	}
}

// unstarted reports whether a process stands still that has not become the
// program: it could not be started.
func unstarted(pid int) bool {
	p, ok := new(table).lookUp(pid)
	return ok && p.state == 'T' && p.forked
}

// enter makes the directory that was judged the working directory of the
// calling thread alone. The name is followed once more, because at level full
// the descriptor belongs to mounts that the program must not see, but it must
// still lead to the same directory. Without a descriptor the name has to do.
func (h *helper) enter() (rest string, err error) {
	dir := string(h.order.Dir)
	if h.at < 0 {
		return dir, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("enter %s: %w", dir, err)
	}
	defer unix.Close(fd)
	var judged, now unix.Stat_t
	if err := errors.Join(unix.Fstat(h.at, &judged), unix.Fstat(fd, &now)); err != nil {
		return "", fmt.Errorf("enter %s: %w", dir, err)
	}
	if judged.Dev != now.Dev || judged.Ino != now.Ino {
		return "", fmt.Errorf("enter %s: it is another directory than the one that was judged", dir)
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return "", fmt.Errorf("enter %s: %w", dir, err)
	}
	if err := unix.Fchdir(fd); err != nil {
		return "", fmt.Errorf("enter %s: %w", dir, err)
	}
	return "", nil
}

// stayAwake keeps the runtime from waiting for the thread that starts the
// program: it cannot be stopped until the program runs, and the program does
// not run until the tracker has seen it, which needs a processor of its own.
func (h *helper) stayAwake() (resume func()) {
	if !h.order.Track {
		return func() {}
	}
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))) // setting it also ends its own updates
	old := debug.SetGCPercent(-1)
	return func() { debug.SetGCPercent(old) }
}

// track lets the tracker watch the calling thread and all that it starts.
func (h *helper) track(program string) error {
	if !h.order.Track {
		return nil
	}
	if !filepath.IsAbs(program) {
		program = filepath.Join(string(h.order.Dir), program)
	}
	t, err := track.Install(program, h.order.allows, h.hold, h.tell)
	if err != nil {
		return err
	}
	h.tracker = t
	listening := make(chan struct{})
	go t.Listen(listening)
	<-listening
	return nil
}

// tell lets Phantom know of an address while the program still waits for its
// connection. If nobody hears it, the tree is about to end.
func (h *helper) tell(address string) {
	_ = json.NewEncoder(h.line).Encode(report{Reached: address}) // one write, and the report comes after the tree
}

// allows reports whether Landlock was told to let an operation through.
func (o order) allows(op track.Op, path string) bool {
	need := map[track.Op]uint64{
		OpRead: landlock.AccessFSReadFile, OpExec: landlock.AccessFSExecute, OpWrite: landlock.AccessFSWriteFile,
		OpCreate: landlock.AccessFSMakeReg, OpDelete: landlock.AccessFSRemoveFile,
	}[op]
	return slices.ContainsFunc(o.Grants, func(g grant) bool { return g.Rights&need != 0 && within(path, string(g.Path)) })
}

func plain(in []raw) []string {
	out := make([]string, len(in))
	for i, r := range in {
		out[i] = string(r)
	}
	return out
}

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// process is one line of the kernel's process table.
type process struct {
	pid, parent int
	group       int
	state       byte
	forked      bool          // it has not begun a program of its own
	start       uint64        // clock ticks since boot: with the pid it names a process for good
	cpu         time.Duration // its own and that of the children it has reaped
	resident    int64         // bytes
}

func (p process) dead() bool { return p.state == 'Z' || p.state == 'X' }

// The kernel reports times to programs in this unit on every architecture.
const tick = time.Second / 100

// forkedOnly is the kernel's PF_FORKNOEXEC.
const forkedOnly = 0x40

// Fields of /proc/<pid>/stat, counted from the one after the name.
const (
	statState   = 0
	statParent  = 1
	statGroup   = 2
	statFlags   = 6
	statCPU     = 11 // utime, stime, cutime, cstime
	statStart   = 19
	statRSS     = 21
	statAtLeast = 22
)

var errStat = errors.New("not a line of the process table")

// parseStat reads /proc/<pid>/stat. The name in it was chosen by the program
// and may hold blanks and brackets, so the fields count from the last bracket.
func parseStat(b []byte) (process, error) {
	name, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if name < 0 || end < name {
		return process{}, errStat
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:name])))
	if err != nil {
		return process{}, errStat
	}
	f := bytes.Fields(b[end+1:])
	if len(f) < statAtLeast || len(f[statState]) != 1 {
		return process{}, errStat
	}
	p := process{pid: pid, state: f[statState][0]}
	if p.parent, err = strconv.Atoi(string(f[statParent])); err != nil {
		return process{}, errStat
	}
	if p.group, err = strconv.Atoi(string(f[statGroup])); err != nil {
		return process{}, errStat
	}
	flags, err := strconv.ParseUint(string(f[statFlags]), 10, 64)
	if err != nil {
		return process{}, errStat
	}
	p.forked = flags&forkedOnly != 0
	for _, field := range f[statCPU : statCPU+4] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return process{}, errStat
		}
		p.cpu += time.Duration(n) * tick
	}
	if p.start, err = strconv.ParseUint(string(f[statStart]), 10, 64); err != nil {
		return process{}, errStat
	}
	pages, err := strconv.ParseInt(string(f[statRSS]), 10, 64)
	if err != nil {
		return process{}, errStat
	}
	p.resident = pages * int64(os.Getpagesize())
	return p, nil
}

// table reads the process table with plain system calls and one buffer: it is
// read often, by a helper that should cost little. It is not for goroutines to
// share.
type table struct{ buf [4096]byte }

// read returns the start of a file of the kernel's, valid until the next read.
func (t *table) read(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, t.buf[:])
	if err != nil {
		return nil, err
	}
	return t.buf[:n], nil
}

// lookUp returns the process pid; ok is false when there is none.
func (t *table) lookUp(pid int) (p process, ok bool) {
	b, err := t.read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	p, err = parseStat(b)
	return p, err == nil
}

// numbers returns the entries of a directory that are numbers.
func numbers(dir string) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			out = append(out, n)
		}
	}
	return out, nil
}

// childrenOf asks the kernel for the children of one process; of very many it
// returns the first few hundred. Not every kernel can say.
func (t *table) childrenOf(pid int) ([]int, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, err := numbers(dir)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, thread := range threads {
		b, err := t.read(dir + "/" + strconv.Itoa(thread) + "/children")
		if err != nil {
			return nil, err
		}
		if len(b) == len(t.buf) {
			b = b[:bytes.LastIndexByte(b, ' ')+1] // the last number may be cut
		}
		for f := range bytes.FieldsSeq(b) {
			child, err := strconv.Atoi(string(f))
			if err != nil {
				return nil, errStat
			}
			out = append(out, child)
		}
	}
	return out, nil
}

// walk visits the descendants of root, nearest first, those among them that
// are dead but not yet reaped. It goes on beneath a process only if visit says
// so, and asks for its children only then: a process that visit has stopped has
// no more of them. A tree that changes meanwhile is seen in part.
func (t *table) walk(root int, visit func(process) bool) error {
	children, err := t.childrenOf(root)
	if err != nil {
		return t.scan(root, visit)
	}
	for queue := children; len(queue) > 0; queue = queue[1:] {
		p, ok := t.lookUp(queue[0])
		if !ok || !visit(p) {
			continue
		}
		if children, err := t.childrenOf(p.pid); err == nil { // else it has just ended
			queue = append(queue, children...)
		}
	}
	return nil
}

// scan is walk for kernels that do not know a process's children: it reads the
// whole table first.
func (t *table) scan(root int, visit func(process) bool) error {
	pids, err := numbers("/proc")
	if err != nil {
		return fmt.Errorf("read the process table: %w", err)
	}
	children := make(map[int][]process, len(pids))
	for _, pid := range pids {
		if p, ok := t.lookUp(pid); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		if visit(queue[0]) {
			queue = append(queue, children[queue[0].pid]...)
		}
	}
	return nil
}

// end kills the living descendants of root that may is true for, and returns
// how many it found. A process group dies at one stroke, with what is being
// forked in it; who has left its group is stopped on the way down, so that no
// tree grows faster than it is killed. Groups never reach beyond the tree: each
// tree begins with a session of its own.
func (t *table) end(root int, may func(process) bool) (int, error) {
	var found []process
	groups := map[int]bool{0: true, 1: true, unix.Getpgrp(): true, root: true}
	err := t.walk(root, func(p process) bool {
		if !may(p) {
			return false
		}
		if !groups[p.group] {
			groups[p.group] = true
			kill(-p.group)
		}
		if !p.dead() {
			_ = unix.Kill(p.pid, unix.SIGSTOP) // it may be gone
			found = append(found, p)
		}
		return true
	})
	for _, p := range found {
		kill(p.pid)
	}
	return len(found), err
}

// exactMemory is the tree's memory with shared pages counted once. It costs
// more than the plain sum and is asked only when that is over the limit.
func exactMemory(tree []process) int64 {
	var total int64
	for _, p := range tree {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/smaps_rollup")
		if err != nil {
			total += p.resident // unreadable counts in full
			continue
		}
		total += pss(b, p.resident)
	}
	return total
}

func pss(rollup []byte, otherwise int64) int64 {
	for line := range bytes.Lines(rollup) {
		rest, ok := bytes.CutPrefix(line, []byte("Pss:"))
		if !ok {
			continue
		}
		if f := bytes.Fields(rest); len(f) == 2 {
			if kb, err := strconv.ParseInt(string(f[0]), 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return otherwise
}

// kill ends a process. One that is gone already is what was wanted.
func kill(pid int) { _ = unix.Kill(pid, unix.SIGKILL) }

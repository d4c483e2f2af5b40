package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// process is one line of the kernel's process table.
type process struct {
	pid, parent int
	state       byte
	start       uint64        // clock ticks since boot: with the pid it names a process for good
	cpu         time.Duration // its own and that of the children it has reaped
	resident    int64         // bytes
}

func (p process) dead() bool { return p.state == 'Z' || p.state == 'X' }

// The kernel reports times to programs in this unit on every architecture.
const tick = time.Second / 100

// Fields of /proc/<pid>/stat, counted from the one after the name.
const (
	statState   = 0
	statParent  = 1
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

// everybody returns every process that /proc shows. One that ends meanwhile is
// left out.
func (t *table) everybody() ([]process, error) {
	pids, err := numbers("/proc")
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	all := make([]process, 0, len(pids))
	for _, pid := range pids {
		if p, ok := t.lookUp(pid); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// beneath returns the descendants of root, nearest first, those that are dead
// but not yet reaped among them.
func (t *table) beneath(root int) ([]process, error) {
	all, err := t.everybody()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]process, len(all))
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	var out []process
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		for _, p := range children[queue[0]] {
			queue = append(queue, p.pid)
			out = append(out, p)
		}
	}
	return out, nil
}

// childrenOf asks the kernel for the children of one process. Not every kernel
// can say.
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
		if len(b) == len(t.buf) { // cut off: too many for this way
			return nil, unix.EOVERFLOW
		}
		for _, f := range bytes.Fields(b) {
			child, err := strconv.Atoi(string(f))
			if err != nil {
				return nil, errStat
			}
			out = append(out, child)
		}
	}
	return out, nil
}

// near is beneath for a small tree on a busy machine: it asks each member for
// its children. Where that fails, as it does when one ends meanwhile, the whole
// table is read.
func (t *table) near(root int) ([]process, error) {
	var out []process
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		children, err := t.childrenOf(queue[0])
		if err != nil {
			return t.beneath(root)
		}
		for _, pid := range children {
			if p, ok := t.lookUp(pid); ok {
				out = append(out, p)
				if !p.dead() {
					queue = append(queue, pid)
				}
			}
		}
	}
	return out, nil
}

// living drops those that only wait to be reaped.
func living(tree []process) []process {
	return slices.DeleteFunc(tree, process.dead)
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

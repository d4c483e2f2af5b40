package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A record is a file whose name says it all, so that it is whole as soon as it
// exists: <boot>-<pid>-<start>. It exists from before a helper has its order
// until its tree is dead. While the tree runs the helper writes into it who is
// in the tree, for the case that both Phantom and the helper are killed.

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(b)), "-", ""), nil
}

func recordName(boot string, pid int) (string, error) {
	var t table
	p, ok := t.lookUp(pid)
	if !ok {
		return "", fmt.Errorf("process %d vanished before it was on record", pid)
	}
	return fmt.Sprintf("%s-%d-%d", boot, p.pid, p.start), nil
}

// parseRecord is the inverse of recordName.
func parseRecord(name string) (boot string, pid int, start uint64, err error) {
	part := strings.Split(name, "-")
	if len(part) != 3 || part[0] == "" {
		return "", 0, 0, fmt.Errorf("record %q: not a process record", name)
	}
	if pid, err = strconv.Atoi(part[1]); err != nil || pid <= 1 {
		return "", 0, 0, fmt.Errorf("record %q: bad pid", name)
	}
	if start, err = strconv.ParseUint(part[2], 10, 64); err != nil {
		return "", 0, 0, fmt.Errorf("record %q: bad start time", name)
	}
	return part[0], pid, start, nil
}

// enter puts a helper on record. The kernel keeps the file through a kill of
// Phantom, and no process survives a loss of power, so nothing is synced.
func (s *Sandbox) enter(name string) error {
	f, err := os.OpenFile(s.path(name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("record the process: %w", err)
	}
	return f.Close()
}

func (s *Sandbox) path(record string) string { return filepath.Join(s.config.Record, record) }

func (s *Sandbox) leave(name string) error {
	s.mu.Lock()
	delete(s.live, name)
	s.mu.Unlock()
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the process off the record: %w", err)
	}
	return nil
}

// Recover ends every tree that a killed predecessor left on record, waits for
// their death and returns how many processes it found alive. It belongs before
// the first turn.
func (s *Sandbox) Recover(ctx context.Context) (int, error) {
	entries, err := os.ReadDir(s.config.Record)
	if err != nil {
		return 0, fmt.Errorf("read the process records: %w", err)
	}
	found := map[int]bool{}
	for _, e := range entries {
		s.mu.Lock()
		ours := s.live[e.Name()]
		s.mu.Unlock()
		if ours {
			continue
		}
		was, pid, start, err := parseRecord(e.Name())
		if err != nil {
			return len(found), fmt.Errorf("recover: %w; look at %s and remove the file", err, s.config.Record)
		}
		if was == s.boot {
			if err := s.endTree(ctx, e.Name(), pid, start, found); err != nil {
				return len(found), fmt.Errorf("recover: %w", err)
			}
		}
		if err := s.leave(e.Name()); err != nil {
			return len(found), fmt.Errorf("recover: %w", err)
		}
	}
	return len(found), nil
}

// endTree kills the helper's descendants, those it noted, and then the helper,
// in this order: as long as it lives, whoever loses a parent comes to it.
func (s *Sandbox) endTree(ctx context.Context, record string, pid int, start uint64, found map[int]bool) error {
	var t table
	noted, err := readNotes(s.path(record))
	if err != nil {
		return err
	}
	count := func(p process) bool {
		found[p.pid] = found[p.pid] || !p.dead()
		return true
	}
	for {
		alive := 0
		end := func(root process, withRoot bool) error {
			n, err := t.end(root.pid, count)
			if withRoot || n == 0 {
				count(root)
				kill(root.pid)
				n++
			}
			alive += n
			return err
		}
		for _, n := range noted {
			if p, ok := t.lookUp(n.pid); ok && p.start == n.start && !p.dead() {
				if err := end(p, true); err != nil {
					return err
				}
			}
		}
		if helper, ok := t.lookUp(pid); ok && helper.start == start && !helper.dead() {
			if err := end(helper, false); err != nil {
				return err
			}
		}
		if alive == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes of the previous run are still alive: %w", alive, context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
}

// sweep ends what a killed helper watched over. Those processes became our
// children; a child of ours that is no helper can be nothing else.
func (s *Sandbox) sweep(record string) {
	_, _, start, err := parseRecord(record)
	if err != nil {
		return // the helper never had an order
	}
	s.spawning.Lock() // a helper that is not yet on record must not look lost
	defer s.spawning.Unlock()
	for range sweepRounds {
		lost, err := s.sweepOnce(start)
		if err != nil || lost == 0 { // without a process table Recover has to do it
			return
		}
		<-time.After(time.Millisecond)
	}
}

func (s *Sandbox) sweepOnce(start uint64) (lost int, err error) {
	var t table
	self, helpers, dead := os.Getpid(), s.helpers(), 0
	lost, err = t.end(self, func(p process) bool {
		if helpers[p.pid] || p.parent == self && p.start < start {
			return false
		}
		if p.parent == self && p.dead() {
			dead++
			var status unix.WaitStatus
			_, _ = unix.Wait4(p.pid, &status, unix.WNOHANG, nil) // the next round tries again
		}
		return true
	})
	return lost + dead, err
}

// sweepRounds bounds a fight with a fork bomb that lost its helper.
const sweepRounds = 5000

func (s *Sandbox) helpers() map[int]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int]bool{}
	for name := range s.live {
		if _, pid, _, err := parseRecord(name); err == nil {
			out[pid] = true
		}
	}
	return out
}

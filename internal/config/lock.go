package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Lock is the right to be the only process that uses a home.
type Lock struct {
	file *os.File
}

// HeldError says that another process holds the home.
type HeldError struct {
	Home string
	PID  int // 0 if the holder has not written it yet
}

// Error says who holds the home and what to do.
func (e *HeldError) Error() string {
	pid := "unknown"
	if e.PID > 0 {
		pid = strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("another phantom (pid %s) holds the home %s: stop it with `phantom shutdown` or choose --home", pid, e.Home)
}

// orphanWait is how long Lock waits for what a killed holder was just
// starting: until such a process executes its program, it has the lock too.
const orphanWait = 2 * time.Second

// Lock takes the home, or returns a *HeldError. The system releases it when
// the process ends, however it ends, so a stale lock cannot exist.
func (h Home) Lock() (*Lock, error) {
	if h.dir == "" {
		return nil, errNoHome
	}
	if err := os.MkdirAll(h.Data(), 0o700); err != nil {
		return nil, fmt.Errorf("lock the home: %w (the user that runs phantom must be able to write %s)", err, h.dir)
	}
	f, err := os.OpenFile(filepath.Join(h.Data(), "lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the home: %w (the user that runs phantom must be able to write %s)", err, h.Data())
	}
	if err := flock(f); err != nil {
		var refusal error = fmt.Errorf("lock %s: %w", f.Name(), err)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			refusal = &HeldError{Home: h.dir, PID: readPID(f)}
		}
		return nil, errors.Join(refusal, f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return &Lock{file: f}, nil
}

// flock locks the file. If the process that wrote its pid is gone, the lock is
// about to go, too.
func flock(f *os.File) error {
	for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) > orphanWait || !gone(readPID(f)) {
			return err
		}
	}
}

// gone reports whether there is no process of that number, as far as /proc
// tells.
func gone(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return pid > 0 && errors.Is(err, fs.ErrNotExist)
}

// readPID returns the pid that the holder wrote, or 0.
func readPID(f *os.File) int {
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0
	}
	return pid
}

// Close gives the home back. The file stays: removing it would let two
// processes lock two files of one name.
func (l *Lock) Close() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

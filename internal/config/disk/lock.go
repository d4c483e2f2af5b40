package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// lockBudget is how long Lock waits for another holder.
	lockBudget = 10 * time.Second
	// lockEvery is how often it looks.
	lockEvery = 20 * time.Millisecond
)

// Lock takes the right to change a file, among phantom's own commands. The
// system gives it back when the process ends, however it ends. The lock file
// stays: removing it would let two processes lock two files of one name.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w (the user that runs phantom must be able to write there)", path, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockBudget, fmt.Errorf("%s is being changed by another phantom command: try again when it is done", path))
	defer cancel()
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}

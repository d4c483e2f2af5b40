package tool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"phantom/internal/audit"
	"phantom/internal/phantom"
)

const (
	// receivedDir is where files that came in on a channel are kept, by day.
	receivedDir = "received"
	// maxReceived bounds one of them, in bytes.
	maxReceived = 50 << 20
	// maxReceivedName bounds its name, in bytes.
	maxReceivedName = 100
)

// Keep writes a file that came in on a channel into the workspace and returns
// its path there. Whoever sent it need not have written it, so it is marked as
// untrusted before it is there. No file is written over, and one that is larger
// than maxReceived or does not come whole leaves nothing.
func (c *Chain) Keep(ctx context.Context, name string, r io.Reader) (string, error) {
	dir := path.Join(receivedDir, time.Now().UTC().Format(time.DateOnly))
	place := path.Join(dir, rand.Text()[:4]+"-"+receivedName(name))
	whole := filepath.Join(c.Places.Workspace, place)
	intent, err := c.Audit.Intent(ctx, audit.Entry{Surface: "channel", Principal: "phantom", Method: "keep file", Target: whole})
	if err != nil {
		return "", err
	}
	began := time.Now()
	err = c.keep(ctx, dir, place, r)
	end := audit.Outcome{Status: audit.OK, Duration: time.Since(began), Files: []audit.FileEvent{{Op: audit.Write, Path: whole}}}
	if err != nil {
		end = audit.Outcome{Status: audit.Failed, Detail: err.Error(), Duration: time.Since(began)}
	}
	if err := errors.Join(err, c.Audit.Outcome(context.WithoutCancel(ctx), intent, end)); err != nil {
		return "", fmt.Errorf("keep the file %q: %w", receivedName(name), err)
	}
	return place, nil
}

// keep marks, writes and syncs a file.
func (c *Chain) keep(ctx context.Context, dir, place string, r io.Reader) error {
	source := phantom.Taint{"the file " + path.Base(place) + ", which came in on a channel"}
	if err := c.marks.End(ctx, phantom.CallID(place), []string{filepath.Join(c.Places.Workspace, place)}, nil, source); err != nil {
		return err
	}
	root, err := os.OpenRoot(c.Places.Workspace)
	if err != nil {
		return err
	}
	err = root.MkdirAll(dir, 0o700)
	if err == nil {
		err = write(root, place, r)
	}
	return errors.Join(err, root.Close())
}

// write writes a new file, whole or not at all.
func write(root *os.Root, place string, r io.Reader) error {
	f, err := root.OpenFile(place, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, maxReceived+1))
	if err == nil && n > maxReceived {
		err = fmt.Errorf("it has more than %d bytes", maxReceived)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		return nil
	}
	if gone := root.Remove(place); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// receivedName is a name that no program reads anything into: no directory, no
// dot or dash in front, no blank and no sign that a shell knows.
func receivedName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, strings.ToValidUTF8(name, "_"))
	if over := len(name) - maxReceivedName; over > 0 { // the end says what it is
		name = strings.ToValidUTF8(name[over:], "")
	}
	if name = strings.TrimLeft(name, ".-_"); name == "" {
		return "file"
	}
	return name
}

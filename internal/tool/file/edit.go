package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"phantom/internal/atomicfile"
	"phantom/internal/audit"
)

const (
	// readLimit is how much of a file one read shows, in bytes.
	readLimit = 48 << 10
	// editLimit is the largest file that is edited or written, in bytes.
	editLimit = 8 << 20
)

// Edit says what to replace in a file.
type Edit struct {
	Old string // the exact text; it must stand there once unless All is set
	New string
	All bool
}

// Read shows count lines of a text file from the one numbered from, all that
// follow if count is 0.
func (t *Tree) Read(path string, from, count int) Report {
	f, err := t.openRegular(path)
	if err != nil {
		return failure("%v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, editLimit+1))
	if err != nil {
		return failure("read %s: %v", path, err)
	}
	note := ""
	if len(data) > editLimit {
		data, note = data[:editLimit], fmt.Sprintf("\n[only the first %d bytes of the file are read: use bash for the rest]", editLimit)
	}
	seen := []audit.FileEvent{{Op: audit.Read, Path: path, Bytes: int64(len(data))}}
	if bytes.IndexByte(data[:min(len(data), 8<<10)], 0) >= 0 {
		return Report{Text: fmt.Sprintf("%s is a binary file of %d bytes", path, len(data)), Files: seen}
	}
	text := t.Redactor.String(string(data)) // before a cut: half a secret would not be recognised
	if from > 1 || count > 0 {
		text = lines(text, max(from, 1), count)
	}
	if len(text) > readLimit {
		text = strings.ToValidUTF8(text[:readLimit], "") + fmt.Sprintf("\n[… cut at %d bytes of %d: go on with from_line]", readLimit, len(text))
	}
	if text == "" {
		text = "(empty)"
	}
	return Report{Text: text + note, Files: seen}
}

// Whole returns the bytes of a file of at most limit bytes, as they are.
func (t *Tree) Whole(path string, limit int64) ([]byte, error) {
	f, err := t.openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, nil
}

// lines returns count lines from the one numbered from, all that follow if
// count is 0.
func lines(text string, from, count int) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		n++
		if n >= from && (count == 0 || n-from < count) {
			b.WriteString(line)
		}
	}
	if b.Len() == 0 {
		return fmt.Sprintf("[the file has %d lines]", n)
	}
	return b.String()
}

// Write makes content the whole content of a file.
func (t *Tree) Write(path, content string) Report {
	if len(content) > editLimit {
		return failure("the content has %d bytes, the limit is %d", len(content), editLimit)
	}
	event, err := t.replace(path, []byte(content))
	if err != nil {
		return failure("write %s: %v", path, err)
	}
	return Report{Text: fmt.Sprintf("wrote %d bytes to %s", len(content), path), Files: []audit.FileEvent{event}}
}

// replace writes a file whole, with the mode it had or 0600. The directory is
// held open from the moment it is judged, so that it cannot be exchanged.
func (t *Tree) replace(path string, data []byte) (event audit.FileEvent, err error) {
	dir, name, err := t.openDir(path)
	if err != nil {
		return event, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	event = audit.FileEvent{Op: audit.Write, Path: path, Bytes: int64(len(data)), Hash: digest(data)}
	mode := fs.FileMode(0o600)
	switch info, err := dir.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
		event.Op = audit.Create
	case err != nil:
		return event, plain(err)
	case info.Mode()&fs.ModeSymlink != 0:
		return event, errors.New("it is a link: write to the file it points to")
	default:
		if err := t.checkFile(info); err != nil {
			return event, err
		}
		mode = info.Mode().Perm()
	}
	return event, atomicfile.WriteRoot(dir, name, data, mode)
}

// Edit replaces an exact piece of a file.
func (t *Tree) Edit(path string, in Edit) Report {
	f, err := t.openRegular(path)
	if err != nil {
		return failure("%v", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, editLimit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return failure("read %s: %v", path, err)
	}
	text := string(data)
	switch n := strings.Count(text, in.Old); {
	case len(data) > editLimit:
		return failure("%s is larger than %d bytes: edit it with a command", path, editLimit)
	case n == 0:
		return failure("the old text does not stand in %s: read the file again, every space counts", path)
	case len(data)+n*(len(in.New)-len(in.Old)) > editLimit: // before the new text is built: it could be of any size
		return failure("%s would become larger than %d bytes: edit it with a command", path, editLimit)
	case n > 1 && !in.All:
		return failure("the old text stands %d times in %s: include more of what surrounds it, or set all", n, path)
	}
	text = strings.ReplaceAll(text, in.Old, in.New)
	event, err := t.replace(path, []byte(text))
	if err != nil {
		return failure("write %s: %v", path, err)
	}
	return Report{
		Text:  fmt.Sprintf("edited %s, which now has %d bytes", path, len(text)),
		Files: []audit.FileEvent{{Op: audit.Read, Path: path, Bytes: int64(len(data))}, event},
	}
}

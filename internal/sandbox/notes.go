package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
)

// note names one process of a tree for good.
type note struct {
	pid   int
	start uint64
}

// notes keeps the members of a tree in its record, one line each.
type notes struct {
	file *os.File
	last []note
}

// openNotes opens the record that Phantom made.
func openNotes(record string) (*notes, error) {
	f, err := os.OpenFile(record, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the process record: %w", err)
	}
	return &notes{file: f}, nil
}

// keep writes the tree down when it has changed. Without notes there is nothing
// to keep.
func (n *notes) keep(tree []process) error {
	if n == nil {
		return nil
	}
	now := make([]note, len(tree))
	for i, p := range tree {
		now[i] = note{p.pid, p.start}
	}
	if slices.Equal(now, n.last) {
		return nil
	}
	n.last = now
	var b []byte
	for _, m := range now {
		b = strconv.AppendInt(b, int64(m.pid), 10)
		b = append(b, ' ')
		b = strconv.AppendUint(b, m.start, 10)
		b = append(b, '\n')
	}
	if _, err := n.file.WriteAt(b, 0); err != nil {
		return err
	}
	return n.file.Truncate(int64(len(b)))
}

func readNotes(record string) ([]note, error) {
	b, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the process record: %w", err)
	}
	return parseNotes(b), nil
}

// parseNotes leaves out what is no note: a helper may have been killed while
// it wrote.
func parseNotes(b []byte) []note {
	var out []note
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) != 2 || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		pid, err := strconv.Atoi(string(f[0]))
		if err != nil || pid <= 1 {
			continue
		}
		if start, err := strconv.ParseUint(string(f[1]), 10, 64); err == nil {
			out = append(out, note{pid, start})
		}
	}
	return out
}

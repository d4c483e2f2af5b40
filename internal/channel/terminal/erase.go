package terminal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"phantom/internal/atomicfile"
)

// Erase changes what the log holds: replace is given each text and returns
// what is to stand there. The log is written anew if anything changes.
func (c *Channel) Erase(replace func(text string) string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := c.file.Name()
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("erase in terminal log: %w", err)
	}
	var out bytes.Buffer
	changed := false
	for raw := range bytes.Lines(raw) {
		var line Line
		if json.Unmarshal(raw, &line) != nil { // not ours to judge
			out.Write(raw)
			continue
		}
		after := replace(line.Text)
		if after == line.Text {
			out.Write(raw)
			continue
		}
		line.Text, changed = after, true
		fresh, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("erase in terminal log: %w", err)
		}
		out.Write(append(fresh, '\n'))
	}
	if !changed {
		return nil
	}
	if err := atomicfile.Write(path, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("erase in terminal log: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open terminal log: %w", err)
	}
	old := c.file
	c.file = file
	return errors.Join(c.load(), old.Close())
}

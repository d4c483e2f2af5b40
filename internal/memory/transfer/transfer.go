// Package transfer writes memories as lines of JSON and reads them again; it
// reads notes as well, plain text or Markdown. It is about the form alone:
// what may be kept is decided by package memory. It refuses unknown fields and
// lines that are no memory, and names the line.
package transfer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"phantom/internal/memory"
	"phantom/internal/phantom"
)

// maxLine bounds a line of what is read, in bytes.
const maxLine = 1 << 20

// store is what is exported.
type store interface {
	Each(ctx context.Context, do func(memory.Item) error) error
}

// Write writes every memory, one a line, the oldest first, and returns how many.
func Write(ctx context.Context, s store, to io.Writer) (n int, err error) {
	out := bufio.NewWriter(to)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = s.Each(ctx, func(i memory.Item) error {
		n++
		return lines.Encode(i)
	})
	return n, errors.Join(err, out.Flush())
}

// Read reads what Write wrote.
func Read(from io.Reader) ([]memory.Item, error) {
	var items []memory.Item
	in := bufio.NewScanner(from)
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		line := json.NewDecoder(bytes.NewReader(in.Bytes()))
		line.DisallowUnknownFields()
		var i memory.Item
		if err := line.Decode(&i); err != nil {
			return nil, fmt.Errorf("line %d is no memory: %w", n, err)
		}
		if line.More() {
			return nil, fmt.Errorf("line %d holds more than one memory", n)
		}
		if strings.TrimSpace(i.Text) == "" {
			return nil, fmt.Errorf("line %d is no memory: it has no text", n)
		}
		items = append(items, i)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read memories: %w", err)
	}
	return items, nil
}

// Notes makes an episode of each paragraph and of each point of a list. If the
// notes are the owner's own words they count as such; otherwise as text from
// elsewhere, under the name of their file.
func Notes(from io.Reader, name string, own bool, at time.Time) ([]memory.Item, error) {
	var items []memory.Item
	var lines []string
	end := func() {
		if text := strings.TrimSpace(strings.Join(lines, "\n")); text != "" && !heading(text) {
			i := memory.Item{Kind: memory.Episode, Text: text, Provenance: phantom.Owner, At: at}
			if !own {
				i.Provenance, i.Taint = phantom.Memory, phantom.Taint{"the file " + name}
			}
			items = append(items, i)
		}
		lines = nil
	}
	in := bufio.NewScanner(from)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		point, isPoint := strings.CutPrefix(line, "- ")
		if !isPoint {
			point, isPoint = strings.CutPrefix(line, "* ")
		}
		if line == "" || isPoint || heading(line) {
			end()
		}
		lines = append(lines, point)
		if heading(line) {
			end()
		}
	}
	end()
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read notes %s: %w", name, err)
	}
	return items, nil
}

// heading reports whether a line is a heading of Markdown, or a rule.
func heading(line string) bool {
	return strings.HasPrefix(line, "#") && strings.HasPrefix(strings.TrimLeft(line, "#"), " ") || strings.Trim(line, "-=*_ ") == ""
}

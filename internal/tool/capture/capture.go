// Package capture keeps what a program writes, in bounded memory.
//
// It owns how long an output may be that a model reads, and where one is cut:
// between words, so that no secret is cut in two and escapes the redactor. It
// redacts nothing itself; only package tool may use it.
package capture

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

const (
	// HeadLimit and TailLimit are how much of a command's output the model is
	// shown, in bytes: the beginning says what ran, the end how it went.
	HeadLimit = 10 << 10
	TailLimit = 20 << 10
	// seam is how much may be given up on each side of what is left out, in
	// bytes, so that no secret is cut in two and escapes the redactor.
	seam = 4 << 10
)

// gaps are the bytes at which a text may be cut: no secret but a key block
// holds one.
const gaps = " \t\r\n"

// Output keeps the head and the tail of what is written to it, in bounded
// memory. It is safe for concurrent use.
type Output struct {
	mu    sync.Mutex // guards what follows
	head  []byte
	tail  []byte // a window over the end, at most twice TailLimit
	total int64
}

// Write implements io.Writer; it never fails.
func (c *Output) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	c.total += int64(n)
	if room := HeadLimit - len(c.head); room > 0 {
		take := min(room, len(p))
		c.head = append(c.head, p[:take]...)
		p = p[take:]
	}
	if len(p) > TailLimit {
		p = p[len(p)-TailLimit:]
	}
	if len(c.tail)+len(p) > 2*TailLimit {
		c.tail = append(c.tail[:0], c.tail[max(0, len(c.tail)-TailLimit):]...)
	}
	c.tail = append(c.tail, p...)
	return n, nil
}

// String returns what was kept and says what was left out.
func (c *Output) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text()
}

// Take returns what was kept since the last Take and forgets it. While more
// may come, a last word that is not finished waits for the next Take.
func (c *Output) Take(more bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, rest := c.text(), ""
	if more {
		from := max(0, len(text)-seam)
		if cut := from + 1 + strings.LastIndexAny(text[from:], gaps); cut > from || from == 0 {
			text, rest = text[:cut], text[cut:]
		}
	}
	c.head, c.tail, c.total = []byte(rest), nil, int64(len(rest))
	return text
}

func (c *Output) text() string {
	head, tail := c.head, c.tail[max(0, len(c.tail)-TailLimit):]
	if c.total == int64(len(head)+len(tail)) {
		return string(head) + string(tail)
	}
	head, tail = Before(head), After(tail)
	return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", head, c.total-int64(len(head)+len(tail)), tail)
}

// Before returns the part of a text that ends with a whole word.
func Before(text []byte) []byte {
	from := max(0, len(text)-seam)
	return text[:from+1+bytes.LastIndexAny(text[from:], gaps)]
}

// After returns the part of a text that begins with a whole word, and behind
// the key block that it begins in.
func After(text []byte) []byte {
	cut := bytes.IndexAny(text[:min(len(text), seam)], gaps)
	if cut < 0 {
		cut = min(len(text), seam)
	}
	text = text[cut:]
	if end := bytes.Index(text, []byte("-----END ")); end >= 0 && !bytes.Contains(text[:end], []byte("-----BEGIN ")) {
		line := bytes.IndexByte(text[end:], '\n')
		if line < 0 {
			return nil
		}
		text = text[end+line:]
	}
	return text
}

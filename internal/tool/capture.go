package tool

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

const (
	// headLimit and tailLimit are how much of a command's output the model is
	// shown, in bytes: the beginning says what ran, the end how it went.
	headLimit = 10 << 10
	tailLimit = 20 << 10
	// seam is how much may be given up on each side of what is left out, in
	// bytes, so that no secret is cut in two and escapes the redactor.
	seam = 4 << 10
)

// gaps are the bytes at which a text may be cut: no secret but a key block
// holds one.
const gaps = " \t\r\n"

// capture keeps the head and the tail of what is written to it, in bounded
// memory. It is safe for concurrent use.
type capture struct {
	mu    sync.Mutex // guards what follows
	head  []byte
	tail  []byte // a window over the end, at most twice tailLimit
	total int64
}

// Write implements io.Writer; it never fails.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	c.total += int64(n)
	if room := headLimit - len(c.head); room > 0 {
		take := min(room, len(p))
		c.head = append(c.head, p[:take]...)
		p = p[take:]
	}
	if len(p) > tailLimit {
		p = p[len(p)-tailLimit:]
	}
	if len(c.tail)+len(p) > 2*tailLimit {
		c.tail = append(c.tail[:0], c.tail[max(0, len(c.tail)-tailLimit):]...)
	}
	c.tail = append(c.tail, p...)
	return n, nil
}

// String returns what was kept and says what was left out.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text()
}

// take returns what was kept since the last take and forgets it. While more
// may come, a last word that is not finished waits for the next take.
func (c *capture) take(more bool) string {
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

func (c *capture) text() string {
	head, tail := c.head, c.tail[max(0, len(c.tail)-tailLimit):]
	if c.total == int64(len(head)+len(tail)) {
		return string(head) + string(tail)
	}
	head, tail = before(head), after(tail)
	return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", head, c.total-int64(len(head)+len(tail)), tail)
}

// before returns the part of a text that ends with a whole word.
func before(text []byte) []byte {
	from := max(0, len(text)-seam)
	return text[:from+1+bytes.LastIndexAny(text[from:], gaps)]
}

// after returns the part of a text that begins with a whole word, and behind
// the key block that it begins in.
func after(text []byte) []byte {
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

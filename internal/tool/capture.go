package tool

import (
	"fmt"
	"sync"
)

const (
	// headLimit and tailLimit are how much of a command's output the model is
	// shown, in bytes: the beginning says what ran, the end how it went.
	headLimit = 10 << 10
	tailLimit = 20 << 10
)

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

// take returns what was kept since the last take and forgets it.
func (c *capture) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.text()
	c.head, c.tail, c.total = nil, nil, 0
	return text
}

func (c *capture) text() string {
	tail := c.tail[max(0, len(c.tail)-tailLimit):]
	if left := c.total - int64(len(c.head)+len(tail)); left > 0 {
		return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", c.head, left, tail)
	}
	return string(c.head) + string(tail)
}

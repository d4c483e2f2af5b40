// Package cell reads the values of a stored row as the engine holds them.
//
// It refuses a value of another type than the one asked for: a text that became
// a blob reads the same, and a number that is too large wraps around to the
// same, and both are another value than the one that was written.
package cell

import "time"

// Cells are the values of one row, read one after the other.
type Cells struct {
	values []any
	bad    int // place of the first value of another type, from 1
	at     int
}

// New returns cells for n columns and what to scan a row into.
func New(n int) (c *Cells, into []any) {
	c = &Cells{values: make([]any, n)}
	into = make([]any, n)
	for i := range c.values {
		into[i] = &c.values[i]
	}
	return c, into
}

// Rewind goes back to the first value, after a row was scanned.
func (c *Cells) Rewind() { c.at, c.bad = 0, 0 }

// Bad returns the place, from 1, of the first value that was not what was
// asked for since Rewind, or 0.
func (c *Cells) Bad() int { return c.bad }

func (c *Cells) miss() {
	if c.bad == 0 {
		c.bad = c.at
	}
}

// Text reads a text.
func (c *Cells) Text() string {
	c.at++
	s, ok := c.values[c.at-1].(string)
	if !ok {
		c.miss()
	}
	return s
}

// Number reads a number.
func (c *Cells) Number() int64 {
	c.at++
	n, ok := c.values[c.at-1].(int64)
	if !ok {
		c.miss()
	}
	return n
}

// Blob reads bytes; they hold until the next row is scanned.
func (c *Cells) Blob() []byte {
	c.at++
	b, ok := c.values[c.at-1].([]byte)
	if !ok {
		c.miss()
	}
	return b
}

// Micros reads a number of microseconds. One that is too large would wrap
// around and read as another.
func (c *Cells) Micros() time.Duration {
	n := c.Number()
	d := time.Duration(n) * time.Microsecond
	if d.Microseconds() != n {
		c.miss()
	}
	return d
}

// Reference reads a number that is null where there is none, which gives 0.
func (c *Cells) Reference() int64 {
	if c.values[c.at] == nil {
		c.at++
		return 0
	}
	n := c.Number()
	if n == 0 {
		c.miss()
	}
	return n
}

package cell

import "testing"

// TestCells: what is not exactly the type and value asked for is named.
func TestCells(t *testing.T) {
	text, number, blob := func(c *Cells) { c.Text() }, func(c *Cells) { c.Number() }, func(c *Cells) { c.Blob() }
	micros, reference := func(c *Cells) { c.Micros() }, func(c *Cells) { c.Reference() }
	for _, tt := range []struct {
		name  string
		value any
		read  func(*Cells)
		good  bool
	}{
		{"a text", "x", text, true},
		{"a blob of the same bytes is no text", []byte("x"), text, false},
		{"null is no text", nil, text, false},
		{"a number", int64(7), number, true},
		{"a text of digits is no number", "7", number, false},
		{"a fraction is no number", 7.0, number, false},
		{"null is no number", nil, number, false},
		{"a blob", []byte("x"), blob, true},
		{"a text of the same bytes is no blob", "x", blob, false},
		{"microseconds", int64(1500), micros, true},
		{"microseconds that wrap around to 1500", int64(1500 + 1<<61), micros, false},
		{"a reference", int64(1), reference, true},
		{"no reference", nil, reference, true},
		{"zero is never written as a reference", int64(0), reference, false},
	} {
		c, into := New(1)
		*into[0].(*any) = tt.value
		c.Rewind()
		if tt.read(c); (c.Bad() == 0) != tt.good {
			t.Errorf("%s: place of the first bad value is %d", tt.name, c.Bad())
		}
	}
}

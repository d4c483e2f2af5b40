package vector

import (
	"slices"
	"sync"
)

// Tag says what an item is, so that a search need not ask the database: one
// bit of Kinds, and Past.
type Tag uint8

const (
	// Kinds are the bits that tell kinds apart.
	Kinds Tag = 0x7F
	// Past marks what no longer holds.
	Past Tag = 0x80
)

// Index holds the codes of all items, in the order of the items. It is safe
// for concurrent use. A million take 73 MB.
type Index struct {
	mu        sync.RWMutex
	items     []int64
	tags      []Tag
	codes     []Code
	distances sync.Pool
}

// Put sets the code of an item. Items that come in their order cost least.
func (x *Index) Put(item int64, tag Tag, code Code) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i, found := len(x.items), false
	if i > 0 && x.items[i-1] >= item {
		i, found = slices.BinarySearch(x.items, item)
	}
	if found {
		x.tags[i], x.codes[i] = tag, code
		return
	}
	x.items, x.tags, x.codes = slices.Insert(x.items, i, item), slices.Insert(x.tags, i, tag), slices.Insert(x.codes, i, code)
}

// Mark changes the tag of an item that is there.
func (x *Index) Mark(item int64, tag Tag) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i, found := slices.BinarySearch(x.items, item); found {
		x.tags[i] = tag
	}
}

// Drop removes an item.
func (x *Index) Drop(item int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i, found := slices.BinarySearch(x.items, item); found {
		x.items, x.tags, x.codes = slices.Delete(x.items, i, i+1), slices.Delete(x.tags, i, i+1), slices.Delete(x.codes, i, i+1)
	}
}

// Has reports whether an item has a code.
func (x *Index) Has(item int64) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, found := slices.BinarySearch(x.items, item)
	return found
}

// Len returns how many items have a code.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.items)
}

// Nearest returns up to n items of the kinds in want whose codes differ from
// code in at most within bits: the nearest, in no order; of equally near ones
// the latest. Items of the past come only if want has Past. Every code is
// looked at.
func (x *Index) Nearest(code Code, n, within int, want Tag) []int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	buffer, ok := x.distances.Get().(*[]uint16)
	if !ok {
		buffer = new([]uint16)
	}
	defer x.distances.Put(buffer)
	*buffer = slices.Grow((*buffer)[:0], len(x.codes))[:len(x.codes)]
	distances := *buffer
	const left = Bits + 1 // farther than anything
	var counts [Bits + 2]int
	for i := range x.codes {
		d := left
		if tag := x.tags[i]; tag&want&Kinds != 0 && (tag|want)&Past == want&Past {
			d = code.Distance(&x.codes[i])
		}
		distances[i] = uint16(d)
		counts[d]++
	}
	within = min(within, Bits)
	farthest, rest := 0, n // of the farthest distance only the latest rest are taken
	for farthest = 0; farthest < within && counts[farthest] < rest; farthest++ {
		rest -= counts[farthest]
	}
	found := make([]int64, 0, min(n, len(x.items)))
	for i := len(distances) - 1; i >= 0; i-- {
		switch d := int(distances[i]); {
		case d < farthest:
			found = append(found, x.items[i])
		case d == farthest && rest > 0:
			found = append(found, x.items[i])
			rest--
		}
	}
	return found
}

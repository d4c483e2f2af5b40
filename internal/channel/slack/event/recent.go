package event

import (
	"slices"
	"sync"
)

// Recent remembers the last 1,000 things of a kind. It is safe for concurrent
// use, and the zero Recent is ready for use.
type Recent struct {
	mu   sync.Mutex
	have map[string]bool
	list []string
}

// maxRecent bounds what is remembered.
const maxRecent = 1000

// Add remembers one.
func (r *Recent) Add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.have[s] {
		return
	}
	if r.have == nil {
		r.have = map[string]bool{}
	}
	if len(r.list) == maxRecent {
		delete(r.have, r.list[0])
		r.list = r.list[1:]
	}
	r.have[s], r.list = true, append(r.list, s)
}

// Drop forgets one.
func (r *Recent) Drop(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.have[s] {
		delete(r.have, s)
		r.list = slices.DeleteFunc(r.list, func(have string) bool { return have == s })
	}
}

// Has reports whether one is remembered.
func (r *Recent) Has(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.have[s]
}

package track

import (
	"slices"
	"strings"
	"sync"
)

// Op is what was asked of a file.
type Op string

// The operations, weakest first.
const (
	Read   Op = "read"
	Exec   Op = "exec"
	Write  Op = "write"
	Create Op = "create"
	Delete Op = "delete"
)

var strength = []Op{Read, Exec, Write, Create, Delete}

// Touch is the strongest operation on one file.
type Touch struct {
	Op      Op
	Path    string // absolute, links followed
	Refused bool   `json:",omitempty"` // the sandbox grants no such operation there
}

// The bounds of a record: paths in number, and bytes in all of them together.
const (
	maxPaths = 20_000
	maxBytes = 4 << 20
)

// record is what one tree did, a line a path.
type record struct {
	may func(Op, string) bool

	mu      sync.Mutex
	touched map[string]Touch
	bytes   int
	dropped int // touches that did not fit, or could not be read
	closed  bool
}

// add keeps the strongest operation on each path. Of creations and deletions
// the last one counts, because it says what is left. The caller holds mu.
func (r *record) add(t Touch) {
	if noise(t.Op, t.Path) {
		return
	}
	if r.touched == nil {
		r.touched = map[string]Touch{}
	}
	old, known := r.touched[t.Path]
	switch {
	case !known && (len(r.touched) >= maxPaths || r.bytes+len(t.Path) > maxBytes):
		r.dropped++
		return
	case !known:
		r.bytes += len(t.Path)
	case old.Op == Delete && (t.Op == Write || t.Op == Create):
		t.Op = Create
	case slices.Index(strength, t.Op) <= slices.Index(strength, old.Op):
		return
	}
	r.touched[t.Path] = t
}

func (r *record) result() ([]Touch, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	out := make([]Touch, 0, len(r.touched))
	for _, t := range r.touched {
		t.Refused = t.Refused || !r.may(t.Op, t.Path)
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Touch) int { return strings.Compare(a.Path, b.Path) })
	return out, r.dropped
}

// programTrees hold programs and their parts. The sandbox keeps them
// read-only, so a read there tells only which program ran, which its execution
// tells too.
var programTrees = []string{
	"/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libx32/", "/usr/libexec/", "/usr/share/",
	"/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/etc/ld.so.", "/proc/", "/sys/",
}

// noise is what the record leaves out: reads of programs and of the kernel's
// tables, and the devices that everybody may use.
func noise(op Op, path string) bool {
	if !strings.HasPrefix(path, "/") || op != Exec && strings.HasPrefix(path, "/memfd:") {
		return true // no file: a pipe, a socket, memory
	}
	if strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/dev/shm/") {
		return true
	}
	in := func(tree string) bool { return strings.HasPrefix(path, tree) }
	return op == Read && slices.ContainsFunc(programTrees, in)
}

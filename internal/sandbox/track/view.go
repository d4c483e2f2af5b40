package track

import (
	"bytes"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// view sees what other processes name, and finds out which files those are.
type view struct {
	program string            // the first program, until it has started
	places  map[string]string // where a directory's name leads
	pages   int
	buf     [unix.PathMax]byte
}

// maxPlaces bounds the memory of places; it starts afresh when that is full.
const maxPlaces = 4096

func newView(program string) view {
	return view{program: program, places: map[string]string{}, pages: os.Getpagesize()}
}

// named is a file as the caller names it.
type named struct {
	dir  uint64 // descriptor that a relative name starts from
	name uint64 // address of the name
}

// here is the directory descriptor that stands for the working directory.
const here = uint64(0xffffff9c) // AT_FDCWD as an unsigned 32-bit number

// look says which files the caller asks for, and whether it could be read.
func (v *view) look(n *notification) (seen []Touch, readable bool) {
	a := n.args
	switch n.nr {
	case unix.SYS_OPENAT:
		return v.open(n, named{a[0], a[1]}, a[2])
	case unix.SYS_OPENAT2:
		return v.openHow(n)
	case unix.SYS_EXECVE:
		return v.exec(n, named{here, a[0]}, 0)
	case unix.SYS_EXECVEAT:
		return v.exec(n, named{a[0], a[1]}, a[4])
	case unix.SYS_TRUNCATE:
		return v.open(n, named{here, a[0]}, unix.O_WRONLY)
	case unix.SYS_UNLINKAT:
		return v.remove(n, named{a[0], a[1]})
	case unix.SYS_RENAMEAT:
		return v.rename(n, named{a[0], a[1]}, named{a[2], a[3]}, 0)
	case unix.SYS_RENAMEAT2:
		return v.rename(n, named{a[0], a[1]}, named{a[2], a[3]}, a[4])
	case unix.SYS_LINKAT:
		return v.link(n, named{a[0], a[1]}, named{a[2], a[3]}, a[4])
	case unix.SYS_SYMLINKAT:
		return v.make(n, named{a[1], a[2]})
	case unix.SYS_MKDIRAT, unix.SYS_MKNODAT:
		return v.make(n, named{a[0], a[1]})
	default:
		return v.lookHere(n)
	}
}

func (v *view) open(n *notification, f named, flags uint64) ([]Touch, bool) {
	name, ok := v.name(n, f, 0)
	if !ok {
		return nil, false
	}
	follow := flags&unix.O_NOFOLLOW == 0 && flags&(unix.O_CREAT|unix.O_EXCL) != unix.O_CREAT|unix.O_EXCL
	return v.opened(name, flags, follow), true
}

func (v *view) opened(name string, flags uint64, follow bool) []Touch {
	f := v.find(name, follow)
	writes := flags&unix.O_ACCMODE != unix.O_RDONLY || flags&unix.O_TRUNC != 0
	switch {
	case f.hidden:
	case !f.exists && flags&unix.O_CREAT == 0, f.exists && flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL:
		return nil // it fails
	case !f.exists:
		return one(Create, f)
	case f.dir:
		return nil // listed
	}
	if writes {
		return one(Write, f)
	}
	return one(Read, f)
}

// openHow reads the newer call's struct open_how: flags, mode, resolve.
func (v *view) openHow(n *notification) ([]Touch, bool) {
	var how [3]uint64
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&how[0])), unsafe.Sizeof(how))
	if v.copyIn(int(n.pid), n.args[2], raw) < len(raw) {
		return nil, false
	}
	if how[0]&(unix.O_PATH|unix.O_DIRECTORY) != 0 {
		return nil, true
	}
	f := named{n.args[0], n.args[1]}
	if how[2]&unix.RESOLVE_IN_ROOT == 0 {
		return v.open(n, f, how[0])
	}
	text, ok := v.text(int(n.pid), f.name)
	if !ok {
		return nil, false
	}
	root, ok := v.base(n, f.dir)
	return v.opened(root+"/"+strings.TrimLeft(text, "/"), how[0], how[0]&unix.O_NOFOLLOW == 0), ok
}

func (v *view) exec(n *notification, f named, flags uint64) ([]Touch, bool) {
	name, ok := v.program, true
	if name == "" {
		name, ok = v.name(n, f, flags)
	}
	v.program = ""
	if !ok {
		return nil, false
	}
	if found := v.find(name, flags&unix.AT_SYMLINK_NOFOLLOW == 0); found.exists || found.hidden {
		return one(Exec, found), true
	}
	return nil, true
}

func (v *view) remove(n *notification, f named) ([]Touch, bool) {
	name, ok := v.name(n, f, 0)
	if !ok {
		return nil, false
	}
	if found := v.find(name, false); found.exists || found.hidden {
		return one(Delete, found), true
	}
	return nil, true
}

// make is for calls that fail if the name is taken.
func (v *view) make(n *notification, f named) ([]Touch, bool) {
	clear(v.places) // a name may lead elsewhere from now on
	name, ok := v.name(n, f, 0)
	if !ok {
		return nil, false
	}
	if found := v.find(name, false); found.hidden || !found.exists && found.path != "" {
		return one(Create, found), true
	}
	return nil, true
}

func (v *view) rename(n *notification, from, to named, flags uint64) ([]Touch, bool) {
	clear(v.places)
	a, ok := v.name(n, from, 0)
	if !ok {
		return nil, false
	}
	b, ok := v.name(n, to, 0)
	if !ok {
		return nil, false
	}
	source, target := v.find(a, false), v.find(b, false)
	switch {
	case !source.exists && !source.hidden || target.path == "":
		return nil, true
	case flags&unix.RENAME_EXCHANGE != 0:
		return append(one(Write, source), one(Write, target)...), true
	case target.exists:
		return append(one(Delete, source), one(Write, target)...), true
	default:
		return append(one(Delete, source), one(Create, target)...), true
	}
}

func (v *view) link(n *notification, from, to named, flags uint64) ([]Touch, bool) {
	source, ok := v.name(n, from, flags)
	if !ok {
		return nil, false
	}
	made, ok := v.make(n, to)
	if found := v.find(source, flags&unix.AT_SYMLINK_FOLLOW != 0); len(made) > 0 && found.path != "" {
		made = append(made, one(Read, found)...)
	}
	return made, ok
}

func one(op Op, f found) []Touch { return []Touch{{op, f.path, f.hidden}} }

// name is what the caller calls the file, made absolute. Flags may let an
// empty name stand for the directory descriptor itself.
func (v *view) name(n *notification, f named, flags uint64) (string, bool) {
	text, ok := v.text(int(n.pid), f.name)
	if !ok {
		return "", false
	}
	self := "/proc/" + strconv.Itoa(int(n.pid))
	if path.IsAbs(text) {
		// The kernel's names for the caller would mean us.
		for _, alias := range [...][2]string{{"/proc/self/", self + "/"}, {"/proc/thread-self/", self + "/"}, {"/dev/fd/", self + "/fd/"}, {"/dev/stdin", self + "/fd/0"}, {"/dev/stdout", self + "/fd/1"}, {"/dev/stderr", self + "/fd/2"}} {
			if rest, ok := strings.CutPrefix(text, alias[0]); ok {
				return alias[1] + rest, true
			}
		}
		return text, true
	}
	if text == "" && flags&unix.AT_EMPTY_PATH == 0 {
		return "", true // the call fails
	}
	base, ok := v.base(n, f.dir)
	if text == "" {
		return base, ok
	}
	return base + "/" + text, ok
}

// base is the directory that relative names start from.
func (v *view) base(n *notification, dir uint64) (string, bool) {
	at := "/proc/" + strconv.Itoa(int(n.pid)) + "/cwd"
	if uint32(dir) != uint32(here) {
		at = "/proc/" + strconv.Itoa(int(n.pid)) + "/fd/" + strconv.Itoa(int(int32(dir)))
	}
	place, err := os.Readlink(at)
	return place, err == nil
}

// text reads a string of the caller's, a page at most at a time: what lies
// behind the string's page may not be there.
func (v *view) text(pid int, at uint64) (string, bool) {
	for have := 0; have < len(v.buf); {
		size := min(v.pages-int((at+uint64(have))%uint64(v.pages)), 256, len(v.buf)-have)
		n := v.copyIn(pid, at+uint64(have), v.buf[have:have+size])
		if n <= 0 {
			return "", false
		}
		if end := bytes.IndexByte(v.buf[have:have+n], 0); end >= 0 {
			return string(v.buf[:have+end]), true
		}
		have += n
	}
	return "", false // the kernel refuses it too
}

// copyIn copies memory of the caller and returns how much.
func (v *view) copyIn(pid int, at uint64, to []byte) int {
	local := []unix.Iovec{{Base: &to[0], Len: uint64(len(to))}}
	remote := []unix.RemoteIovec{{Base: uintptr(at), Len: len(to)}}
	n, err := unix.ProcessVMReadv(pid, local, remote, 0)
	if err != nil {
		return 0
	}
	return n
}

// found is what a name leads to.
type found struct {
	path   string // "" if not even its directory is there
	exists bool
	hidden bool // it is out of our reach, and so of the caller's
	dir    bool
}

// find follows a name as the kernel is about to. It changes nothing: the file
// itself is not opened.
func (v *view) find(name string, follow bool) found {
	name = strings.TrimRight(name, "/")
	parent, base := path.Split(name)
	if base == "." || base == ".." || name == "" {
		return found{path: path.Clean("/" + name), exists: true, dir: true}
	}
	dir, err := v.place(parent)
	if err != nil {
		return found{path: path.Clean(name), hidden: errors.Is(err, unix.EACCES)}.orNothing()
	}
	f := found{path: path.Join(dir, base)}
	var st unix.Stat_t
	if err := unix.Lstat(f.path, &st); err != nil {
		f.hidden = errors.Is(err, unix.EACCES)
		return f
	}
	f.exists, f.dir = true, st.Mode&unix.S_IFMT == unix.S_IFDIR
	if st.Mode&unix.S_IFMT != unix.S_IFLNK || !follow {
		return f
	}
	target, err := whither(f.path, 0)
	switch {
	case err == nil:
		f.path = target
	case errors.Is(err, unix.ENOENT): // it leads nowhere yet
		f.exists = false
		if to, err := os.Readlink(f.path); err == nil && path.IsAbs(to) {
			f.path = path.Clean(to)
		} else if err == nil {
			f.path = path.Join(dir, to)
		}
	default:
		f.hidden = true
	}
	return f
}

// orNothing forgets the name of what cannot be there.
func (f found) orNothing() found {
	if !f.hidden {
		f.path = ""
	}
	return f
}

// place follows the name of a directory.
func (v *view) place(dir string) (string, error) {
	if to, ok := v.places[dir]; ok {
		return to, nil
	}
	to, err := whither(dir, unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	if len(v.places) >= maxPlaces {
		clear(v.places)
	}
	v.places[strings.Clone(dir)] = to
	return to, nil
}

// whither follows a name to its end.
func whither(name string, flags int) (string, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
}

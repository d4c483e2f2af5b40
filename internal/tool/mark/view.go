package mark

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"phantom/internal/phantom"
)

// Marks are the marked paths with what was at hand, as they were when they were
// asked for. They hold what commands that still run may have written, too.
type Marks struct {
	paths   map[string]phantom.Taint // never changed
	running map[phantom.CallID]writer
	settled map[string]time.Time
	inodes  func() map[inode][]string // marked files by what they are on the disk
}

// writer is a command that has not come to its end.
type writer struct {
	since time.Time
	taint phantom.Taint
	sure  bool // it was begun beside untrusted text, or can fetch some
}

// slack is by how much the clock of a file system may lag.
const slack = 20 * time.Millisecond

func newMarks(paths map[string]phantom.Taint) *Marks {
	marked := &Marks{paths: paths}
	marked.inodes = sync.OnceValue(func() map[inode][]string {
		found := map[inode][]string{}
		for path := range paths {
			if at, ok := inodeOf(path); ok {
				found[at.inode] = append(found[at.inode], path)
			}
		}
		return found
	})
	return marked
}

// Len returns the number of marks.
func (marked *Marks) Len() int { return len(marked.paths) }

// Noted returns the taint of what stands under a path, as far as commands have
// come to their end.
func (marked *Marks) Noted(path string) phantom.Taint {
	var t phantom.Taint
	for path = filepath.Clean(path); ; path = filepath.Dir(path) {
		if sources, ok := marked.paths[path]; ok {
			t = t.Add(sourceOf(path, sources)...)
		}
		if path == "/" || path == "." {
			return t
		}
	}
}

// Of returns the taint of what stands under a path. A file that changed since a
// command was begun beside untrusted text counts as written by it while it
// runs, unless who else wrote it is known. A file of several names has the taint of each that is
// marked itself.
func (marked *Marks) Of(path string) phantom.Taint {
	t := marked.Noted(path)
	at, ok := inodeOf(path)
	if !ok {
		return t
	}
	for _, w := range marked.running {
		if w.sure && at.changed.After(w.since.Add(-slack)) && !at.changed.Equal(marked.settled[filepath.Clean(path)]) {
			t = t.Add(fmt.Sprintf("%s (changed while a command runs beside text from %s)", path, w.taint))
		}
	}
	if at.names > 1 && len(marked.paths) > 0 {
		for _, other := range marked.inodes()[at.inode] {
			t = t.Add(sourceOf(other, marked.paths[other])...)
		}
	}
	return t
}

// Without returns the marks as they are for a command itself, which knows what
// it wrote.
func (marked *Marks) Without(call phantom.CallID) *Marks {
	own := *marked
	own.running = maps.Clone(marked.running)
	delete(own.running, call)
	return &own
}

// Near returns the taint of what a command finds where it runs: in its
// directory and above and below it.
func (marked *Marks) Near(dir string) phantom.Taint {
	t := marked.Noted(dir)
	for _, path := range slices.Sorted(maps.Keys(marked.paths)) {
		if within(dir, path) {
			t = t.Add(sourceOf(path, marked.paths[path])...)
		}
	}
	return t
}

// At returns the taint of what is there now in, above and below some places,
// and of what commands that run may be about to put there.
func (marked *Marks) At(places ...string) phantom.Taint {
	return marked.at(places, func(string) bool { return true })
}

// Code is At for what a program can be led by: text for people, tables and
// pictures are left out.
func (marked *Marks) Code(places ...string) phantom.Taint { return marked.at(places, mayBeCode) }

func (marked *Marks) at(places []string, keep func(string) bool) phantom.Taint {
	var t phantom.Taint
	if len(places) == 0 {
		return t
	}
	for _, w := range marked.running {
		if w.sure {
			t = t.Add(fmt.Sprintf("a command that runs beside text from %s", w.taint))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(marked.paths)) {
		near := slices.ContainsFunc(places, func(place string) bool { return within(place, path) || within(path, place) })
		if near && present(path) && keep(path) {
			t = t.Add(sourceOf(path, marked.paths[path])...)
		}
	}
	return t
}

// Planted returns the taint of the marked files that a shell would run for a
// program's name: of programs that a line names, and of those that stand in
// the place of others, which any program may start. The directories are those
// where it looks, without links.
func (marked *Marks) Planted(dirs []string, line string) phantom.Taint {
	var t phantom.Taint
	words := wordsOf(line)
	for _, path := range slices.Sorted(maps.Keys(marked.paths)) {
		name := filepath.Base(path)
		hides := func(other string) bool { return other != filepath.Dir(path) && present(filepath.Join(other, name)) }
		covers := func(dir string) bool { return within(path, dir) }
		found := slices.Contains(dirs, filepath.Dir(path)) && present(path) && (says(words, line, name) || slices.ContainsFunc(dirs, hides))
		if found || slices.ContainsFunc(dirs, covers) {
			t = t.Add(sourceOf(path, marked.paths[path])...)
		}
	}
	return t
}

// present reports whether a path is there, or may be.
func present(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
}

// mayBeCode reports whether a file can be what a program runs or is set up by.
func mayBeCode(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	switch filepath.Ext(name) {
	case ".md", ".markdown", ".csv", ".tsv", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".log":
	case ".txt":
		if strings.HasPrefix(name, "cmakelists") || strings.HasPrefix(name, "requirements") || strings.HasPrefix(name, "constraints") {
			return true
		}
	default:
		return true
	}
	info, err := os.Lstat(path)
	return err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 != 0
}

// minName is the length of a name, in bytes, that can tell anybody anything.
const minName = 4

// Shown returns the taint of the marked files whose names an output shows, and
// that are long enough to tell anything.
func (marked *Marks) Shown(text string) phantom.Taint { return marked.named(text, minName) }

// Named returns the taint of the marked files that a line names by the last
// part of their paths, as a whole word: a quick look, which a determined writer
// gets round.
func (marked *Marks) Named(line string) phantom.Taint { return marked.named(line, 1) }

func (marked *Marks) named(text string, least int) phantom.Taint {
	var t phantom.Taint
	if text == "" || len(marked.paths) == 0 {
		return t
	}
	words := wordsOf(text)
	for _, path := range slices.Sorted(maps.Keys(marked.paths)) {
		name := filepath.Base(path)
		if len(name) < least || !says(words, text, name) {
			continue
		}
		if present(path) {
			t = t.Add(sourceOf(path, marked.paths[path])...)
		}
	}
	return t
}

func wordsOf(text string) map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsFuncSeq(text, endsWord) {
		words[word] = true
		words[strings.TrimRight(word, ".*")] = true // the end of a sentence, or what ls -F adds
	}
	return words
}

// says reports whether a text of these words holds a name as a whole.
func says(words map[string]bool, text, name string) bool {
	return words[name] || strings.ContainsFunc(name, endsWord) && strings.Contains(text, name)
}

func endsWord(r rune) bool { return r <= ' ' || strings.ContainsRune("/=:,;@\"'`()[]{}<>|&$", r) }

// within reports whether path is dir or lies below it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// sourceOf names a marked file together with what was at hand when it was
// written.
func sourceOf(path string, sources phantom.Taint) []string {
	return []string{fmt.Sprintf("%s (written while text from %s was at hand)", path, sources)}
}

// inode is a file by what it is on the disk.
type inode struct{ dev, ino uint64 }

// standing is what the disk says of a path.
type standing struct {
	inode
	names   uint64 // hard links of a regular file
	changed time.Time
}

func inodeOf(path string) (standing, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return standing{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return standing{}, false
	}
	at := standing{inode: inode{uint64(st.Dev), st.Ino}, changed: time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec))} //nolint:unconvert // narrower on other machines
	if info.Mode().IsRegular() {
		at.names = uint64(st.Nlink) //nolint:unconvert // narrower on other machines
	}
	return at, true
}

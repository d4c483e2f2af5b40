package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// runLoader is the dynamic loader, which runs the program it is given.
func runLoader(m *machine, argv []string, in *stream) string {
	o := ParseOptions(argv[1:], "", []string{"library-path", "preload", "argv0", "audit"}, true)
	s := m.sub()
	s.via = append(slices.Clone(m.via), filepath.Base(argv[0]))
	return s.invoke(o.Operands, redirs{}, in)
}

// relinked returns words with the links in them that the line made replaced by
// where they lead. What only takes the link itself away leaves its target alone.
func (m *machine) relinked(name string, words []string) (bool, []string) {
	moved, out := false, slices.Clone(words)
	itself := slices.Contains([]string{"rm", "unlink", "mv", "ln", "readlink", "ls", "stat", "test", "["}, name)
	for i, w := range out {
		if name != "" && i == 0 || w == "" {
			continue
		}
		key, value, set := strings.Cut(w, "=")
		if set = set && key != "" && value != "" && !strings.Contains(key, "/"); set {
			w = value
		}
		to, ok := m.follow(m.abs(w), itself && !strings.HasSuffix(w, "/"))
		if !ok {
			continue
		}
		if out[i], moved = to, true; set {
			out[i] = key + "=" + to
		}
	}
	return moved, out
}

// maxLinks bounds the links on the way to a file.
const maxLinks = 10

// follow returns where a path leads by the links that the line made; without a
// path that is a link itself, if that is what counts.
func (m *machine) follow(path string, itself bool) (to string, moved bool) {
	for range maxLinks {
		link := path
		if itself {
			link = filepath.Dir(path)
		}
		for m.links[link] == "" && link != filepath.Dir(link) {
			link = filepath.Dir(link)
		}
		if m.links[link] == "" {
			break
		}
		path, moved = filepath.Join(m.links[link], strings.TrimPrefix(path, link)), true
	}
	return path, moved
}

// given returns the texts of the files that a command names and the line wrote.
func (m *machine) given(argv []string) string {
	if len(m.files) == 0 || len(argv) > 50 {
		return ""
	}
	var out []string
	for _, a := range argv[1:] {
		_, value, _ := strings.Cut(a, "=")
		for _, w := range append(strings.Fields(a)[:min(4, len(strings.Fields(a)))], value) {
			if text, ok := m.files[m.abs(w)]; ok && w != "" && len(out) < 10 {
				out = append(out, text)
			}
		}
	}
	return clip(strings.Join(out, "\n;\n"))
}

package shell

import (
	"path/filepath"
	"slices"
	"strings"
)

// unpack notes where the line unpacks what it fetched.
func unpack(m *machine, argv []string, in *stream) string {
	runOther(m, argv, in)
	name := filepath.Base(argv[0])
	o := ParseOptions(argv[1:], "Cd", []string{"directory"}, false)
	web := in.web
	for _, w := range append(o.Operands, o.Values("f", "file")...) {
		if text, ok := m.files[m.abs(w)]; ok && text == Unknown {
			web = true
			if ext := filepath.Ext(w); slices.Contains([]string{".gz", ".xz", ".bz2", ".zst"}, ext) {
				m.save(strings.TrimSuffix(w, ext), Unknown, false)
			}
		}
	}
	if !web || strings.HasSuffix(name, "zip") && name != "unzip" || strings.HasPrefix(name, "gun") || len(m.foreign) > 50 {
		return Unknown
	}
	dir := m.cwd
	if d, ok := o.Value("C", "d", "directory"); ok && d != "" {
		dir = m.abs(d)
	}
	m.foreign = append(m.foreign, dir)
	return Unknown
}

// unpacked reports a file that is run out of an archive that the line fetched.
func (m *machine) unpacked(path string) {
	if !strings.Contains(path, "/") && !strings.Contains(path, ".") {
		return
	}
	for _, dir := range m.foreign {
		if at := m.abs(path); strings.HasPrefix(at, strings.TrimSuffix(dir, "/")+"/") {
			m.problem(UnknownScript, path+" comes out of an archive that was just fetched")
			return
		}
	}
}

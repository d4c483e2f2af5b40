package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// house is the parsed tree: every Go file that is not a test, and the
// migrations.
type house struct {
	fset       *token.FileSet
	files      []*source
	migrations map[string]string // by path
}

// source is one parsed file.
type source struct {
	path    string // below the root, slashes
	pkg     string // as the floors name it
	tree    *ast.File
	lines   int
	imports map[string]string // local name to import path
}

const module = "phantom/"

// load parses cmd and internal below root.
func load(root fs.FS) (*house, error) {
	h := &house{fset: token.NewFileSet(), migrations: map[string]string{}}
	for _, top := range []string{"cmd", "internal"} {
		err := fs.WalkDir(root, top, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				if name == top {
					return fs.SkipDir // a fixture need not hold both
				}
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			return h.add(root, name)
		})
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *house) add(root fs.FS, name string) error {
	switch {
	case strings.HasPrefix(name, "internal/store/migrations/") && path.Ext(name) == ".sql":
		text, err := fs.ReadFile(root, name)
		h.migrations[name] = string(text)
		return err
	case path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
		return nil
	}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	tree, err := parser.ParseFile(h.fset, name, text, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("read the house: %w", err)
	}
	s := &source{path: name, pkg: packageOf(path.Dir(name)), tree: tree, imports: map[string]string{}}
	s.lines = h.fset.File(tree.FileStart).LineCount()
	for _, spec := range tree.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("read the house: %s: %w", name, err)
		}
		local := localName(target)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "_" || local == "." {
			local += target // neither is a name, and a file may have many
		}
		s.imports[local] = target
	}
	h.files = append(h.files, s)
	return nil
}

// packageOf names the package in a directory or an import path of ours.
func packageOf(dir string) string {
	return strings.TrimPrefix(strings.TrimPrefix(dir, module), "internal/")
}

// localName guesses the package name of an import path: the last part that is
// not a version.
func localName(target string) string {
	name := path.Base(target)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" && strings.Contains(target, "/") {
		name = path.Base(path.Dir(target))
	}
	name = strings.TrimPrefix(name, "go-")
	return strings.ReplaceAll(name, "-", "_")
}

// packages groups the files, in a fixed order.
func (h *house) packages() map[string][]*source {
	all := map[string][]*source{}
	for _, s := range h.files {
		all[s.pkg] = append(all[s.pkg], s)
	}
	for _, files := range all {
		slices.SortFunc(files, func(a, b *source) int { return cmp.Compare(a.path, b.path) })
	}
	return all
}

// within reports whether pkg is parent or lies below it.
func within(pkg, parent string) bool { return pkg == parent || strings.HasPrefix(pkg, parent+"/") }

// isSupport reports whether a package serves tests only.
func isSupport(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// at spells a position; only failures show it.
func (h *house) at(n ast.Node) string { return h.fset.Position(n.Pos()).String() }

package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// checkGlobals refuses init functions and package variables that change, or
// whose very type is for changing.
func checkGlobals(h *house) []string {
	var broken []string
	for pkg, files := range h.packages() {
		vars := map[string]bool{}
		for _, s := range files {
			for _, decl := range s.tree.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						broken = append(broken, fmt.Sprintf("%s: an init function: do it in a constructor", h.at(d)))
					}
				case *ast.GenDecl:
					if d.Tok == token.VAR {
						broken = append(broken, h.declare(s, d, vars)...)
					}
				}
			}
		}
		for _, s := range files {
			for _, where := range h.changes(s, vars) {
				broken = append(broken, fmt.Sprintf("%s: %s changes a package variable", where, pkg))
			}
		}
	}
	return broken
}

// declare notes the variables of a declaration and reports those made to
// change.
func (h *house) declare(s *source, d *ast.GenDecl, vars map[string]bool) []string {
	var broken []string
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		for _, name := range v.Names {
			vars[name.Name] = true
		}
		ast.Inspect(v, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false // what runs later has variables of its own
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && (s.imports[x.Name] == "sync" || s.imports[x.Name] == "sync/atomic") {
					broken = append(broken, fmt.Sprintf("%s: a package variable of %s.%s is shared state", h.at(n), x.Name, n.Sel.Name))
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "make" {
					broken = append(broken, fmt.Sprintf("%s: a package variable is made to be filled", h.at(n)))
				}
			}
			return true
		})
	}
	return broken
}

// changes finds assignments to package variables of this package, by name in
// vars, or of another, through its import.
func (h *house) changes(s *source, vars map[string]bool) []string {
	var where []string
	look := func(e ast.Expr) {
		if h.isGlobal(s, e, vars) {
			where = append(where, h.at(e))
		}
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					look(e)
				}
			}
		case *ast.IncDecStmt:
			look(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				look(n.Key)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
				look(n.Args[0])
			}
		}
		return true
	})
	return where
}

// isGlobal reports whether the variable at the bottom of e belongs to a
// package. The parser binds a name to what it finds in the file, so an unbound
// one is declared in another file of the package.
func (h *house) isGlobal(s *source, e ast.Expr, vars map[string]bool) bool {
	for {
		switch x := e.(type) {
		case *ast.SelectorExpr:
			if base, ok := x.X.(*ast.Ident); ok && base.Obj == nil && s.imports[base.Name] != "" {
				return true
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.Ident:
			return vars[x.Name] && (x.Obj == nil || s.tree.Scope.Lookup(x.Name) == x.Obj)
		default:
			return false
		}
	}
}

func checkBudgets(h *house) []string {
	var broken []string
	unused := maps.Clone(oversize)
	over := func(key, what string, size, limit int) {
		if size <= limit {
			return
		}
		if _, ok := oversize[key]; ok {
			delete(unused, key)
			return
		}
		broken = append(broken, fmt.Sprintf("%s: %d %s, budget %d", key, size, what, limit))
	}
	for pkg, files := range h.packages() {
		total := 0
		for _, s := range files {
			total += s.lines
			over(s.path, "lines", s.lines, maxFile)
			ast.Inspect(s.tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					key := s.path + ":" + n.Name.Name
					over(key, "lines", h.fset.Position(n.End()).Line-h.fset.Position(n.Pos()).Line+1, maxFunc)
					over(key, "parameters", n.Type.Params.NumFields(), maxParams)
				case *ast.TypeSpec:
					if i, ok := n.Type.(*ast.InterfaceType); ok {
						over(s.path+":"+n.Name.Name, "methods", i.Methods.NumFields(), maxMethods)
					}
				}
				return true
			})
		}
		over(pkg, "lines in the package", total, maxPackage)
	}
	for _, key := range slices.Sorted(maps.Keys(unused)) {
		file, _, _ := strings.Cut(key, ":")
		if slices.ContainsFunc(h.files, func(s *source) bool { return s.path == file || s.pkg == file }) {
			broken = append(broken, fmt.Sprintf("%s is within its budget again: take the exception out of the law", key))
		}
	}
	return broken
}

package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rule looks at the whole house and says what breaks it.
type rule struct {
	name string
	run  func(*house) []string
}

var rules = []rule{
	{"floors", checkFloors},
	{"powers", checkPowers},
	{"names", checkNames},
	{"globals", checkGlobals},
	{"budgets", checkBudgets},
	{"tables", checkTables},
}

// floorOf returns where pkg stands: on its own line of the table, or on its
// nearest parent's.
func floorOf(pkg string) (int, bool) {
	for at := pkg; at != "."; at = path.Dir(at) {
		if floor, ok := floors[at]; ok {
			return floor, true
		}
	}
	return 0, false
}

func checkFloors(h *house) []string {
	var broken []string
	unused := maps.Clone(edges)
	for _, s := range h.files {
		floor, known := floorOf(s.pkg)
		if !known {
			broken = append(broken, fmt.Sprintf("%s: package %s has no floor: give it one in the law", s.path, s.pkg))
			continue
		}
		for _, target := range s.imports {
			if !strings.HasPrefix(target, module) {
				continue
			}
			to := packageOf(target)
			edge := s.pkg + ">" + to
			delete(unused, edge)
			below, known := floorOf(to)
			switch {
			case edges[edge] != "", known && below < floor, within(s.pkg, to):
			case !known:
				broken = append(broken, fmt.Sprintf("%s: imports %s, which has no floor", s.path, to))
			default:
				broken = append(broken, fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d): imports go down", s.path, s.pkg, floor, to, below))
			}
			if isSupport(to) && !isSupport(s.pkg) {
				broken = append(broken, fmt.Sprintf("%s: imports %s, which serves tests only", s.path, to))
			}
		}
	}
	all := h.packages()
	for _, edge := range slices.Sorted(maps.Keys(unused)) {
		if from, to, _ := strings.Cut(edge, ">"); len(all[from]) > 0 && len(all[to]) > 0 {
			broken = append(broken, fmt.Sprintf("the edge %s is not used: take it out of the law", edge))
		}
	}
	return broken
}

// checkPowers finds every use of a power outside its homes. Test support may
// do what tests do.
func checkPowers(h *house) []string {
	var broken []string
	for _, s := range h.files {
		if isSupport(s.pkg) {
			continue
		}
		broken = append(broken, h.homeless(s)...)
		used := h.uses(s)
		for _, p := range powers {
			if slices.ContainsFunc(p.homes, func(home string) bool { return within(s.pkg, home) }) {
				continue
			}
			for _, use := range p.uses {
				if where, ok := used[use]; ok {
					broken = append(broken, fmt.Sprintf("%s: %s in %s: only %v may %s", where, use, s.pkg, p.homes, p.name))
				}
			}
		}
	}
	return broken
}

// homeless finds imports of other people's modules that no power names: each
// dependency has a home, and a new one gets it in the law.
func (h *house) homeless(s *source) []string {
	var broken []string
	for _, target := range s.imports {
		if host, _, _ := strings.Cut(target, "/"); !strings.Contains(host, ".") {
			continue
		}
		named := slices.ContainsFunc(powers, func(p power) bool {
			return slices.ContainsFunc(p.uses, func(use string) bool { return within(target, use) })
		})
		if !named {
			broken = append(broken, fmt.Sprintf("%s: the dependency %s has no home: give it one in the law", s.path, target))
		}
	}
	return broken
}

// uses lists what a file imports and names, spelled as powers spell it, each
// with one place. An import counts for every path above it.
func (h *house) uses(s *source) map[string]string {
	used := map[string]string{}
	for _, spec := range s.tree.Imports {
		target, _ := strconv.Unquote(spec.Path.Value) // load has read it before
		for at := target; at != "."; at = path.Dir(at) {
			if at != "log" || target == "log" { // log/slog is not a part of log
				used[at] = h.at(spec)
			}
		}
		if strings.HasPrefix(target, "math/rand/") {
			delete(used, "math/rand")
		}
	}
	full := func(e ast.Expr) string {
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && s.imports[x.Name] != "" {
			return s.imports[x.Name] + "." + sel.Sel.Name
		}
		return "*." + sel.Sel.Name
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			used[full(n)] = h.at(n)
		case *ast.CompositeLit:
			used[full(n.Type)+"{}"] = h.at(n)
		case *ast.ValueSpec:
			used[full(n.Type)+"{}"] = h.at(n)
		case *ast.Field: // by value; a pointer is another's
			used[full(n.Type)+"{}"] = h.at(n)
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Obj == nil {
				used["builtin."+f.Name] = h.at(n)
				if f.Name == "new" && len(n.Args) == 1 {
					used[full(n.Args[0])+"{}"] = h.at(n)
				}
			}
		}
		return true
	})
	return used
}

// checkNames holds packages to one comment each, to names that say something,
// and files to plain imports.
func checkNames(h *house) []string {
	var broken []string
	for pkg, files := range h.packages() {
		if slices.Contains(badNames, path.Base(pkg)) {
			broken = append(broken, fmt.Sprintf("%s: the name says nothing: name it after what it owns", pkg))
		}
		var docs []string
		for _, s := range files {
			if s.tree.Doc != nil {
				docs = append(docs, s.path)
				begin := "Package " + s.tree.Name.Name + " "
				if s.tree.Name.Name == "main" {
					begin = "Command "
				}
				if !strings.HasPrefix(s.tree.Doc.Text(), begin) {
					broken = append(broken, fmt.Sprintf("%s: the package comment does not begin with %q", s.path, begin))
				}
			}
			for local, target := range s.imports {
				switch {
				case strings.HasPrefix(local, "."):
					broken = append(broken, fmt.Sprintf("%s: imports all of %s into its own names", s.path, target))
				case strings.HasPrefix(local, "_") && target != "embed" && target != "modernc.org/sqlite":
					broken = append(broken, fmt.Sprintf("%s: imports %s for what its import does", s.path, target))
				}
			}
		}
		if len(docs) != 1 {
			broken = append(broken, fmt.Sprintf("%s: %d package comments %v, want one", pkg, len(docs), docs))
		}
	}
	return broken
}

var table = regexp.MustCompile(`\b(?:FROM|INTO|UPDATE|JOIN|TABLE|REPLACE)\s+"?([a-z][a-z0-9_]*)`)

var ddl = regexp.MustCompile(`\b(?:CREATE|ALTER|DROP)\s+(?:UNIQUE |VIRTUAL |TEMP )?(?:TABLE|INDEX|VIEW|TRIGGER)\b`)

var created = regexp.MustCompile(`(?m)^CREATE (?:VIRTUAL )?TABLE (?:IF NOT EXISTS )?(\w+)`)

var owned = regexp.MustCompile(`^-- owner: (\S+)$`)

// owners reads who owns each table from the comment above its creation.
func (h *house) owners() (owners map[string]string, broken []string) {
	owners = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(h.migrations)) {
		owner := ""
		for line := range strings.Lines(h.migrations[name]) {
			line = strings.TrimSpace(line)
			if m := owned.FindStringSubmatch(line); m != nil {
				owner = m[1]
				continue
			}
			if m := created.FindStringSubmatch(line); m != nil {
				if _, known := floors[owner]; !known {
					broken = append(broken, fmt.Sprintf("%s: table %s has no owner: write \"-- owner: <package>\" above it", name, m[1]))
				}
				owners[m[1]] = owner
			}
			if !strings.HasPrefix(line, "--") {
				owner = ""
			}
		}
	}
	return owners, broken
}

func checkTables(h *house) []string {
	owners, broken := h.owners()
	for _, s := range h.files {
		if within(s.pkg, "store") {
			continue // it writes the schema, backs it up and checks it
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				return true
			}
			if m := ddl.FindString(text); m != "" {
				broken = append(broken, fmt.Sprintf("%s: %s outside store", h.at(lit), m))
			}
			for _, m := range table.FindAllStringSubmatch(text, -1) {
				if owner, known := owners[m[1]]; known && !within(s.pkg, owner) {
					broken = append(broken, fmt.Sprintf("%s: %s uses table %s, which %s owns", h.at(lit), s.pkg, m[1], owner))
				}
			}
			return true
		})
	}
	return broken
}

package selfconf

import (
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff returns what changed from a to b, document by document, unified, with
// three lines of context; "" if nothing did.
func Diff(a, b Documents) string {
	var out strings.Builder
	for _, name := range Names() {
		raw := string(diff.Diff("a/"+name, []byte(a[name]), "b/"+name, []byte(b[name])))
		_, raw, _ = strings.Cut(raw, "\n") // the line "diff a/… b/…" says nothing that the next two do not
		out.WriteString(raw)
	}
	return out.String()
}

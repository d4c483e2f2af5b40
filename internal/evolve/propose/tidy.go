package propose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"phantom/internal/selfconf"
)

// maxTidied bounds the lines that one consolidation changes: as many as a
// version may.
const maxTidied = 40

// Consolidate proposes to remove what holds no longer and what is said twice.
// Of two lines that say the same the newer stays, of two of which one says more
// the one that says more. Lines that are no bullets are the owner's layout, and
// stay. The deltas are meant to be applied one after the other.
func Consolidate(docs selfconf.Documents, expired []selfconf.Delta, now time.Time) []selfconf.Delta {
	t := tidying{docs: docs}
	for _, p := range bullets(docs) {
		if why := outlived(p, expired, now); why != "" {
			t.remove(p, why)
		}
	}
	lines := slices.DeleteFunc(bullets(t.docs), func(p place) bool { return !strings.HasPrefix(p.line, "- ") })
	texts := make([]text, len(lines))
	for i, p := range lines {
		texts[i] = reading(p.line)
	}
	gone := make([]bool, len(lines))
	for i := range lines {
		for j := i + 1; j < len(lines) && !gone[i]; j++ {
			if gone[j] || !texts[i].near(texts[j]) {
				continue
			}
			forth, back := texts[i].standsTo(texts[j]) == same, texts[j].standsTo(texts[i]) == same
			switch {
			case forth && sooner(lines[j].line, lines[i].line): // it would go before the other
				gone[j] = back && t.remove(lines[j], fmt.Sprintf("it says what “%s” says", clip(bare(lines[i].line))))
			case forth:
				gone[i] = t.remove(lines[i], fmt.Sprintf("it says what “%s” says", clip(bare(lines[j].line))))
			case back && !sooner(lines[i].line, lines[j].line):
				gone[j] = t.remove(lines[j], fmt.Sprintf("it says what “%s” says", clip(bare(lines[i].line))))
			}
		}
	}
	return t.deltas
}

// sooner reports whether the first line holds for a shorter time.
func sooner(a, b string) bool {
	first, ends := Until(a)
	second, alsoEnds := Until(b)
	return ends && (!alsoEnds || first.Before(second))
}

// near reports whether it is worth it to compare two texts in full.
func (t text) near(o text) bool {
	shared := len(t.words) - len(t.less(o))
	return shared > 0 && 5*shared >= 4*min(len(t.words), len(o.words))
}

// outlived says why a line holds no longer, or "".
func outlived(p place, expired []selfconf.Delta, now time.Time) string {
	if until, ok := Until(p.line); ok {
		if !now.Before(until.Add(24 * time.Hour)) {
			return "it held until " + until.Format(time.DateOnly)
		}
		return "" // it may have been said again since
	}
	for _, d := range expired {
		if d.File == p.file && !d.Expires.IsZero() && !d.Expires.After(now) && slices.Contains(strings.Split(strings.TrimRight(d.Content, "\n"), "\n"), p.line) {
			return "it held until " + d.Expires.UTC().Format(time.DateOnly)
		}
	}
	return ""
}

// tidying is what a consolidation has come to.
type tidying struct {
	docs   selfconf.Documents
	deltas []selfconf.Delta
}

// remove proposes to remove the first of the lines that read so. One that
// stands there more than once is named by its neighbours.
func (t *tidying) remove(p place, why string) bool {
	if len(t.deltas) >= maxTidied {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(t.docs[p.file], "\n"), "\n")
	at := slices.Index(lines, p.line)
	if at < 0 {
		return false
	}
	from, to := at, at+1
	for count(lines, lines[from:to]) > 1 {
		if from > 0 {
			from--
		} else if to < len(lines) {
			to++
		} else {
			return false
		}
	}
	delta := selfconf.Delta{File: p.file, Type: selfconf.Remove, Target: strings.Join(lines[from:to], "\n"), Rationale: why}
	if to-from > 1 {
		delta.Type = selfconf.Replace
		delta.Content = strings.Join(slices.Concat(lines[from:at], lines[at+1:to]), "\n")
	}
	after, err := t.docs.Apply(delta)
	if err != nil { // such a line is left as it stands
		return false
	}
	t.docs = after
	t.deltas = append(t.deltas, identified(delta))
	return true
}

// count counts where lines stand in others.
func count(lines, run []string) int {
	n := 0
	for i := 0; i+len(run) <= len(lines); i++ {
		if slices.Equal(lines[i:i+len(run)], run) {
			n++
		}
	}
	return n
}

package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func stat(pid int, name string) string {
	return fmt.Sprintf("%d (%s) S 7 42 42 0 -1 4194560 100 0 0 0 10 20 3 4 20 0 1 0 12345 1000 50 18446744073709551615", pid, name)
}

func TestParseStat(t *testing.T) {
	rows := []struct {
		name, line string
		ok         bool
	}{
		{"a plain name", stat(9, "sleep"), true},
		{"a name that imitates the fields", stat(9, "x) R 1 1 (y"), true},
		{"an empty name", stat(9, ""), true},
		{"nothing", "", false},
		{"no name", "9 S 7", false},
		{"brackets the wrong way round", ")9(", false},
		{"cut short", "9 (sleep) S 7 42", false},
		{"a word for a number", strings.Replace(stat(9, "sleep"), "12345", "soon", 1), false},
	}
	if p, err := parseStat([]byte(strings.Replace(stat(9, "sleep"), "4194560", "4194624", 1))); err != nil || !p.forked { // with PF_FORKNOEXEC
		t.Errorf("a process that has begun nothing: %+v, %v", p, err)
	}
	want := process{pid: 9, parent: 7, group: 42, state: 'S', start: 12345, cpu: 37 * tick, resident: 50 * int64(os.Getpagesize())}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := parseStat([]byte(row.line))
			if (err == nil) != row.ok {
				t.Fatalf("%q: error %v, want ok %v", row.line, err, row.ok)
			}
			if row.ok && got != want {
				t.Errorf("%q: got %+v, want %+v", row.line, got, want)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(stat(1, "init")))
	f.Add([]byte(stat(2, ") (")))
	f.Add([]byte("1 (a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseStat(b); err != nil && p != (process{}) {
			t.Errorf("%q: an error and %+v", b, p)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{"abc-12-34", "abc-1-34", "--", "a-b-c", "abc-12-34-5", "self-test"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_, pid, _, err := parseRecord(name)
		if err == nil && pid <= 1 {
			t.Errorf("%q names process %d", name, pid)
		}
	})
}

func TestParseNotesLeavesOutWhatIsNoNote(t *testing.T) {
	got := parseNotes([]byte("12 34\n1 5\n-3 4\nx y\n\n7 8 9\n56 78\n90 1"))
	want := []note{{12, 34}, {56, 78}} // the last one lacks its end: it may have been cut
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(note{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseNotes(f *testing.F) {
	f.Add([]byte("12 34\n56 78\n"))
	f.Add([]byte("12 34"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, n := range parseNotes(b) {
			if n.pid <= 1 {
				t.Errorf("%q notes process %d", b, n.pid)
			}
		}
	})
}

func FuzzPSS(f *testing.F) {
	f.Add([]byte("Rss: 10 kB\nPss: 5 kB\n"))
	f.Add([]byte("Pss: x"))
	f.Fuzz(func(_ *testing.T, b []byte) { pss(b, 7) })
}

func TestLevels(t *testing.T) {
	for _, l := range []Level{None, Kernel, Full} {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("ParseLevel(%q) = %v, %v", l, got, err)
		}
	}
	if got, err := ParseLevel("fulll"); err == nil || got != Full {
		t.Errorf("an unknown level is %v, %v; want an error and the strictest", got, err)
	}
	if got := Level(9).String(); got != "none" {
		t.Errorf("a level that does not exist is %q, want none", got)
	}
}

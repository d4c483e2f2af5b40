package transfer

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

func open(t *testing.T) *memory.Store {
	t.Helper()
	s, err := memory.New(memory.Deps{DB: storetest.Open(t), Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// every returns all memories, the oldest first.
func every(t *testing.T, s *memory.Store) []memory.Item {
	t.Helper()
	var items []memory.Item
	if err := s.Each(t.Context(), func(i memory.Item) error { items = append(items, i); return nil }); err != nil {
		t.Fatal(err)
	}
	return items
}

// TestExportComesBack takes a memory with history, taint and uses to another
// home, twice: it arrives whole, and once.
func TestExportComesBack(t *testing.T) {
	from, to := open(t), open(t)
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	fact := func(object string, days int, who phantom.Provenance) memory.Item {
		return memory.Item{Kind: memory.Fact, Text: "heron is " + object, Subject: "heron", Predicate: "is", Object: object, Provenance: who, At: at.AddDate(0, 0, days)}
	}
	told := []memory.Item{
		fact("green", 0, phantom.Owner), fact("grey", 3, phantom.Owner), fact("pink", 4, phantom.Tool),
		{Text: "a page says that <b>the & sign</b> is rare", Provenance: phantom.Web, Taint: phantom.Taint{"http://example.net/"}, Source: "turn", At: at, Importance: 0.9, Confidence: 0.25},
		{Kind: memory.Procedure, Text: "first this, then that", Provenance: phantom.Owner, At: at, ValidFrom: at.AddDate(0, 0, -1), ValidUntil: at.AddDate(1, 0, 0)},
	}
	if _, err := from.Add(t.Context(), told...); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if n, err := Write(t.Context(), from, &file); err != nil || n != len(told) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	for round, want := range []int{len(told), 0} {
		items, err := Read(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := to.Import(t.Context(), items...); err != nil || n != want {
			t.Fatalf("round %d added %d, %v; want %d", round, n, err, want)
		}
	}
	byID := cmpopts.SortSlices(func(a, b memory.Item) bool { return a.ID < b.ID })
	if diff := cmp.Diff(every(t, from), every(t, to), cmpopts.IgnoreUnexported(memory.Item{}), byID); diff != "" {
		t.Errorf("what came back (-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no JSON":           {"{\"text\":\"a\"}\nhello\n", "line 2 is no memory"},
		"an unknown field":  {`{"text":"a","rights":"all"}`, "line 1 is no memory"},
		"no text":           {"\n\n{}", "line 3 is no memory"},
		"two on one line":   {`{"text":"a"}{"text":"b"}`, "more than one"},
		"a line too long":   {strings.Repeat("x", maxLine+1), "too long"},
		"a list of objects": {`[{"text":"a"}]`, "line 1 is no memory"},
	} {
		if items, err := Read(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %q", name, items, err, tt.want)
		}
	}
}

func TestNotes(t *testing.T) {
	text := "# Servers\n\nThe staging server\nis called heron.\n\n- first point\n- second point\n  goes on\n* third\n---\nthe end\n## Empty\n"
	items, err := Notes(strings.NewReader(text), "a.md", false, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range items {
		got = append(got, i.Text)
		if i.Provenance == phantom.Owner || i.Taint.Clean() {
			t.Errorf("%q counts as the owner's: %s, %v", i.Text, i.Provenance, i.Taint)
		}
	}
	if diff := cmp.Diff([]string{"The staging server\nis called heron.", "first point", "second point\ngoes on", "third", "the end"}, got); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if own, err := Notes(strings.NewReader("mine"), "a.md", true, time.Now()); err != nil || len(own) != 1 || own[0].Provenance != phantom.Owner || !own[0].Taint.Clean() {
		t.Errorf("%+v, %v", own, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"text":"a","kind":"fact","at":"2026-11-02T09:00:00Z","taint":["x"]}`))
	f.Add([]byte("\xff\n{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		items, err := Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for _, i := range items {
			if strings.TrimSpace(i.Text) == "" {
				t.Error("a memory without a text was read")
			}
		}
	})
}

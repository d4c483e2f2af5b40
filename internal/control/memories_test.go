package control

import (
	"fmt"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

func openMemory(t *testing.T, db *store.DB) *memory.Store {
	t.Helper()
	m, err := memory.New(memory.Deps{DB: db, Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The record says that memories were kept and forgotten, and not what they said.
func TestMemories(t *testing.T) {
	socket, _, log := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	var items []memory.Item
	for i := range importBatch + 1 {
		items = append(items, memory.Item{ID: phantom.NewID(), Text: fmt.Sprintf("heron number %d was seen", i), Provenance: phantom.Owner})
	}
	for _, want := range []int{importBatch + 1, 0} {
		if added, err := c.Import(t.Context(), items...); err != nil || added != want {
			t.Fatalf("imported %d, %v; want %d", added, err, want)
		}
	}
	if err := c.Forget(t.Context(), items[0].ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{items[0].ID, "nobody", "a/b"} {
		if err := c.Forget(t.Context(), id); err == nil || !strings.Contains(err.Error(), "no such memory") {
			t.Errorf("forget %q: %v", id, err)
		}
	}
	if _, err := c.Import(t.Context(), memory.Item{}); err == nil {
		t.Error("a memory without a text was kept")
	}
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]int{}
	for _, r := range rows {
		methods[r.Method]++
		if strings.Contains(fmt.Sprint(r), "heron") {
			t.Errorf("the record holds a memory: %+v", r)
		}
	}
	if methods["memory import"] < 3 || methods["memory forget"] < 4 {
		t.Errorf("on record are %v", methods)
	}
}

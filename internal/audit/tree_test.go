package audit

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestFrontier holds the tree against the library's own, at every size.
func TestFrontier(t *testing.T) {
	var f frontier
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(ids []int64) ([]tlog.Hash, error) {
		all := make([]tlog.Hash, len(ids))
		for i, id := range ids {
			all[i] = stored[id]
		}
		return all, nil
	})
	for n := range int64(300) {
		want, err := tlog.TreeHash(n, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.root(); got != want {
			t.Fatalf("root of %d leaves = %v, want %v", n, got, want)
		}
		leaf := tlog.RecordHash([]byte{byte(n)})
		hashes, err := tlog.StoredHashesForRecordHash(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		got := f.push(leaf, nil)
		if len(got) != len(hashes) {
			t.Fatalf("leaf %d completes %d hashes, want %d", n, len(got), len(hashes))
		}
		for i := range got {
			if got[i] != hashes[i] {
				t.Fatalf("hash %d of leaf %d differs", i, n)
			}
		}
		stored = append(stored, got...)
		if int64(len(stored)) != tlog.StoredHashCount(n+1) {
			t.Fatalf("%d hashes stored for %d leaves", len(stored), n+1)
		}
	}
}

// TestLeafIsUnambiguous moves a byte between neighbouring texts.
func TestLeafIsUnambiguous(t *testing.T) {
	a, _ := Record{Row: Row{Surface: "ab", Principal: "c"}}.leaf(nil)
	b, _ := Record{Row: Row{Surface: "a", Principal: "bc"}}.leaf(nil)
	c, _ := Record{Row: Row{Surface: "ab", Principal: "c"}, Events: []FileRow{{}}}.leaf(nil)
	if a == b || a == c {
		t.Error("two records have one leaf")
	}
}

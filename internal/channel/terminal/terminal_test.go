package terminal_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/channel/terminal"
	"phantom/internal/phantom"
)

func delivery(id, text string) phantom.Delivery {
	return phantom.Delivery{ID: phantom.DeliveryID(id), Conversation: terminal.Conversation("main"), Text: text}
}

func lines(t *testing.T, path string) []terminal.Line {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []terminal.Line
	for line := range strings.Lines(string(raw)) {
		var l terminal.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

func TestLog(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	tests := []struct {
		name   string
		before string   // what stands in the file
		sends  []string // delivery ids
		want   []string
	}{
		{"an empty log", "", []string{"a", "b"}, []string{"a", "b"}},
		{"a delivery that comes again at once is not repeated", "", []string{"a", "a", "b"}, []string{"a", "b"}},
		{"a delivery that comes again after a restart is not repeated", `{"id":"a"}` + "\n", []string{"a", "b"}, []string{"a", "b"}},
		{"a line cut by a crash is written again", `{"id":"a"}` + "\n" + `{"id":"b","te`, []string{"b"}, []string{"a", "b"}},
		{"only a cut line", `{"id":"a"`, []string{"a"}, []string{"a"}},
		{"a last line longer than the first read", `{"id":"z"}` + "\n" + `{"id":"a","text":"` + long + `"}` + "\n", []string{"a", "b"}, []string{"z", "a", "b"}},
		{"a cut line longer than the first read", `{"id":"z"}` + "\n" + `{"id":"a","text":"` + long, []string{"z", "a"}, []string{"z", "a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "terminal.jsonl")
			if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := terminal.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range tt.sends {
				if _, err := c.Deliver(t.Context(), delivery(id, "hello")); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range lines(t, path) {
				got = append(got, string(l.ID))
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("ids in the log = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBrokenLogIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "terminal.jsonl")
	if err := os.WriteFile(path, []byte("these are words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := terminal.Open(path); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Errorf("Open = %v, want an error that says how to mend it", err)
	}
}

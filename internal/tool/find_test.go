package tool

import (
	"os"
	"strings"
	"testing"
)

func TestListFiles(t *testing.T) {
	b := setUp(t, nil)
	if err := os.MkdirAll(b.path("d/e"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.go", "b.md", "d/c.go", "d/e/f.go"} {
		b.put(name, "x")
	}
	for name, to := range map[string]string{"out": "/etc", "conf": "../config"} {
		if err := os.Symlink(to, b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		args   values
		failed bool
		want   string
	}{
		{"all", values{}, false, "a.go\t1 bytes\nb.md\t1 bytes\nd/\n"},
		{"by name", values{"pattern": "*.md"}, false, "b.md\t1 bytes\n"},
		{"at every depth", values{"pattern": "**/*.go"}, false, "a.go\t1 bytes\nd/c.go\t1 bytes\nd/e/f.go\t1 bytes\n"},
		{"in a directory", values{"path": "d"}, false, "c.go\t1 bytes\ne/\n"},
		{"with a directory in the pattern", values{"pattern": "d/*.go"}, false, "c.go\t1 bytes\n"},
		{"nothing", values{"pattern": "*.none"}, false, "nothing in "},
		{"no glob", values{"pattern": "[a"}, true, "is no glob"},
		{"missing directory", values{"path": "none"}, true, "no such directory"},
		{"protected", values{"path": b.home + "/config"}, true, "blocked: "},
		{"protected, by the pattern", values{"pattern": "../config/*"}, true, "blocked: "},
		{"protected, by a link", values{"path": "conf"}, true, "blocked: "},
		{"outside", values{"path": "/etc"}, true, "blocked: "},
		{"outside, by a link in the pattern", values{"pattern": "out/*"}, true, "blocked: "},
		{"upwards inside the pattern", values{"pattern": "{d/../..,d}/**"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := b.call("list_files", tt.args)
			if tt.want == "" { // refused or empty, as long as nothing of it is shown
				if strings.Contains(got.Content, "phantom.yaml") {
					t.Errorf("protected names are shown: %q", got.Content)
				}
				return
			}
			wants(t, got, tt.failed, tt.want)
		})
	}
}

func TestSearchFiles(t *testing.T) {
	b := setUp(t, nil)
	b.put("a.txt", "one\ntwo needle\r\n"+strings.Repeat("x", 2*300)+"needle\n")
	b.put("b.md", "needle\n")
	b.put("binary", "needle\x00needle")
	b.put("key", "-----BEGIN PRIVATE KEY-----\nMIIabcdefghijkl\nMIImnopqrstuv\n-----END PRIVATE KEY-----\n")
	b.put("cut", strings.Repeat("x", 300-8)+planted)
	if err := os.Symlink("../config/phantom.yaml", b.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(b.home+"/config/phantom.yaml", b.path("hard")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   values
		failed bool
		want   string
	}{
		{"everywhere", values{"pattern": "needle"}, false, "a.txt:2:two needle\na.txt:3:xxx"},
		{"at the end of a line", values{"pattern": "needle$", "files": "*.md"}, false, "b.md:1:needle\n"},
		{"nothing", values{"pattern": "haystack"}, false, "no line in "},
		{"not behind links to protected files", values{"pattern": "precious"}, false, "no line in "},
		{"not a key block by its lines", values{"pattern": "^MII"}, false, "no line in "},
		{"no secret by its beginning", values{"pattern": planted[:8]}, false, "no line in "},
		{"no regular expression", values{"pattern": "("}, true, "RE2"},
		{"outside", values{"pattern": "root", "path": "/etc"}, true, "blocked: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := b.call("search_files", tt.args)
			wants(t, got, tt.failed, tt.want)
			if strings.Contains(got.Content, "binary:") {
				t.Errorf("a binary file is shown: %q", got.Content)
			}
		})
	}
	if got := b.call("search_files", values{"pattern": "x", "files": "cut"}); strings.Contains(got.Content, planted[:6]) {
		t.Errorf("a cut line ends in half a secret: %q", got.Content)
	}
}

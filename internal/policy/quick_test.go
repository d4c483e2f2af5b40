package policy

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

type fakeFS struct{}

func (fakeFS) Resolve(p string) (string, error) { return p, nil }
func (fakeFS) Glob(string) ([]string, error)    { return nil, nil }

func testPolicy(t testing.TB) *Policy {
	p, err := New(Config{Home: "/home/alice/.phantom", Workspace: "/home/alice/.phantom/workspace", UserHome: "/home/alice",
		Protected: []string{"/home/alice/.phantom/config", "/home/alice/.phantom/data", "/home/alice/.phantom/phantom-config", "/home/alice/.phantom/.env.local", "/home/alice/.phantom/.env", "/usr/local/bin/phantom"},
		Readable:  []string{"/home/alice/.phantom/phantom-config"}, Files: fakeFS{}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestQ(t *testing.T) {
	f, err := os.Open(os.Getenv("QF"))
	if err != nil {
		return
	}
	want := os.Getenv("WANT")
	p := testPolicy(t)
	sc := bufio.NewScanner(f)
	n := 0
	for sc.Scan() {
		l := strings.ReplaceAll(sc.Text(), "\\n", "\n")
		_, cmd, ok := strings.Cut(l, "\t")
		if !ok {
			continue
		}
		n++
		d := p.Explain(cmd, "/home/alice/.phantom/workspace")
		if (d.Decision == "allow") != (want == "allow") {
			fmt.Printf("%-6s %-18s %s\n", d.Decision, d.Rule, l)
		}
	}
	fmt.Println(n)
}

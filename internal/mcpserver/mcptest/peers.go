package mcptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Peers is the folder into which scripts/mcp-peers installs the programs of
// others.
type Peers struct{ dir string }

// Find returns the peers. Where they are missing or of other versions than
// this checkout names, the test is skipped and says how to get them; in CI it
// fails.
func Find(t testing.TB) Peers {
	t.Helper()
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, ".cache", "mcp-peers")
	want, err := os.ReadFile(filepath.Join(root, "tools", "mcp-peers", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.ReadFile(filepath.Join(dir, "installed.json")); err != nil || !bytes.Equal(have, want) {
		missing := "the MCP clients and the conformance suite are not installed: run scripts/mcp-peers"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return Peers{dir}
}

// checkout is the folder of go.mod.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.mod in this folder or above it")
}

// Modules is the folder of the installed packages.
func (p Peers) Modules() string { return filepath.Join(p.dir, "node_modules") }

// Command prepares a program of a package, a script of Node.js in one, or a
// program of the machine. It gets a home of its own and no variable of ours, so
// that no setting or key of the machine's user takes part.
func (p Peers) Command(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	if !filepath.IsAbs(program) {
		program = filepath.Join(p.Modules(), program)
	}
	if strings.HasSuffix(program, "js") {
		program, args = filepath.Join(p.Modules(), ".bin", "node"), append([]string{program}, args...)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + filepath.Join(p.Modules(), ".bin") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + cmd.Dir, "LANG=C.UTF-8", "NO_COLOR=1"}
	cmd.WaitDelay = time.Second // a child of theirs may hold the pipes
	return cmd
}

// Proxy serves what is behind target with the token added to every request,
// because the conformance suite cannot send one, and returns its own base URL.
// Host and Origin arrive as the client sent them.
func Proxy(t testing.TB, target, token string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
		FlushInterval: -1,                                                      // events go out as they come
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // streams end when their client leaves
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) { // a client that left is no fault
				t.Logf("proxy: %s %s: %v", r.Method, r.URL.Path, err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	t.Cleanup(func() {
		server.CloseClientConnections() // streams would not end by themselves
		server.Close()
	})
	return server.URL
}

// Suite is one way to run the conformance suite.
type Suite struct {
	Name      string
	release   string   // the package of the suite
	selection []string // what of it is run
}

// Suites are the runs that a server must pass whole: what each revision of the
// protocol requires, and what the last stable release of the suite runs.
func Suites() []Suite {
	return []Suite{
		{"2025-11-25", "conformance-next", []string{"--requirements", "2025-11-25"}},
		{"2026-07-28", "conformance-next", []string{"--requirements", "2026-07-28"}},
		{"stable", "@modelcontextprotocol/conformance", []string{"--suite", "active"}},
	}
}

// Only is the suite cut down to one scenario.
func (s Suite) Only(scenario string) Suite {
	if s.release == "conformance-next" {
		return Suite{s.Name + "/" + scenario, s.release, []string{"--scenario", scenario, "--spec-version", s.Name}}
	}
	return Suite{s.Name + "/" + scenario, s.release, []string{"--scenario", scenario}}
}

// Run runs the suite against the endpoint without a list of failures that are
// expected, logs the suite's summary, and fails as the suite says.
func (p Peers) Run(t *testing.T, s Suite, endpoint string) {
	t.Helper()
	results := t.TempDir()
	args := append([]string{"server", "--url", endpoint, "--output-dir", results}, s.selection...)
	began := time.Now()
	out, err := p.Command(t, filepath.Join(s.release, "dist", "index.js"), args...).CombinedOutput()
	summary := string(out)
	for _, heading := range []string{"=== SUMMARY ===", "Test Results:"} { // of many scenarios, of one
		if _, after, found := strings.Cut(summary, heading); found {
			summary = after
		}
	}
	t.Logf("%s, %.1f s\n%s", s.Name, time.Since(began).Seconds(), strings.TrimSpace(summary))
	if err != nil {
		t.Errorf("the suite failed: %v\n%s", err, failures(t, results))
	}
}

// failures lists what the suite wrote about the checks that did not pass.
func failures(t *testing.T, results string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(raw, &checks); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range checks {
			if c.Status != "SUCCESS" && c.Status != "INFO" {
				fmt.Fprintf(&out, "%s %s: %s\n", c.Status, c.ID, c.ErrorMessage)
			}
		}
	}
	return out.String()
}

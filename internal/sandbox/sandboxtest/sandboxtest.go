// Package sandboxtest gives the tests of packages that run programs a home of
// their own and the real sandbox around it. Only tests import it.
package sandboxtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"phantom/internal/sandbox"
)

// helper is the first argument of a test binary that is to be the sandbox's
// helper.
const helper = "sandbox-exec"

// Main is the TestMain of a package that calls Open: its test binary is the
// helper too.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == helper {
		syscall.Exit(sandbox.Helper(os.Args[2:])) // os.Exit lets the race detector rest for a second
	}
	os.Exit(m.Run())
}

// Home makes a home of Phantom in the test's own directory.
func Home(t testing.TB) string {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"config", "data", "workspace"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// Protected are the paths of a home that no program may see.
func Protected(home string) []string {
	return []string{filepath.Join(home, "config"), filepath.Join(home, "data"), filepath.Join(home, ".env.local")}
}

// Open returns the sandbox of a home, confined by the kernel; most is the best
// level that it may be of, zero is whatever there is.
func Open(t testing.TB, home string, most sandbox.Level) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(t.Context(), sandbox.Config{
		Self: []string{"/proc/self/exe", helper}, Home: home, Workspace: filepath.Join(home, "workspace"), Protected: Protected(home),
		Record: filepath.Join(home, "data", "processes"), Require: sandbox.Kernel, Max: most,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

package arch

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var sabotage = flag.Bool("sabotage", false, "switch off every control in turn and see its test fail")

// sabotageTimeout bounds one test: one that hangs without the control has
// noticed that it is gone.
const sabotageTimeout = time.Minute

// A sabotaged control is one whose code is replaced while its test is compiled.
type sabotaged struct {
	control  string // what is switched off
	file     string // below internal/ or cmd/
	from, to string // the code that does it, found exactly once, and what stands there instead
	test     string // the test that must fail, in the package of the file unless in is set
	in       string
}

// TestSabotage switches off one control after the other, in an overlay that
// leaves the tree alone, and runs the test that claims to prove it. A test
// that still passes proves nothing.
func TestSabotage(t *testing.T) {
	if !*sabotage {
		if os.Getenv("CI") == "true" {
			t.Fatal("in CI `make sabotage` runs this, and scripts/test leaves it out")
		}
		t.Skip("takes a quarter of an hour: run `make sabotage`")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range controls {
		t.Run(strings.ReplaceAll(row.control, " ", "_"), func(t *testing.T) {
			t.Parallel()
			row.run(t, root)
		})
	}
}

// TestRowsMeetTheCode looks for the code of every row, which is quick.
func TestRowsMeetTheCode(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range controls {
		row.code(t, "../..")
		if seen[row.control] {
			t.Errorf("two rows are named %q", row.control)
		}
		seen[row.control] = true
	}
}

// code returns the file that holds a row's code.
func (s sabotaged) code(t *testing.T, root string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, s.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), s.from); n != 1 {
		t.Errorf("%s holds %q %d times, want once: the row no longer meets the code", s.file, s.from, n)
	}
	return string(raw)
}

func (s sabotaged) run(t *testing.T, root string) {
	path := filepath.Join(root, s.file)
	raw := s.code(t, root)
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, broken, []byte(strings.Replace(raw, s.from, s.to, 1)))
	write(t, filepath.Join(dir, "overlay.json"), overlay)

	in := s.in
	if in == "" {
		in = filepath.Dir(s.file)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-timeout="+sabotageTimeout.String(),
		"-overlay="+filepath.Join(dir, "overlay.json"), "-run=^"+s.test+"$", "./"+in)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%s switched off, %s still passes:\n%s", s.control, s.test, out)
	} else if !failure.Match(out) {
		t.Errorf("%s switched off, %s did not fail but could not run: %v\n%s", s.control, s.test, err, out)
	}
}

// failure is a test that ran and failed; what does not compile proves nothing.
var failure = regexp.MustCompile(`(?m)^(\s*--- FAIL: |panic: )`)

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

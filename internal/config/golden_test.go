package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"phantom/internal/config"
)

var update = flag.Bool("update", false, "write what is said now into the golden files")

// TestBadInput loads homes that are wrong in some way. Each file of testdata/bad
// is an archive: the files laid over a fresh home, "env" with the variables
// set, and "want" with the message, or with the disabled parts if it loads.
func TestBadInput(t *testing.T) {
	cases, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			h := newHome(t)
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := -1
			for i, f := range archive.Files {
				switch f.Name {
				case "want":
					want = i
				case "env":
					for line := range strings.Lines(string(f.Data)) {
						name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
						t.Setenv(name, value)
					}
				default:
					write(t, filepath.Join(h.Dir(), f.Name), string(f.Data))
				}
			}
			if want < 0 {
				t.Fatalf("%s says nothing of what it wants", path)
			}
			got := outcome(h)
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("Load (-want +got):\n%s", diff)
			}
		})
	}
}

func outcome(h config.Home) string {
	c, err := config.Load(h, config.Overrides{})
	var out strings.Builder
	if err != nil {
		out.WriteString(err.Error() + "\n")
	} else {
		for _, d := range c.Disabled {
			out.WriteString("disabled " + d.Part + ": " + d.Reason + "\n")
		}
		if c.Channels.Slack.Enabled {
			out.WriteString("enabled slack\n")
		}
		if c.Channels.Telegram.Enabled {
			out.WriteString("enabled telegram\n")
		}
	}
	return strings.ReplaceAll(out.String(), h.Dir(), "HOME")
}

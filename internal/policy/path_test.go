package policy

import (
	"os"
	"path/filepath"
	"testing"

	"phantom/internal/phantom"
)

// house makes a home with a workspace on the disk, and a policy for it.
func house(t *testing.T) (home string, p *Policy) {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"config", "data", "phantom-config", "workspace/sub", "granted", "shown"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"config/phantom.yaml", "phantom-config/persona.md", "workspace/a.txt"} {
		if err := os.WriteFile(filepath.Join(home, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"away": "../config", "dangling": "../config/new.yaml", "inside": "sub", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(home, "workspace", link)); err != nil {
			t.Fatal(err)
		}
	}
	p, err = New(Config{
		Home: home, Workspace: home + "/workspace", UserHome: "/home/nobody-here", Files: Disk(),
		Protected: []string{home + "/config", home + "/data", home + "/phantom-config"},
		Readable:  []string{home + "/phantom-config"},
		Grants:    []Grant{{Path: home + "/granted", Write: true}, {Path: home + "/shown"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return home, p
}

func TestPathGuard(t *testing.T) {
	home, p := house(t)
	rows := []struct {
		name, path  string
		read, write bool
	}{
		{"the workspace is the agent's", home + "/workspace/a.txt", true, true},
		{"a new file in it", home + "/workspace/new/deep.txt", true, true},
		{"a link that stays inside", home + "/workspace/inside/x", true, true},
		{"a link that leads to protected files", home + "/workspace/away/phantom.yaml", false, false},
		{"a link to a protected file that is not there yet", home + "/workspace/dangling", false, false},
		{"a link that leads nowhere", home + "/workspace/loop", false, false},
		{"protected", home + "/config/phantom.yaml", false, false},
		{"protected by another spelling", home + "/workspace/../config/./phantom.yaml", false, false},
		{"protected but readable", home + "/phantom-config/persona.md", true, false},
		{"granted for writing", home + "/granted/x", true, true},
		{"granted for reading", home + "/shown/x", true, false},
		{"beside a grant with the same beginning", home + "/granted-not/x", false, false},
		{"outside", "/etc/hostname", false, false},
		{"a process's memory", "/proc/self/environ", false, false},
		{"a device", "/dev/sda", false, false},
		{"relative", "workspace/a.txt", false, false},
		{"empty", "", false, false},
		{"with a zero byte", home + "/workspace/a\x00b", false, false},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if got := p.Read(r.path).Decision == phantom.Allow; got != r.read {
				t.Errorf("Read(%q) allowed = %v, want %v", r.path, got, r.read)
			}
			if got := p.Write(r.path).Decision == phantom.Allow; got != r.write {
				t.Errorf("Write(%q) allowed = %v, want %v", r.path, got, r.write)
			}
		})
	}
}

func TestCommandsFollowLinks(t *testing.T) {
	home, p := house(t)
	ws := home + "/workspace"
	if err := os.Symlink("/usr", filepath.Join(ws, "system")); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name, line string
		want       phantom.Decision
	}{
		{"reading through a link", "cat away/phantom.yaml", phantom.Block},
		{"writing through a dangling link", "echo x > dangling", phantom.Block},
		{"deleting a linked system tree", "rm -rf system/lib", phantom.Block},
		{"a wildcard that meets the link", "rm -rf sys*/lib", phantom.Block},
		{"an ordinary directory", "rm -rf sub", phantom.Allow},
		{"all of the workspace by its full name", "rm -rf " + ws, phantom.Block},
		{"Phantom's home", "rm -rf " + home, phantom.Block},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if got := p.Command(r.line, ws); got.Decision != r.want {
				t.Errorf("Command(%q) = %v by %q, want %v", r.line, got.Decision, got.Rule, r.want)
			}
		})
	}
}

func TestUnknownDirectoryBlocks(t *testing.T) {
	_, p := house(t)
	for _, cwd := range []string{"", "relative", "."} {
		if got := p.Command("ls", cwd).Decision; got != phantom.Block {
			t.Errorf("in %q: %v, want block", cwd, got)
		}
	}
}

func TestHarmlessOnDisk(t *testing.T) {
	home, p := house(t)
	refused := 0
	all := corpus(t, "harmless.jsonl")
	for _, s := range all {
		if v := p.Command(s.Command, home+"/workspace"); v.Decision != phantom.Allow {
			t.Logf("refused: %q by %s", s.Command, v.Rule)
			refused++
		}
	}
	if refused*100 > len(all) {
		t.Errorf("with a real file system %d of %d harmless commands are refused, want at most 1 in 100", refused, len(all))
	}
}

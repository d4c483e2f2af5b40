package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"phantom/internal/config"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

func home(t *testing.T) config.Home {
	t.Helper()
	h, err := config.FindHome(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// lived returns a home with something to lose.
func lived(t *testing.T) config.Home {
	t.Helper()
	h := home(t)
	if _, err := config.Init(h, config.DefaultAnswers()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		h.LogKey(): "the audit key", h.ControlKey(): "the control key", h.TerminalLog(): "{}\n", h.EnvFile(): "ANTHROPIC_API_KEY=planted\n",
		filepath.Join(h.Evolved(), "persona.md"): "# Persona\nDry humour.\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remember(t, h, "heron is the staging host")
	return h
}

func remember(t *testing.T, h config.Home, text string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: h.Database()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m, err := memory.New(memory.Deps{DB: db, Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Add(t.Context(), memory.Item{Text: text, Provenance: phantom.Owner}); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, recipient, identity string
		env                       bool
	}{
		{"plain, so without the secrets", "", "", false},
		{"encrypted, so with them", id.Recipient().String(), "# made by age-keygen\n" + id.String() + "\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, file := lived(t), filepath.Join(t.TempDir(), "b")
			if err := Write(t.Context(), from, file, tt.recipient); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("backup: %v, %v, want mode 0600", info.Mode(), err)
			}
			if raw, _ := os.ReadFile(file); bytes.Contains(raw, []byte("planted")) {
				t.Error("the secret stands in the backup in clear")
			}
			to := home(t)
			if _, err := Restore(t.Context(), to, file, tt.identity); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"config/phantom.yaml", "phantom-config/constitution.md", "phantom-config/persona.md", "data/audit.key", "data/terminal.jsonl"} {
				want, err := os.ReadFile(filepath.Join(from.Dir(), name))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(to.Dir(), name)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s came back as %q, %v", name, got, err)
				}
			}
			if _, err := os.Stat(to.ControlKey()); err == nil {
				t.Error("the control key is in the backup: whoever reads that could decide approvals")
			}
			if _, err := os.Stat(to.EnvFile()); (err == nil) != tt.env {
				t.Errorf(".env.local restored: %v, want %v", err == nil, tt.env)
			}
			db, err := store.Open(t.Context(), store.Options{Path: to.Database()})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			m, err := memory.New(memory.Deps{DB: db, Redactor: secret.NewRedactor()})
			if err != nil {
				t.Fatal(err)
			}
			if found, err := m.Search(t.Context(), memory.Query{Text: "heron", Limit: 1}); err != nil || len(found) != 1 {
				t.Errorf("memory came back as %v, %v", found, err)
			}
			if _, err := Restore(t.Context(), to, file, tt.identity); err == nil {
				t.Error("restored over a home that is not empty")
			}
			if err := Write(t.Context(), from, file, tt.recipient); err == nil || !strings.Contains(err.Error(), "exists") {
				t.Errorf("a second backup into the same file: %v", err)
			}
		})
	}
}

// archived builds an archive of one entry.
func archived(t *testing.T, header tar.Header, text string) string {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	header.Size, header.Mode = int64(len(text)), 0o600
	if err := archive.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(text)); err != nil && text != "" {
		t.Fatal(err)
	}
	archive.Close()
	zipped.Close()
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRestoreRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header tar.Header
		text   string
		want   string
	}{
		{"a path out of the home", tar.Header{Typeflag: tar.TypeReg, Name: "config/../../evil"}, "x", "no backup of phantom"},
		{"an absolute path", tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd"}, "x", "no backup of phantom"},
		{"a foreign name", tar.Header{Typeflag: tar.TypeReg, Name: "workspace/.bashrc"}, "x", "no backup of phantom"},
		{"a link", tar.Header{Typeflag: tar.TypeSymlink, Name: "config/x", Linkname: "/etc"}, "", "no regular file"},
		{"an archive without a home", tar.Header{Typeflag: tar.TypeReg, Name: "config/guard.yaml"}, "x", "holds no config/phantom.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Restore(t.Context(), home(t), archived(t, tt.header, tt.text), "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), home(t), empty, ""); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %v", err)
	}
}

// A backup that ends too early must not leave a home that starts without its
// memory and its record.
func TestDamagedBackupLeavesNoHome(t *testing.T) {
	from, file := lived(t), filepath.Join(t.TempDir(), "b")
	if err := Write(t.Context(), from, file, ""); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range []int{len(whole) / 4, len(whole) / 2, len(whole) - 40} {
		if err := os.WriteFile(file, whole[:keep], 0o600); err != nil {
			t.Fatal(err)
		}
		to := home(t)
		if names, err := Restore(t.Context(), to, file, ""); err == nil {
			t.Fatalf("%d of %d bytes were restored as %v", keep, len(whole), names)
		}
		err := filepath.WalkDir(to.Dir(), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				t.Errorf("%d of %d bytes left %s behind", keep, len(whole), path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What is in the home already is never taken away.
func TestFailedRestoreKeepsWhatWasThere(t *testing.T) {
	from, file := lived(t), filepath.Join(t.TempDir(), "b")
	if err := Write(t.Context(), from, file, ""); err != nil {
		t.Fatal(err)
	}
	to := home(t)
	if err := os.MkdirAll(to.Data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to.LogKey(), []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), to, file, ""); err == nil {
		t.Fatal("restored over an audit key")
	}
	if raw, err := os.ReadFile(to.LogKey()); err != nil || string(raw) != "older" {
		t.Errorf("the audit key holds %q, %v", raw, err)
	}
}

package vault

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"phantom/internal/secret"
)

func TestKeyFileThatIsNoGood(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, d *desk) error
		says string
	}{
		{"missing beside sealed rows", func(_ *testing.T, d *desk) error { return os.Remove(d.keyFile()) }, "missing"},
		{"empty", func(_ *testing.T, d *desk) error { return os.WriteFile(d.keyFile(), nil, 0o600) }, "damaged"},
		{"cut", func(_ *testing.T, d *desk) error { return os.Truncate(d.keyFile(), 40) }, "damaged"},
		{"text", func(_ *testing.T, d *desk) error { return os.WriteFile(d.keyFile(), []byte("hello"), 0o600) }, "damaged"},
		{"of another home", func(t *testing.T, d *desk) error {
			k, err := freshKey()
			return errors.Join(err, writeKeyFile(d.keyFile(), ring{k}))
		}, "does not open with the key"},
		{"readable by the group", func(_ *testing.T, d *desk) error { return os.Chmod(d.keyFile(), 0o640) }, "chmod 600"},
		{"readable by all", func(_ *testing.T, d *desk) error { return os.Chmod(d.keyFile(), 0o604) }, "chmod 600"},
		{"a link to a good one", func(t *testing.T, d *desk) error {
			away := d.keyFile() + ".away"
			return errors.Join(os.Rename(d.keyFile(), away), os.Symlink(away, d.keyFile()))
		}, "not a regular file"},
		{"a directory", func(t *testing.T, d *desk) error {
			return errors.Join(os.Remove(d.keyFile()), os.Mkdir(d.keyFile(), 0o700))
		}, "not a regular file"},
		{"huge", func(t *testing.T, d *desk) error { return os.Truncate(d.keyFile(), 1<<20) }, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			set(t, d.open(), "token", first)
			if err := tt.do(t, d); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(d.keyFile())
			_, err := d.try()
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), d.keyFile()) {
				t.Errorf("error = %v, want the file and %q", err, tt.says)
			}
			if after, _ := os.ReadFile(d.keyFile()); string(after) != string(before) {
				t.Error("the key file was replaced")
			}
		})
	}
}

// Also when every secret is gone: the key still vouches for that.
func TestKeyFileMissingBesideAnEmptyVault(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	set(t, s, "token", first)
	if err := errors.Join(s.Remove(owner(t), "token"), os.Remove(d.keyFile())); err != nil {
		t.Fatal(err)
	}
	if _, err := d.try(); err == nil {
		t.Error("it opened without the key that vouches for what is stored")
	}
}

func TestKeyThatAppears(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	if err := os.WriteFile(d.keyFile(), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(owner(t), "token", secret.New(first), nil); err == nil {
		t.Error("stored under a key that replaced another")
	}
	if raw, _ := os.ReadFile(d.keyFile()); string(raw) != "precious" {
		t.Error("the key file was replaced")
	}
}

func TestKeyFromOutside(t *testing.T) {
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	raw, err := hex.DecodeString(two)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.key = secret.New(one)
	s := d.open()
	set(t, s, "token", first)
	if _, err := os.Stat(d.keyFile()); err == nil {
		t.Error("a key file was made beside a key from outside")
	}
	if err := s.RotateKey(owner(t)); !errors.Is(err, ErrForeignKey) {
		t.Errorf("RotateKey: %v, want ErrForeignKey", err)
	}
	d.key = secret.New(two)
	if _, err := d.try(); err == nil || !strings.Contains(err.Error(), "the test") || strings.Contains(err.Error(), two) {
		t.Errorf("the wrong key: %v, want its source and not the key", err)
	}
	for _, step := range []struct{ why, keys string }{
		{"the new key before the old one", base64.StdEncoding.EncodeToString(raw) + "," + one},
		{"the same again", base64.RawURLEncoding.EncodeToString(raw) + "\n" + one},
		{"then the new one alone", two},
	} {
		d.key = secret.New(step.keys)
		s, err := d.try()
		if err != nil {
			t.Fatalf("%s: %v", step.why, err)
		}
		want(t, s, "token", first)
	}
	d.key = secret.New(one)
	if _, err := d.try(); err == nil {
		t.Error("the old key still opens the vault")
	}
	if got := strings.Count(strings.Join(d.book.rows, ";"), "rotate-key"); got != 1 {
		t.Errorf("%d rotations on record, want the 1 that changed something", got)
	}
}

func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"", strings.Repeat("a", 64), strings.Repeat("A", 43) + "=", "a,b,c,d,e", strings.Repeat("1", 64) + " " + strings.Repeat("1", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys(text)
		if err != nil {
			if len(text) > 3 && strings.Contains(err.Error(), text) {
				t.Errorf("the error shows what was read: %v", err)
			}
			return
		}
		if len(keys) == 0 || len(keys) > maxKeys {
			t.Errorf("%d keys", len(keys))
		}
	})
}

func TestReset(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	set(t, s, "token", first)
	token := ask(t, s, Field{Name: "other"})
	key, err := os.ReadFile(d.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.keyFile(), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Reset(t.Context(), s.o); !errors.Is(err, ErrNotOwner) {
		t.Errorf("by nobody: %v, want ErrNotOwner", err)
	}
	d.book.fail = errors.New("the disk is full")
	if _, err := Reset(owner(t), s.o); !errors.Is(err, d.book.fail) {
		t.Errorf("unrecorded: %v, want the recorder's error", err)
	}
	d.book.fail = nil
	if raw, err := os.ReadFile(d.keyFile()); err != nil || string(raw) != "damaged" || len(d.row("token").sealed) == 0 {
		t.Fatalf("a refused reset changed something: %q, %v", raw, err)
	}
	aside, err := Reset(owner(t), s.o)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(aside); err != nil || string(raw) != "damaged" {
		t.Errorf("put aside: %q, %v", raw, err)
	}
	s = d.open()
	if list, _ := s.List(t.Context()); len(list) != 0 {
		t.Errorf("stored: %+v", list)
	}
	if _, err := s.Form(t.Context(), token); !errors.Is(err, ErrNoLink) {
		t.Errorf("an old link: %v, want ErrNoLink", err)
	}
	set(t, s, "token", second)
	if raw, _ := os.ReadFile(d.keyFile()); string(raw) == string(key) {
		t.Error("the old key is in use again")
	}
	if aside, err := Reset(owner(t), Options{DB: s.o.DB, Recorder: d.book, KeyFile: d.keyFile() + ".none"}); err != nil || aside != "" {
		t.Errorf("without a key file: %q, %v", aside, err)
	}
}

package vault

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

func TestRotateKey(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	if err := s.RotateKey(owner(t)); err == nil {
		t.Error("rotated a key that does not exist")
	}
	set(t, s, "alpha", first, "api.github.com")
	set(t, s, "beta", second)
	before, err := readKeyFile(d.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	old := d.row("alpha")
	if err := s.RotateKey(owner(t)); err != nil {
		t.Fatal(err)
	}
	want(t, s, "alpha", first)
	after, err := readKeyFile(d.keyFile())
	if err != nil || len(after) != 1 || after[0].id == before[0].id {
		t.Errorf("the key file holds %d keys, %v, want one new", len(after), err)
	}
	if r := d.row("alpha"); r.keyID != after[0].id || string(r.sealed) == string(old.sealed) || r.version != old.version {
		t.Errorf("the row stands under key %s, version %d, want %s, %d", r.keyID, r.version, after[0].id, old.version)
	}
	set(t, s, "gamma", first+"-3") // the process goes on under the new key
	s = d.open()
	want(t, s, "alpha", first)
	want(t, s, "beta", second)
	want(t, s, "gamma", first+"-3")
	if got := d.redact.String(after[0].text.Reveal()); got == after[0].text.Reveal() {
		t.Error("the redactor does not know the key")
	}
}

// Each point at which a rotation can be cut, set up by hand.
func TestRotationCutShort(t *testing.T) {
	fresh, err := freshKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cut  func(d *desk, old ring) error
	}{
		{"both keys are in the file, no row is sealed anew", func(d *desk, old ring) error {
			return writeKeyFile(d.keyFile(), append(ring{fresh}, old...))
		}},
		{"every row is sealed anew, the old key is still there", func(d *desk, old ring) error {
			s := d.open()
			s.setRing(append(ring{fresh}, old...))
			if err := writeKeyFile(d.keyFile(), s.ring()); err != nil {
				return err
			}
			if err := s.settle(owner(d.t)); err != nil {
				return err
			}
			return writeKeyFile(d.keyFile(), append(ring{fresh}, old...))
		}},
		{"a second rotation began before the first was ended", func(d *desk, old ring) error {
			newer, err := freshKey()
			return errors.Join(err, writeKeyFile(d.keyFile(), append(ring{newer, fresh}, old...)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			s := d.open()
			set(t, s, "alpha", first)
			set(t, s, "beta", second)
			old := s.ring()
			if err := tt.cut(d, old); err != nil {
				t.Fatal(err)
			}
			s = d.open()
			want(t, s, "alpha", first)
			want(t, s, "beta", second)
			keys, err := readKeyFile(d.keyFile())
			if err != nil || len(keys) != 1 || keys[0].id == old[0].id || d.row("alpha").keyID != keys[0].id {
				t.Errorf("the file holds %d keys, %v, want only the new one, which the rows are sealed under", len(keys), err)
			}
		})
	}
}

// A row that does not open keeps the old key: the rotation must not lose what
// it cannot read.
func TestRotationOfDamagedRows(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	set(t, s, "alpha", first)
	old := s.ring()[0].id
	d.tamper(`UPDATE secrets SET sealed = x'0102' WHERE name = 'alpha'`)
	if err := s.RotateKey(owner(t)); err == nil {
		t.Error("rotated over a damaged row")
	}
	keys, err := readKeyFile(d.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	if _, kept := keys.find(old); !kept {
		t.Error("the old key is gone")
	}
}

// asRotator makes the test binary rotate the key of the home it names until it
// is killed.
const asRotator = "PHANTOM_TEST_ROTATES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asRotator); dir != "" {
		if err := rotateForEver(context.Background(), dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func rotateForEver(ctx context.Context, dir string) error {
	db, err := store.Open(ctx, store.Options{Path: dir + "/phantom.db"})
	if err != nil {
		return err
	}
	s, err := Open(ctx, Options{DB: db, Redactor: secret.NewRedactor(), Recorder: &book{}, KeyFile: dir + "/vault.key"})
	if err != nil {
		return err
	}
	ctx = phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner})
	fmt.Println("rotating")
	for {
		if err := s.RotateKey(ctx); err != nil {
			return err
		}
		fmt.Println("rotated")
	}
}

// Killed anywhere in a rotation, the vault opens with every value.
func TestKilledWhileRotating(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	values := map[string]string{}
	for i := range 40 {
		name := fmt.Sprintf("s%d", i)
		values[name] = fmt.Sprintf("planted-value-%d", i)
		set(t, s, name, values[name])
	}
	kills, cut := 40, 0
	if testing.Short() {
		kills = 8
	}
	for range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = []string{asRotator + "=" + d.dir}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "rotating" {
			t.Fatalf("the rotating process said %q", lines.Text())
		}
		timer := time.NewTimer(time.Duration(rand.IntN(25_000)) * time.Microsecond)
		<-timer.C
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if lines.Text() != "rotated" {
				t.Fatalf("the rotating process said %q", lines.Text())
			}
		}
		_ = cmd.Wait() // it was killed
		keys, err := readKeyFile(d.keyFile())
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) > 1 {
			cut++
		}
		s := d.open()
		for name, value := range values {
			want(t, s, name, value)
		}
		if keys, err := readKeyFile(d.keyFile()); err != nil || len(keys) != 1 {
			t.Fatalf("after the start the file holds %d keys, %v", len(keys), err)
		}
	}
	t.Logf("%d of %d kills cut a rotation", cut, kills)
	if !strings.Contains(strings.Join(d.book.rows, ";"), "to its end") && cut > 0 {
		t.Log("every rotation that was cut had sealed all rows")
	}
}

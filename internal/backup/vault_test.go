package backup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/vault"
)

const planted = "planted-value-in-the-vault"

type straight struct{}

func (straight) Record(ctx context.Context, _, _ string, do func(context.Context) error) error {
	return do(ctx)
}

func openVault(t *testing.T, h config.Home) (*vault.Store, error) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: h.Database()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return vault.Open(t.Context(), vault.Options{DB: db, Redactor: secret.NewRedactor(), Recorder: straight{}, KeyFile: h.VaultKey()})
}

func owner(t *testing.T) context.Context {
	return phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: phantom.KindOwner})
}

// An encrypted backup brings the secrets back; a plain one holds nothing that
// opens them, and the restored home says what it lacks.
func TestVaultInBackups(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	from := lived(t)
	s, err := openVault(t, from)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(owner(t), "token", secret.New(planted), nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, recipient, identity string }{
		{"encrypted", id.Recipient().String(), id.String()}, {"plain", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, to := filepath.Join(t.TempDir(), "b"), home(t)
			if err := Write(t.Context(), from, file, tt.recipient); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(t.Context(), to, file, tt.identity); err != nil {
				t.Fatal(err)
			}
			restored, err := openVault(t, to)
			if tt.recipient == "" {
				if err == nil || !strings.Contains(err.Error(), "missing") {
					t.Errorf("a plain backup: %v, want that the key is missing", err)
				}
				if _, err := os.Stat(to.VaultKey()); err == nil {
					t.Error("the key is in a plain backup")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v, err := restored.Value(t.Context(), "token"); err != nil || v.Reveal() != planted {
				t.Errorf("Value = %v", err)
			}
			if info, err := os.Stat(to.VaultKey()); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("key file: %v, %v, want mode 0600", info, err)
			}
		})
	}
}

// The key in a backup is the one of the copy beside it, however often it is
// rotated meanwhile.
func TestBackupsWhileTheKeyRotates(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	from := lived(t)
	s, err := openVault(t, from)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(owner(t), "token", secret.New(planted), nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(owner(t))
	done := make(chan error, 1)
	var pause atomic.Int64 // between two rotations: at first about as long as a copy takes
	pause.Store(int64(20 * time.Millisecond))
	go func() {
		for ctx.Err() == nil {
			if err := s.RotateKey(owner(t)); err != nil {
				done <- err
				return
			}
			select {
			case <-time.After(time.Duration(pause.Load())):
			case <-ctx.Done():
			}
		}
		done <- nil
	}()
	taken := 0
	for range 12 {
		file, to := filepath.Join(t.TempDir(), "b"), home(t)
		if err := Write(t.Context(), from, file, id.Recipient().String()); err != nil {
			if !strings.Contains(err.Error(), "went on changing") {
				t.Fatal(err)
			}
			pause.Store(2 * pause.Load()) // a machine under load copies slowly
			continue                      // it said so, and left no file
		}
		taken++
		if _, err := Restore(t.Context(), to, file, id.String()); err != nil {
			t.Fatal(err)
		}
		restored, err := openVault(t, to)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := restored.Value(t.Context(), "token"); err != nil || v.Reveal() != planted {
			t.Errorf("Value = %v", err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if taken == 0 {
		t.Error("no backup was taken between two rotations")
	}
	t.Logf("%d of 12 backups were taken between two rotations", taken)
}

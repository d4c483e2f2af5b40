package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/config"
	"phantom/internal/secret"
)

func TestVaultKey(t *testing.T) {
	one, two := strings.Repeat("1a", 32), strings.Repeat("2b", 32)
	for name, tc := range map[string]struct {
		credential, variable, local string
		mode                        os.FileMode
		key, source, fails          string
	}{
		"none, so the vault makes its own":    {},
		"the variable":                        {variable: one, key: one, source: "PHANTOM_VAULT_KEY in the environment"},
		"the file of secrets":                 {local: one, key: one, source: "PHANTOM_VAULT_KEY in .env.local"},
		"the credential before the variable":  {credential: two + "\n", variable: one, mode: 0o400, key: two + "\n", source: "the credential "},
		"an empty credential is no other key": {credential: "\n", variable: one, mode: 0o400, fails: "is empty"},
		"a credential that all can read":      {credential: two, mode: 0o444, fails: "other users"},
		"a rotation: both keys are secrets":   {variable: two + "," + one, key: two + "," + one, source: "PHANTOM_VAULT_KEY in the environment"},
		"credentials of other kinds only":     {variable: one, mode: 0o700, key: one, source: "PHANTOM_VAULT_KEY in the environment"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			if tc.mode != 0 {
				dir := t.TempDir()
				t.Setenv("CREDENTIALS_DIRECTORY", dir)
				if tc.credential != "" {
					path := filepath.Join(dir, "phantom-vault-key")
					write(t, path, tc.credential)
					if err := os.Chmod(path, tc.mode); err != nil {
						t.Fatal(err)
					}
				}
			}
			t.Setenv("PHANTOM_VAULT_KEY", tc.variable)
			if tc.local != "" {
				write(t, h.EnvFile(), "PHANTOM_VAULT_KEY="+tc.local+"\n")
			}
			c, err := config.Load(h, config.Overrides{})
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), two) {
					t.Errorf("error = %v, want %q and no key", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.VaultKey.Reveal() != tc.key || !strings.HasPrefix(c.VaultKeySource, tc.source) {
				t.Errorf("key from %q, want from %q", c.VaultKeySource, tc.source)
			}
			redact := secret.NewRedactor(c.Secrets...)
			for _, one := range strings.FieldsFunc(tc.key, func(r rune) bool { return r == ',' || r == '\n' }) {
				if got := redact.String("x " + one + " x"); strings.Contains(got, one) {
					t.Errorf("the key is not redacted: %s", got)
				}
			}
		})
	}
}

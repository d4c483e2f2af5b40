package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/config"
	"phantom/internal/evolve/record"
	"phantom/internal/memory"
	"phantom/internal/memory/setup"
	"phantom/internal/schedule"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/vault"
)

// Reader looks into a home without changing it, whether an instance runs or not.
type Reader struct {
	DB        *store.DB
	Audit     *audit.Reader
	Ledger    *spend.Ledger
	Memory    *memory.Store
	Approvals *approval.Store
	Tasks     *schedule.Reader
	Versions  *selfconf.Reader
	Lessons   *record.Reader
	conf      *config.Config
}

// OpenReader opens a home for reading.
func OpenReader(ctx context.Context, c *config.Config) (*Reader, error) {
	db, err := store.Open(ctx, store.Options{Path: c.Home.Database(), ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has not run yet, so there is nothing to show: try `phantom ask \"hello\"`", c.Home.Dir())
	}
	if err != nil {
		return nil, err
	}
	r := &Reader{DB: db, conf: c}
	if err := r.open(c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

func (r *Reader) open(c *config.Config) error {
	var err error
	if r.Audit, err = audit.NewReader(r.DB); err != nil {
		return err
	}
	if r.Ledger, err = spend.New(r.DB, prices(c), spend.Ceilings(c.Spend)); err != nil {
		return err
	}
	d, err := setup.Deps(c.Memory, r.DB, secret.NewRedactor(c.Secrets...))
	if err != nil {
		return err
	}
	if r.Memory, err = memory.New(d); err != nil {
		return err
	}
	if r.Approvals, err = approval.New(r.DB); err != nil {
		return err
	}
	if r.Versions, err = selfconf.NewReader(r.DB); err != nil {
		return err
	}
	if r.Lessons, err = record.NewReader(r.DB); err != nil {
		return err
	}
	r.Tasks, err = schedule.NewReader(r.DB, r.Approvals)
	return err
}

// VerifierKey returns the public half of the key that signs the home's audit log.
func VerifierKey(c *config.Config) (string, error) {
	signing, err := keyFile(c.Home.SigningKey())
	if err != nil {
		return "", err
	}
	return audit.VerifierKey(signing)
}

// Trust returns what the home's audit log is held against.
func (r *Reader) Trust() (audit.Trust, error) {
	key, err := VerifierKey(r.conf)
	return audit.Trust{Key: key, Checkpoints: r.conf.Home.Checkpoints()}, err
}

// KnowSecrets tells a redactor what the vault of a home holds. A home that has
// not run yet holds nothing.
func KnowSecrets(ctx context.Context, c *config.Config, to *secret.Redactor) error {
	db, err := store.Open(ctx, store.Options{Path: c.Home.Database(), ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = vault.Tell(ctx, vault.Options{DB: db, Redactor: to, KeyFile: c.Home.VaultKey(), Key: c.VaultKey, KeySource: c.VaultKeySource})
	return errors.Join(err, db.Close())
}

// Close closes the database.
func (r *Reader) Close() error { return r.DB.Close() }

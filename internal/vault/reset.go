package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Reset forgets every secret and link of a home whose key is lost, so that it
// can start again with an empty vault. A key file that is there is put aside
// under another name, not removed: it may be the key of a backup. It returns
// that name, or "".
func Reset(ctx context.Context, o Options) (aside string, err error) {
	if o.DB == nil || o.Recorder == nil || o.KeyFile == "" {
		return "", errors.New("vault: a dependency is missing")
	}
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return "", ErrNotOwner
	}
	err = o.Recorder.Record(ctx, "secret reset", "all", func(ctx context.Context) error {
		err := o.DB.WithTx(ctx, func(tx *store.Tx) error {
			for _, statement := range []string{`DELETE FROM secrets`, `DELETE FROM secret_links`, `DELETE FROM secret_manifest`} {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("forget all secrets: %w", err)
		}
		name := o.KeyFile + "." + phantom.NewID()
		switch err := os.Rename(o.KeyFile, name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("put the vault's key aside: %w", err)
		default:
			aside = name
		}
		return nil
	})
	return aside, err
}

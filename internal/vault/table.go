package vault

import (
	"context"
	"crypto/hmac"
	"database/sql"
	"errors"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// manifest is the stored sum over all rows; the zero manifest vouches for nothing.
type manifest struct {
	keyID string
	mac   []byte
}

func (m manifest) matches(k key, rows []row) bool {
	return m.keyID == k.id && hmac.Equal(m.mac, k.sum(rows))
}

// reader is a database or a transaction.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// load reads every row and the sum over them. Nobody writes meanwhile: the
// caller holds the home, or the transaction.
func load(ctx context.Context, db reader) (all []row, sum manifest, err error) {
	found, err := db.Query(ctx, `SELECT name, version, hosts, key_id, sealed, updated_at FROM secrets ORDER BY name`)
	if err != nil {
		return nil, manifest{}, err
	}
	defer found.Close()
	for found.Next() {
		var r row
		var hosts string
		var updated int64
		if err := found.Scan(&r.name, &r.version, &hosts, &r.keyID, &r.sealed, &updated); err != nil {
			return nil, manifest{}, err
		}
		r.hosts, r.updated = splitHosts(hosts), phantom.FromMicros(updated)
		all = append(all, r)
	}
	if err := found.Err(); err != nil {
		return nil, manifest{}, err
	}
	err = db.QueryRow(ctx, `SELECT key_id, mac FROM secret_manifest WHERE one = 1`).Scan(&sum.keyID, &sum.mac)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return all, sum, err
}

func splitHosts(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, "\n")
}

func put(ctx context.Context, tx *store.Tx, r row) error {
	_, err := tx.Exec(ctx, `INSERT INTO secrets (name, version, hosts, key_id, sealed, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version, hosts = excluded.hosts, key_id = excluded.key_id,
		sealed = excluded.sealed, updated_at = excluded.updated_at`,
		r.name, r.version, strings.Join(r.hosts, "\n"), r.keyID, r.sealed, phantom.Micros(r.updated))
	return err
}

func erase(ctx context.Context, tx *store.Tx, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM secrets WHERE name = ?`, name)
	return err
}

func putManifest(ctx context.Context, tx *store.Tx, k key, rows []row) error {
	_, err := tx.Exec(ctx, `INSERT INTO secret_manifest (one, key_id, mac) VALUES (1, ?, ?)
		ON CONFLICT (one) DO UPDATE SET key_id = excluded.key_id, mac = excluded.mac`, k.id, k.sum(rows))
	return err
}

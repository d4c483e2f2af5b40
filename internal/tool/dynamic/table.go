package dynamic

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// read returns the rows as they are, sorted by name.
func read(ctx context.Context, db *store.DB) ([]Tool, error) {
	rows, err := db.Query(ctx, `SELECT name, description, input_schema, handler, code, path, network, timeout_s, hash, registered_by, registered_at
		FROM dynamic_tools ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Tool
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// scan reads one row. What is of another kind than it should be is left empty,
// which no tool may be: one bad row must not hide the others.
func scan(rows *sql.Rows) (Tool, error) {
	var name, description, schema, handler, code, path, hash, by any
	var network, timeout, at any
	if err := rows.Scan(&name, &description, &schema, &handler, &code, &path, &network, &timeout, &hash, &by, &at); err != nil {
		return Tool{}, err
	}
	text := func(v any) string { s, _ := v.(string); return s }
	number := func(v any) int64 { n, _ := v.(int64); return n }
	return Tool{
		Name: text(name), Description: text(description), InputSchema: []byte(text(schema)), Handler: text(handler), Code: text(code), Path: text(path),
		Network: number(network) == 1, Timeout: time.Duration(max(0, min(number(timeout), math.MaxInt32))) * time.Second,
		Hash: text(hash), RegisteredBy: text(by), Registered: phantom.FromMicros(number(at)),
	}, nil
}

func save(ctx context.Context, tx *store.Tx, t Tool) error {
	var others, said int
	if err := tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(octet_length(description) + octet_length(input_schema)), 0) FROM dynamic_tools WHERE name <> ?`,
		t.Name).Scan(&others, &said); err != nil {
		return err
	}
	if others >= maxTools || said+len(t.Description)+len(t.InputSchema) > maxSaid {
		return fmt.Errorf("%d tools are registered, whose descriptions and schemas have %d bytes: at most %d and %d are allowed, so unregister one first", others, said, maxTools, maxSaid)
	}
	network := 0
	if t.Network {
		network = 1
	}
	_, err := tx.Exec(ctx, `INSERT INTO dynamic_tools
		(name, description, input_schema, handler, code, path, network, timeout_s, hash, registered_by, registered_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET description = excluded.description, input_schema = excluded.input_schema, handler = excluded.handler,
			code = excluded.code, path = excluded.path, network = excluded.network, timeout_s = excluded.timeout_s, hash = excluded.hash,
			registered_by = excluded.registered_by, registered_at = excluded.registered_at`,
		t.Name, t.Description, string(t.InputSchema), t.Handler, t.Code, t.Path, network, int64(t.Timeout/time.Second), t.Hash, t.RegisteredBy, phantom.Micros(t.Registered))
	return err
}

func remove(ctx context.Context, tx *store.Tx, name string) error {
	result, err := tx.Exec(ctx, `DELETE FROM dynamic_tools WHERE name = ?`, name)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = ErrUnknown
	}
	return err
}

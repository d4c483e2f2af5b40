package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Pin is what a server said of a tool when the owner could last agree, and what
// it says now, if that is something else.
type Pin struct {
	Server, Tool, Hash, Description, Schema    string
	FirstSeen, Approved                        time.Time // Approved is zero if it was pinned at first sight
	OfferedHash, NewDescription, OfferedSchema string
	Offered                                    time.Time
}

// Name is the agent's name of the tool.
func (p Pin) Name() string { return p.Server + separator + p.Tool }

// ErrNothingToAccept says that a tool is unknown, or is what was pinned.
var ErrNothingToAccept = errors.New("no change of that tool waits for you")

const columns = `server, tool, hash, description, input_schema, first_seen, approved_at, offered_hash, offered_description, offered_schema, offered_at`

// Pins returns every pinned tool, sorted by name.
func Pins(ctx context.Context, db *store.DB) ([]Pin, error) { return read(ctx, db, "") }

// read returns the pins of a server, of all if it is "".
func read(ctx context.Context, db *store.DB, server string) ([]Pin, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+` FROM remote_tools WHERE ? = '' OR server = ? ORDER BY server, tool`, server, server)
	if err != nil {
		return nil, fmt.Errorf("read the pinned tools: %w", err)
	}
	defer rows.Close()
	var all []Pin
	for rows.Next() {
		var p Pin
		var first, approved, offered int64
		if err := rows.Scan(&p.Server, &p.Tool, &p.Hash, &p.Description, &p.Schema, &first, &approved, &p.OfferedHash, &p.NewDescription, &p.OfferedSchema, &offered); err != nil {
			return nil, fmt.Errorf("read the pinned tools: %w", err)
		}
		p.FirstSeen, p.Approved, p.Offered = since(first), since(approved), since(offered)
		all = append(all, p)
	}
	return all, rows.Err()
}

func since(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return phantom.FromMicros(micros)
}

// pin holds what a server offers against what it said before. What was never
// seen is pinned; what differs waits for the owner.
func (r *Registry) pin(ctx context.Context, s Server, offers map[string]said) (map[string]entry, []string, error) {
	rows, err := read(ctx, r.DB, s.Name)
	if err != nil {
		return nil, nil, err
	}
	known := map[string]Pin{}
	for _, p := range rows {
		known[p.Tool] = p
	}
	entries, refused := map[string]entry{}, []string(nil)
	for tool, now := range offers {
		e := entry{server: s.Name, tool: tool, pinned: now, offered: now}
		p, seen := known[tool]
		if !seen && len(known) >= maxOffered {
			refused = append(refused, fmt.Sprintf("%.80q: the server has shown more than %d tools", tool, maxOffered))
			continue
		}
		if !seen {
			known[tool] = Pin{}
			if err := r.note(ctx, "pin tool", s, e, `INSERT INTO remote_tools (server, tool, hash, description, input_schema, first_seen) VALUES (?, ?, ?, ?, ?, ?)`,
				s.Name, tool, now.hash, now.description, string(now.schema.JSON()), phantom.Micros(time.Now())); err != nil {
				return nil, nil, err
			}
		} else if err := r.compare(ctx, s, &e, p); err != nil {
			refused = append(refused, fmt.Sprintf("%.80q: %s", tool, plain(err.Error(), reasonLimit)))
			continue
		}
		entries[tool] = e
	}
	slices.Sort(refused)
	return entries, refused, nil
}

// compare puts what is pinned beside what is offered, and notes a change.
func (r *Registry) compare(ctx context.Context, s Server, e *entry, p Pin) (err error) {
	if e.pinned, err = judge(p.Server, p.Tool, p.Description, []byte(p.Schema)); err != nil {
		return err
	}
	if e.pinned.hash != p.Hash {
		return errors.New("its row in the database is not what was pinned")
	}
	now := e.offered
	switch {
	case e.changed() && p.OfferedHash != now.hash:
		return r.note(ctx, "tool changed", s, *e, `UPDATE remote_tools SET offered_hash = ?, offered_description = ?, offered_schema = ?, offered_at = ? WHERE server = ? AND tool = ?`,
			now.hash, now.description, string(now.schema.JSON()), phantom.Micros(time.Now()), p.Server, p.Tool)
	case !e.changed() && p.OfferedHash != "":
		return r.note(ctx, "tool changed back", s, *e, `UPDATE remote_tools SET offered_hash = '', offered_description = '', offered_schema = '', offered_at = 0 WHERE server = ? AND tool = ?`,
			p.Server, p.Tool)
	}
	return nil
}

// note changes a row and puts that on record.
func (r *Registry) note(ctx context.Context, what string, s Server, e entry, query string, args ...any) error {
	return r.Record.Record(ctx, what, s.Label()+": "+e.tool+" "+e.offered.hash, func(ctx context.Context) error {
		return r.DB.WithTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	})
}

// Accept pins what waits for the owner in a database that no Registry has
// open, if it has the hash of what the owner was shown.
func Accept(ctx context.Context, db *store.DB, name, hash string) error {
	server, tool, _ := strings.Cut(name, separator)
	err := db.WithTx(ctx, func(tx *store.Tx) error {
		result, err := tx.Exec(ctx, `UPDATE remote_tools SET hash = offered_hash, description = offered_description, input_schema = offered_schema, approved_at = ?,
			offered_hash = '', offered_description = '', offered_schema = '', offered_at = 0
			WHERE server = ? AND tool = ? AND offered_hash <> '' AND offered_hash = ?`, phantom.Micros(time.Now()), server, tool, hash)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err == nil && n == 0 {
			err = ErrNothingToAccept
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("accept tool %.80q: %w", name, err)
	}
	return nil
}

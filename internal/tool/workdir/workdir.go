// Package workdir keeps the working directory of each conversation.
//
// It owns the table tool_cwd, and which directories one may be. It refuses
// whatever is gone, protected, reached through a link, or no clean path: a
// directory is what a command reports, which may be anything. Only package tool
// may use it.
package workdir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/tool/file"
)

// Table keeps the directories. It is safe for concurrent use.
type Table struct {
	DB     *store.DB
	Places file.Places // a conversation begins in the workspace
}

// Of returns the conversation's working directory; one that is gone or no
// longer allowed falls back to the workspace.
func (t *Table) Of(ctx context.Context) (string, error) {
	var dir string
	rows, err := t.DB.Query(ctx, `SELECT cwd FROM tool_cwd WHERE conversation = ?`, phantom.TurnFrom(ctx).Conversation)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&dir); err != nil {
			return "", err
		}
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	if dir == "" || t.Check(dir) != nil {
		return t.Places.Workspace, nil
	}
	return dir, nil
}

// Check judges a directory that a command reported, which may be anything:
// the name must be the directory's real one, so that it cannot be a link that
// leads elsewhere than what is judged.
func (t *Table) Check(dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || !utf8.ValidString(dir) || strings.ContainsFunc(dir, unicode.IsControl) {
		return errors.New("the command reported no clean absolute path")
	}
	if real, err := filepath.EvalSymlinks(dir); dir != t.Places.Workspace && (err != nil || real != dir) {
		return errors.New("it is gone, or reached through a link")
	}
	if file.Within(t.Places.Protected, dir) {
		return errors.New("it is protected")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("it is no directory")
	}
	return nil
}

// Set keeps the conversation's working directory, if it may be one.
func (t *Table) Set(ctx context.Context, dir string) error {
	if err := t.Check(dir); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the command has ended, whatever ended it
	err := t.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO tool_cwd (conversation, cwd) VALUES (?, ?)
			ON CONFLICT (conversation) DO UPDATE SET cwd = excluded.cwd`, phantom.TurnFrom(ctx).Conversation, dir)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep working directory: %w", err)
	}
	return nil
}

package store

import "context"

// Change says what becomes of a text: of is the turn that it is of, "" if it
// is of none. It returns the text itself where nothing is to change.
type Change func(of, text string) (string, error)

// Rewrite changes texts where they stand. read gives rows of three columns:
// what write finds the row by, the turn that it is of, and the text. write
// sets the text, its first argument, of the row, its second. It returns what
// the rows that changed are found by. Only these are held in memory.
func (t *Tx) Rewrite(ctx context.Context, read, write string, change Change) ([]any, error) {
	rows, err := t.Query(ctx, read)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []any
	var texts []string
	for rows.Next() {
		var key any
		var of, text string
		if err := rows.Scan(&key, &of, &text); err != nil {
			return nil, err
		}
		after, err := change(of, text)
		if err != nil {
			return nil, err
		}
		if after != text {
			keys, texts = append(keys, key), append(texts, after)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	for n, key := range keys {
		if _, err := t.Exec(ctx, write, texts[n], key); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

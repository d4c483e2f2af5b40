-- +goose Up

-- owner: remember
-- What was forgotten in turns that are not considered yet: their last words
-- are written later, and repeat it. A row goes when they are erased too.
CREATE TABLE remember_forgotten (
	turn TEXT NOT NULL,
	item TEXT NOT NULL -- JSON of memory.Item
);
CREATE INDEX remember_forgotten_turn ON remember_forgotten (turn);

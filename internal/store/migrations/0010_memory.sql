-- +goose Up

ALTER TABLE memory_items RENAME TO memory_before;

-- owner: memory
CREATE TABLE memory_items (
	seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- the row of memory_words, memory_vectors and memory_codes
	id            TEXT NOT NULL UNIQUE,
	kind          TEXT NOT NULL DEFAULT 'episode', -- episode, fact, procedure
	body          TEXT NOT NULL,
	body_key      TEXT NOT NULL DEFAULT '', -- of the words without case and signs, to find the same text again
	subject       TEXT NOT NULL DEFAULT '',
	predicate     TEXT NOT NULL DEFAULT '',
	object        TEXT NOT NULL DEFAULT '',
	fact_key      TEXT NOT NULL DEFAULT '', -- subject and predicate, without case and signs
	provenance    TEXT NOT NULL,
	-- JSON of phantom.Taint; a row that does not say so was kept by a phantom that did not ask.
	taint         TEXT NOT NULL DEFAULT '["a memory of an earlier version"]',
	turn          TEXT NOT NULL,
	at            BIGINT NOT NULL,
	valid_from    BIGINT, -- null: from at on
	valid_until   BIGINT, -- null: for as long as nothing else is said
	confidence    REAL NOT NULL DEFAULT 1,
	importance    REAL NOT NULL DEFAULT 0.5,
	used          BIGINT NOT NULL DEFAULT 0,
	used_at       BIGINT,
	superseded_by TEXT NOT NULL DEFAULT ''
);
INSERT INTO memory_items (id, body, provenance, taint, turn, at) SELECT id, body, provenance, taint, turn, at FROM memory_before ORDER BY id;
DROP TABLE memory_before;

-- One value of a fact at a time.
CREATE UNIQUE INDEX memory_current ON memory_items (fact_key) WHERE fact_key <> '' AND superseded_by = '';
CREATE INDEX memory_history ON memory_items (fact_key) WHERE fact_key <> '';
CREATE INDEX memory_same ON memory_items (body_key);
CREATE INDEX memory_kind ON memory_items (kind, seq);
CREATE INDEX memory_turn ON memory_items (turn);

-- owner: memory
-- The terms of package memory/term. The text itself stands in memory_items alone.
CREATE VIRTUAL TABLE memory_words USING fts5 (body, content = '', tokenize = 'unicode61 remove_diacritics 2');
-- What is deleted is gone from the index at once, not at some later merge.
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);

-- owner: memory
CREATE TABLE memory_vectors (
	item    INTEGER PRIMARY KEY,
	numbers BLOB NOT NULL -- package memory/vector: scale, numbers, checksum
);

-- owner: memory
-- Apart from the vectors, because all of them are read at a start.
CREATE TABLE memory_codes (
	item     INTEGER PRIMARY KEY,
	embedder BIGINT NOT NULL, -- a checksum of its name
	tag      BIGINT NOT NULL, -- kind, and whether it is past
	code     BLOB NOT NULL    -- empty: the embedder does not know the script
);

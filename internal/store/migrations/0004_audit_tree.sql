-- +goose Up

-- Which file events belong to an outcome, and up to which row a seal lets the
-- contents go: both are part of the row's leaf.
ALTER TABLE audit_log ADD COLUMN first_file BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_log ADD COLUMN files BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_log ADD COLUMN seals BIGINT NOT NULL DEFAULT 0;
CREATE INDEX audit_seals ON audit_log (seals) WHERE seals > 0;
CREATE INDEX audit_files_intent ON audit_files (intent);

DROP TRIGGER audit_log_no_update;
UPDATE audit_log SET
	first_file = (SELECT min(f.id) FROM audit_files AS f WHERE f.intent = audit_log.intent),
	files = (SELECT count(*) FROM audit_files AS f WHERE f.intent = audit_log.intent)
WHERE kind = 'outcome' AND seq = (SELECT min(o.seq) FROM audit_log AS o WHERE o.intent = audit_log.intent)
	AND EXISTS (SELECT 1 FROM audit_files AS f WHERE f.intent = audit_log.intent);
-- +goose StatementBegin
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
-- +goose StatementEnd

-- Contents may go only once a row of the log itself says so; their hashes stay.
DROP TRIGGER audit_log_no_delete;
DROP TRIGGER audit_files_no_delete;
-- +goose StatementBegin
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_log AS s WHERE s.seals >= OLD.seq AND s.seals > 0 AND s.seq > s.seals)
BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_files_no_delete BEFORE DELETE ON audit_files
WHEN NOT EXISTS (SELECT 1 FROM audit_log AS o JOIN audit_log AS s ON s.seals >= o.seq AND s.seals > 0 AND s.seq > s.seals
	WHERE o.intent = OLD.intent AND o.kind = 'outcome')
BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;
-- +goose StatementEnd

-- owner: audit
CREATE TABLE audit_nodes (
	id   INTEGER PRIMARY KEY, -- place in the stored order of an RFC 6962 tree
	hash BLOB NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER audit_nodes_no_update BEFORE UPDATE ON audit_nodes BEGIN SELECT RAISE(ABORT, 'audit hashes are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_nodes_no_delete BEFORE DELETE ON audit_nodes BEGIN SELECT RAISE(ABORT, 'audit hashes are never removed'); END;
-- +goose StatementEnd

-- owner: audit
CREATE TABLE audit_head (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	note TEXT NOT NULL -- the signed head of the tree as of the last commit
);

-- owner: audit
CREATE TABLE audit_checkpoints (
	size BIGINT PRIMARY KEY, -- rows that it vouches for
	note TEXT NOT NULL       -- as it stands in the file of checkpoints
);
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'audit checkpoints are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'audit checkpoints are never removed'); END;
-- +goose StatementEnd

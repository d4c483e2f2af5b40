-- +goose Up

-- owner: tool
-- What was written where untrusted text was at hand: a file, or a directory
-- with all below it.
CREATE TABLE tool_marks (
	path    TEXT NOT NULL,
	call    TEXT NOT NULL DEFAULT '', -- of a command that runs: the mark holds if it does not come to its end
	sources TEXT NOT NULL, -- JSON of phantom.Taint
	at      BIGINT NOT NULL,
	PRIMARY KEY (path, call)
);

-- JSON of phantom.Taint; what is there already was kept by a phantom that did not ask.
ALTER TABLE memory_items ADD COLUMN taint TEXT NOT NULL DEFAULT '["a memory of an earlier version"]';

-- What a lasting yes would cover, '' if there can be none, and under which policy.
ALTER TABLE approvals ADD COLUMN standing TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN policy TEXT NOT NULL DEFAULT '';

-- owner: approval
CREATE TABLE approval_always (
	number     INTEGER PRIMARY KEY,
	digest     TEXT NOT NULL,
	tool       TEXT NOT NULL,
	summary    TEXT NOT NULL,
	cwd        TEXT NOT NULL,
	policy     TEXT NOT NULL,
	granted_by TEXT NOT NULL,
	granted_at BIGINT NOT NULL,
	removed_at BIGINT
);
CREATE UNIQUE INDEX approval_always_open ON approval_always (digest) WHERE removed_at IS NULL;

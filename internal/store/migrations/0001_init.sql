-- +goose Up

-- owner: router
CREATE TABLE inbox (
	id           TEXT PRIMARY KEY,
	channel      TEXT NOT NULL,
	conversation TEXT NOT NULL,
	identity     TEXT NOT NULL, -- the channel's own identity of the message
	sender       TEXT NOT NULL,
	provenance   TEXT NOT NULL,
	body         TEXT NOT NULL,
	state        TEXT NOT NULL, -- queued, taken, done
	turn         TEXT,
	received_at  BIGINT NOT NULL,
	UNIQUE (channel, identity)
);
CREATE INDEX inbox_open ON inbox (conversation, received_at) WHERE state <> 'done';

-- owner: router
CREATE TABLE outbox (
	id           TEXT PRIMARY KEY,
	channel      TEXT NOT NULL,
	conversation TEXT NOT NULL,
	turn         TEXT,
	body         TEXT NOT NULL,
	state        TEXT NOT NULL, -- queued, sent, dead
	attempts     BIGINT NOT NULL DEFAULT 0,
	next_at      BIGINT NOT NULL,
	error        TEXT NOT NULL DEFAULT '',
	created_at   BIGINT NOT NULL,
	sent_at      BIGINT
);
CREATE INDEX outbox_open ON outbox (next_at) WHERE state = 'queued';

-- owner: router
CREATE TABLE channel_state (
	channel TEXT NOT NULL,
	name    TEXT NOT NULL,
	value   TEXT NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (channel, name)
);

-- owner: session
CREATE TABLE sessions (
	id           TEXT PRIMARY KEY,
	conversation TEXT NOT NULL,
	started_at   BIGINT NOT NULL,
	last_turn_at BIGINT NOT NULL
);
CREATE INDEX sessions_conversation ON sessions (conversation, last_turn_at);

-- owner: session
CREATE TABLE messages (
	session  TEXT NOT NULL REFERENCES sessions (id),
	seq      BIGINT NOT NULL,
	turn     TEXT NOT NULL,
	role     TEXT NOT NULL,
	content  TEXT NOT NULL, -- JSON of llm.Message.Content
	at       BIGINT NOT NULL,
	replaced BIGINT NOT NULL DEFAULT 0, -- 1: a later summary stands for it in prompts
	PRIMARY KEY (session, seq)
);

-- owner: agent
CREATE TABLE turns (
	id             TEXT PRIMARY KEY,
	conversation   TEXT NOT NULL,
	session        TEXT NOT NULL REFERENCES sessions (id),
	state          TEXT NOT NULL, -- running, waiting, done, stopped, failed
	reason         TEXT NOT NULL DEFAULT '',
	reply          TEXT NOT NULL DEFAULT '',
	stop_requested BIGINT NOT NULL DEFAULT 0,
	started_at     BIGINT NOT NULL,
	ended_at       BIGINT
);
CREATE INDEX turns_open ON turns (conversation) WHERE ended_at IS NULL;
CREATE INDEX turns_recent ON turns (started_at);

-- owner: agent
CREATE TABLE steps (
	turn    TEXT NOT NULL REFERENCES turns (id),
	n       BIGINT NOT NULL,
	kind    TEXT NOT NULL, -- messages, response, result
	payload TEXT NOT NULL, -- JSON
	at      BIGINT NOT NULL,
	PRIMARY KEY (turn, n)
);

-- owner: spend
CREATE TABLE spend_entries (
	id           TEXT PRIMARY KEY,
	turn         TEXT NOT NULL,
	conversation TEXT NOT NULL,
	channel      TEXT NOT NULL,
	purpose      TEXT NOT NULL,
	model        TEXT NOT NULL,
	state        TEXT NOT NULL, -- reserved, settled
	cost         BIGINT NOT NULL, -- micro-USD: the worst case while reserved, the real one after
	input        BIGINT NOT NULL DEFAULT 0,
	output       BIGINT NOT NULL DEFAULT 0,
	cache_read   BIGINT NOT NULL DEFAULT 0,
	cache_write  BIGINT NOT NULL DEFAULT 0,
	at           BIGINT NOT NULL
);
CREATE INDEX spend_at ON spend_entries (at);
CREATE INDEX spend_turn ON spend_entries (turn);

-- owner: audit
CREATE TABLE audit_log (
	seq         INTEGER PRIMARY KEY,
	at          BIGINT NOT NULL,
	kind        TEXT NOT NULL, -- intent, outcome
	intent      BIGINT,        -- of an outcome: the seq of its intent
	surface     TEXT NOT NULL,
	principal   TEXT NOT NULL,
	method      TEXT NOT NULL,
	tool        TEXT NOT NULL,
	target      TEXT NOT NULL,
	input       TEXT NOT NULL, -- redacted, at most 200 characters
	input_mac   TEXT NOT NULL,
	turn        TEXT NOT NULL,
	call        TEXT NOT NULL,
	outcome     TEXT NOT NULL,
	detail      TEXT NOT NULL,
	duration_us BIGINT NOT NULL,
	cost        BIGINT NOT NULL
);
CREATE INDEX audit_turn ON audit_log (turn);
CREATE INDEX audit_intent ON audit_log (intent);

-- owner: audit
CREATE TABLE audit_files (
	id     INTEGER PRIMARY KEY,
	intent BIGINT NOT NULL,
	turn   TEXT NOT NULL,
	op     TEXT NOT NULL,
	path   TEXT NOT NULL,
	bytes  BIGINT NOT NULL,
	hash   TEXT NOT NULL,
	at     BIGINT NOT NULL
);
CREATE INDEX audit_files_turn ON audit_files (turn);

-- +goose StatementBegin
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_files_no_update BEFORE UPDATE ON audit_files BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_files_no_delete BEFORE DELETE ON audit_files BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END;
-- +goose StatementEnd

-- owner: approval
CREATE TABLE approvals (
	id           TEXT PRIMARY KEY,
	number       BIGINT NOT NULL, -- what the owner types
	call         TEXT NOT NULL,
	turn         TEXT NOT NULL,
	conversation TEXT NOT NULL,
	tool         TEXT NOT NULL,
	summary      TEXT NOT NULL,
	cwd          TEXT NOT NULL,
	rule         TEXT NOT NULL,
	reason       TEXT NOT NULL,
	digest       TEXT NOT NULL,
	state        TEXT NOT NULL, -- pending, approved, denied, used
	asked_at     BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	decided_at   BIGINT,
	decided_by   TEXT NOT NULL DEFAULT '',
	UNIQUE (turn, call)
);
CREATE INDEX approvals_pending ON approvals (asked_at) WHERE state = 'pending';

-- owner: memory
CREATE TABLE memory_items (
	id         TEXT PRIMARY KEY,
	body       TEXT NOT NULL,
	provenance TEXT NOT NULL,
	turn       TEXT NOT NULL,
	at         BIGINT NOT NULL
);

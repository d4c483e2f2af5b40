-- +goose Up

-- owner: selfconf
-- A version of phantom-config/. Numbers are never reused.
CREATE TABLE config_versions (
	number   BIGINT PRIMARY KEY,
	parent   BIGINT NOT NULL,           -- 0 for the first
	kind     TEXT NOT NULL,             -- first, evolved, owner, rollback, adopted
	restored BIGINT NOT NULL DEFAULT 0, -- the version that a rollback went back to
	hash     TEXT NOT NULL,             -- of all documents
	cause    TEXT NOT NULL,             -- JSON: turns, observations, a note
	deltas   TEXT NOT NULL,             -- JSON
	verdicts TEXT NOT NULL,             -- JSON: of gates and judges
	metrics  TEXT NOT NULL,             -- JSON: when it began
	written  BIGINT NOT NULL,           -- 1: its files are on the disk
	erased   BIGINT NOT NULL DEFAULT 0, -- how often something of it was forgotten
	at       BIGINT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER config_versions_no_update BEFORE UPDATE ON config_versions
WHEN NEW.number <> OLD.number OR NEW.parent <> OLD.parent OR NEW.kind <> OLD.kind OR NEW.restored <> OLD.restored
	OR NEW.hash <> OLD.hash OR NEW.metrics <> OLD.metrics OR NEW.at <> OLD.at OR NEW.erased < OLD.erased
	OR (NEW.erased = OLD.erased AND (NEW.cause <> OLD.cause OR NEW.deltas <> OLD.deltas OR NEW.verdicts <> OLD.verdicts))
BEGIN SELECT RAISE(ABORT, 'versions are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER config_versions_no_delete BEFORE DELETE ON config_versions BEGIN SELECT RAISE(ABORT, 'versions are never removed'); END;
-- +goose StatementEnd

-- owner: selfconf
-- Texts of documents by their SHA-256. A text that something was forgotten of
-- keeps its name. The same words, written again after that, are another text
-- and have the number of their version behind the name.
CREATE TABLE config_texts (
	hash   TEXT PRIMARY KEY,
	erased TEXT NOT NULL DEFAULT '', -- the SHA-256 of each form that it had before, each with a space before it
	text   TEXT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER config_texts_no_update BEFORE UPDATE ON config_texts
WHEN NEW.hash <> OLD.hash OR length(NEW.erased) <= length(OLD.erased)
BEGIN SELECT RAISE(ABORT, 'texts of versions are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER config_texts_no_delete BEFORE DELETE ON config_texts BEGIN SELECT RAISE(ABORT, 'texts of versions are never removed'); END;
-- +goose StatementEnd

-- owner: selfconf
CREATE TABLE config_documents (
	version BIGINT NOT NULL,
	name    TEXT NOT NULL,
	hash    TEXT NOT NULL,
	PRIMARY KEY (version, name)
);
-- +goose StatementBegin
CREATE TRIGGER config_documents_no_insert BEFORE INSERT ON config_documents
WHEN NEW.version <> (SELECT max(number) FROM config_versions)
BEGIN SELECT RAISE(ABORT, 'versions are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER config_documents_no_update BEFORE UPDATE ON config_documents BEGIN SELECT RAISE(ABORT, 'versions are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER config_documents_no_delete BEFORE DELETE ON config_documents BEGIN SELECT RAISE(ABORT, 'versions are never removed'); END;
-- +goose StatementEnd

-- owner: selfconf
-- The constitutions that the owner adopted; the last one holds.
CREATE TABLE config_pin (
	version BIGINT PRIMARY KEY, -- that it came with
	hash    TEXT NOT NULL,
	at      BIGINT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER config_pin_no_update BEFORE UPDATE ON config_pin BEGIN SELECT RAISE(ABORT, 'pins are never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER config_pin_no_delete BEFORE DELETE ON config_pin BEGIN SELECT RAISE(ABORT, 'pins are never removed'); END;
-- +goose StatementEnd

-- owner: gate
-- What must go on holding whatever is learnt, besides the cases in the binary.
CREATE TABLE golden_cases (
	id      TEXT PRIMARY KEY,
	lesson  TEXT NOT NULL,
	state   TEXT NOT NULL, -- proposed, holds, retired
	version BIGINT NOT NULL, -- that applied the lesson
	at      BIGINT NOT NULL
);

-- owner: evolve
-- Turns that are over and not yet considered, or were.
CREATE TABLE evolution_turns (
	turn         TEXT PRIMARY KEY,
	conversation TEXT NOT NULL,
	state        TEXT NOT NULL, -- waiting, done, failed
	correction   BIGINT NOT NULL DEFAULT 0, -- 1: the owner corrects something in it, 2: he says that something was wrong
	outcome      TEXT NOT NULL DEFAULT '',  -- the turn's own state
	version      BIGINT NOT NULL DEFAULT 0, -- in force when it ended
	tries        BIGINT NOT NULL DEFAULT 0,
	next_at      BIGINT NOT NULL,
	ended_at     BIGINT NOT NULL
);
CREATE INDEX evolution_turns_waiting ON evolution_turns (state, next_at);
CREATE INDEX evolution_turns_ended ON evolution_turns (ended_at);

-- owner: evolve
CREATE TABLE evolution_observations (
	id         TEXT PRIMARY KEY,
	turn       TEXT NOT NULL,
	kind       TEXT NOT NULL, -- correction, preference, domain, error, success, pattern
	text       TEXT NOT NULL,
	quote      TEXT NOT NULL,
	provenance TEXT NOT NULL,
	confidence DOUBLE PRECISION NOT NULL,
	state      TEXT NOT NULL, -- new, used, dropped
	reason     TEXT NOT NULL DEFAULT '',
	at         BIGINT NOT NULL
);
CREATE INDEX evolution_observations_new ON evolution_observations (state, at);

-- owner: evolve
CREATE TABLE evolution_deltas (
	id         TEXT PRIMARY KEY,
	cycle      TEXT NOT NULL,
	delta      TEXT NOT NULL, -- JSON
	state      TEXT NOT NULL, -- waiting, asking, applied, rejected, reverted
	reason     TEXT NOT NULL DEFAULT '',
	verdicts   TEXT NOT NULL DEFAULT '', -- JSON
	tries      BIGINT NOT NULL DEFAULT 0,
	version    BIGINT NOT NULL DEFAULT 0, -- that it became
	created_at BIGINT NOT NULL,
	decided_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX evolution_deltas_state ON evolution_deltas (state, created_at);

-- owner: evolve
CREATE TABLE evolution_cycles (
	id       TEXT PRIMARY KEY,
	cause    TEXT NOT NULL, -- correction, turns, time, hand, consolidation, approval
	turns    BIGINT NOT NULL DEFAULT 0,
	seen     BIGINT NOT NULL DEFAULT 0, -- observations
	proposed BIGINT NOT NULL DEFAULT 0,
	applied  BIGINT NOT NULL DEFAULT 0,
	rejected BIGINT NOT NULL DEFAULT 0,
	waiting  BIGINT NOT NULL DEFAULT 0,
	version  BIGINT NOT NULL DEFAULT 0,
	error    TEXT NOT NULL DEFAULT '',
	began_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL DEFAULT 0
);

-- owner: evolve
-- Versions that are watched: whether things went worse after them.
CREATE TABLE evolution_watch (
	version BIGINT PRIMARY KEY,
	state   TEXT NOT NULL, -- watching, kept, reverted
	report  TEXT NOT NULL DEFAULT '', -- JSON: the counts that decided
	at      BIGINT NOT NULL
);

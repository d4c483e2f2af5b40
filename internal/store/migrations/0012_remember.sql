-- +goose Up

-- owner: remember
-- The turns that are to be considered for memory. It holds no text.
CREATE TABLE remember_turns (
	turn         TEXT PRIMARY KEY,
	conversation TEXT NOT NULL,
	state        TEXT NOT NULL, -- waiting, done, failed
	tries        BIGINT NOT NULL DEFAULT 0,
	ended_at     BIGINT NOT NULL,
	next_at      BIGINT NOT NULL
);
CREATE INDEX remember_waiting ON remember_turns (next_at) WHERE state = 'waiting';
CREATE INDEX remember_conversation ON remember_turns (conversation, turn);

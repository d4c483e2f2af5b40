-- +goose Up

ALTER TABLE inbox ADD COLUMN kind TEXT NOT NULL DEFAULT 'message';
ALTER TABLE inbox ADD COLUMN source TEXT NOT NULL DEFAULT ''; -- what the channel needs to answer it
CREATE INDEX inbox_source ON inbox (conversation, id) WHERE source <> '';

ALTER TABLE outbox ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN question BIGINT NOT NULL DEFAULT 0; -- the number of the approval that it asks for
ALTER TABLE outbox ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0; -- of that question
CREATE UNIQUE INDEX outbox_question ON outbox (question) WHERE question <> 0;

-- owner: router
-- Which messages of a channel's service a delivery became.
CREATE TABLE outbox_shown (
	channel  TEXT NOT NULL,
	name     TEXT NOT NULL, -- the channel's own
	delivery TEXT NOT NULL,
	at       BIGINT NOT NULL,
	PRIMARY KEY (channel, name)
);

-- owner: router
-- What the owner thought of replies.
CREATE TABLE feedback (
	id           TEXT PRIMARY KEY,
	channel      TEXT NOT NULL,
	conversation TEXT NOT NULL,
	turn         TEXT NOT NULL,
	sender       TEXT NOT NULL,
	press        TEXT NOT NULL, -- up, down
	at           BIGINT NOT NULL,
	UNIQUE (turn, sender, press)
);

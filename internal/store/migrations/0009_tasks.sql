-- +goose Up

-- owner: schedule
CREATE TABLE tasks (
	id          TEXT PRIMARY KEY,
	created_by  TEXT NOT NULL,
	client      BIGINT NOT NULL, -- 1: created_by is a client, else the owner
	title       TEXT NOT NULL,
	description TEXT NOT NULL,
	urgency     BIGINT NOT NULL, -- 0 low, 1 normal, 2 high
	state       TEXT NOT NULL, -- queued, running, done, failed, cancelled
	cancelling  BIGINT NOT NULL DEFAULT 0, -- 1: it runs and was asked not to
	progress    TEXT NOT NULL DEFAULT '',
	turn        TEXT NOT NULL DEFAULT '',
	reply       TEXT NOT NULL DEFAULT '',
	cost        BIGINT NOT NULL DEFAULT 0, -- millionths of a dollar
	created_at  BIGINT NOT NULL,
	started_at  BIGINT,
	ended_at    BIGINT
);
CREATE INDEX tasks_queued ON tasks (urgency DESC, id) WHERE state = 'queued';
CREATE INDEX tasks_running ON tasks (id) WHERE state = 'running';
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;

-- +goose Up

-- owner: tool/dynamic
CREATE TABLE dynamic_tools (
	name          TEXT PRIMARY KEY,
	description   TEXT NOT NULL,
	input_schema  TEXT NOT NULL, -- JSON Schema
	handler       TEXT NOT NULL, -- shell or script
	code          TEXT NOT NULL, -- of a shell tool, otherwise ''
	path          TEXT NOT NULL, -- of a script, relative to the workspace, otherwise ''
	network       BIGINT NOT NULL,
	timeout_s     BIGINT NOT NULL,
	hash          TEXT NOT NULL, -- of the code or the script's bytes
	registered_by TEXT NOT NULL, -- kind:name of the principal
	registered_at BIGINT NOT NULL
);

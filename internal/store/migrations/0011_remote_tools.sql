-- +goose Up

-- owner: tool/remote
-- What servers of others say of their tools, as it was when it was pinned.
CREATE TABLE remote_tools (
	server              TEXT NOT NULL,
	tool                TEXT NOT NULL, -- as the server names it
	hash                TEXT NOT NULL, -- of name, description and schema
	description         TEXT NOT NULL,
	input_schema        TEXT NOT NULL, -- JSON Schema
	first_seen          BIGINT NOT NULL,
	approved_at         BIGINT NOT NULL DEFAULT 0, -- when the owner accepted a change; 0: pinned at first sight
	-- What the server says now, if that is something else and waits for the owner.
	offered_hash        TEXT NOT NULL DEFAULT '',
	offered_description TEXT NOT NULL DEFAULT '',
	offered_schema      TEXT NOT NULL DEFAULT '',
	offered_at          BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (server, tool)
);

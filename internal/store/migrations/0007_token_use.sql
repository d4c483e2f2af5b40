-- +goose Up

-- owner: access
-- When a token was last let in. What a token may do stands in config/mcp.yaml.
CREATE TABLE token_use (
	hash    TEXT PRIMARY KEY, -- sha256:<hex>, as in the file
	client  TEXT NOT NULL,
	used_at BIGINT NOT NULL
);

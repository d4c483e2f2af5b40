-- +goose Up

-- owner: tool
CREATE TABLE tool_cwd (
	conversation TEXT PRIMARY KEY,
	cwd          TEXT NOT NULL
);

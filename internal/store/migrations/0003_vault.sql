-- +goose Up

-- owner: vault
CREATE TABLE secrets (
	name       TEXT PRIMARY KEY,
	version    BIGINT NOT NULL,
	hosts      TEXT NOT NULL, -- where a request may take it, one a line
	key_id     TEXT NOT NULL, -- of the key that it is sealed under
	sealed     BLOB NOT NULL,
	updated_at BIGINT NOT NULL
);

-- owner: vault
CREATE TABLE secret_manifest (
	one    BIGINT PRIMARY KEY CHECK (one = 1),
	key_id TEXT NOT NULL,
	mac    BLOB NOT NULL -- over all rows of secrets
);

-- owner: vault
CREATE TABLE secret_links (
	token        TEXT PRIMARY KEY, -- SHA-256 of it
	fields       TEXT NOT NULL,
	reason       TEXT NOT NULL,
	conversation TEXT NOT NULL,
	turn         TEXT NOT NULL,
	created_at   BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	used_at      BIGINT
);

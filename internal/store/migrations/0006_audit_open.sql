-- +goose Up

-- owner: audit
-- The intents whose outcome is not written yet, so that a start need not look
-- for them in the whole log. It only says where to look: what counts is the log.
CREATE TABLE audit_open (
	seq INTEGER PRIMARY KEY -- of an intent in audit_log
);
INSERT INTO audit_open (seq)
SELECT a.seq FROM audit_log AS a WHERE a.kind = 'intent' AND NOT EXISTS (SELECT 1 FROM audit_log AS o WHERE o.intent = a.seq);

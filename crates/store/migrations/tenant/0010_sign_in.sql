-- From when a user's sessions are valid: access tokens of an earlier moment are worth nothing.
CREATE TABLE session_floor (
    user_id TEXT NOT NULL PRIMARY KEY,
    valid_from INTEGER NOT NULL
) STRICT;

-- Browsers in which a user signed in before, by the digest of their cookie.
CREATE TABLE device (
    digest BLOB NOT NULL,
    user_id TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (digest, user_id)
) STRICT;
CREATE INDEX device_user ON device (user_id, seen_at);

-- From where; empty for what was recorded before.
ALTER TABLE sign_in_log ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX sign_in_log_user ON sign_in_log (user_id);
CREATE INDEX audit_log_target ON audit_log (target);

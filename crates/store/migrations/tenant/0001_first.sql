-- The tenant's first schema. Times are nanoseconds since 1970; ids are GUIDs as text, so that an
-- operator can read them with the sqlite3 shell; digests are SHA-256.

CREATE TABLE tenant (
    id TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE verified_domain (
    name TEXT NOT NULL PRIMARY KEY
) STRICT;

-- The change sequencer: updated in the transaction of the change, so that a later number is never
-- seen before an earlier one.
CREATE TABLE seq_alloc (
    partition TEXT NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT;
INSERT INTO seq_alloc (partition, next) VALUES ('directory', 1);

CREATE TABLE object (
    rid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    anchor TEXT UNIQUE,
    seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    synchronised_at INTEGER,
    deleted_at INTEGER,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX object_feed ON object (kind, seq);
CREATE INDEX object_page ON object (kind, id) WHERE deleted_at IS NULL;

-- Names that find a living object; case-folded.
CREATE TABLE attr_index (
    attr TEXT NOT NULL,
    value_norm TEXT NOT NULL,
    rid INTEGER NOT NULL REFERENCES object (rid),
    UNIQUE (attr, value_norm)
) STRICT;
CREATE INDEX attr_index_object ON attr_index (rid);

-- References are by anchor, so that one may come before its object.
CREATE TABLE link (
    src_rid INTEGER NOT NULL REFERENCES object (rid),
    attr TEXT NOT NULL,
    dst_anchor TEXT NOT NULL,
    seq INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    UNIQUE (src_rid, attr, dst_anchor)
) STRICT;
CREATE INDEX link_backward ON link (attr, dst_anchor) WHERE deleted = 0;
CREATE INDEX link_feed ON link (attr, seq);

CREATE TABLE credential (
    user_id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- Keys and salts of the tenant itself.
CREATE TABLE vault (
    name TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Public documents of the tenant itself, such as its CA certificate.
CREATE TABLE document (
    name TEXT NOT NULL PRIMARY KEY,
    octets BLOB NOT NULL
) STRICT;

CREATE TABLE throttle (
    name BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    locked_until INTEGER
) STRICT;

CREATE TABLE session (
    digest BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_user ON session (user_id);

CREATE TABLE code (
    digest BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    family TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    nonce TEXT,
    expires_at INTEGER NOT NULL,
    redeemed INTEGER NOT NULL
) STRICT;
CREATE INDEX code_user ON code (user_id);

CREATE TABLE refresh_token (
    digest BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    family TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT;
CREATE INDEX refresh_token_user ON refresh_token (user_id);
CREATE INDEX refresh_token_family ON refresh_token (family);

CREATE TABLE used_once (
    name BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE application (
    client_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE enrolment (
    secret BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE ingested_batch (
    id TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX ingested_batch_at ON ingested_batch (at);

CREATE TABLE sign_in_log (
    rid INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    correlation_id TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT,
    method TEXT NOT NULL,
    error INTEGER
) STRICT;

CREATE TABLE audit_log (
    rid INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL
) STRICT;

-- The connector space of one forest, what the tenant acknowledged of it, and the cursors.
CREATE TABLE object (
    rid INTEGER PRIMARY KEY,
    guid BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    dn TEXT NOT NULL,
    parent BLOB,
    members BLOB NOT NULL,
    attributes TEXT NOT NULL,
    import INTEGER NOT NULL
);
-- INVARIANT: a row is inserted once and never changed.
CREATE TABLE anchor (
    guid BLOB PRIMARY KEY,
    anchor TEXT NOT NULL UNIQUE
);
CREATE TABLE exported (
    anchor TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    attributes TEXT NOT NULL,
    members TEXT NOT NULL
);
-- Objects whose current credential the tenant has acknowledged.
CREATE TABLE credential (
    guid BLOB PRIMARY KEY
);
CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

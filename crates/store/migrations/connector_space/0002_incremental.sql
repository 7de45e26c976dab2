-- Objects are kept by import: a full read is written beside what is there, and counts at once when it
-- is whole. Objects as the first release kept them lack the containers above them and the contacts;
-- without a cursor, the next run reads the forest in full. Anchors, what was exported, credentials and
-- the cursor of replication stay.
DROP TABLE object;
CREATE TABLE object (
    rid INTEGER PRIMARY KEY,
    import INTEGER NOT NULL,
    guid BLOB NOT NULL,
    kind TEXT NOT NULL,
    parent BLOB,
    dn TEXT NOT NULL,
    members BLOB NOT NULL,
    attributes BLOB NOT NULL,
    UNIQUE (import, guid)
);
CREATE INDEX object_parent ON object (parent, import);
-- `import`: the number of the import that counts. `generation`: grows with every change of an object.
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO state (name, value) VALUES ('import', 0), ('generation', 0);

-- Sync servers that share the ownership of objects. The owner of an object (object_owner.client_id) is
-- the group; a server that is in no row is a group of its own, under its own id.
CREATE TABLE sync_group (
    client_id TEXT NOT NULL PRIMARY KEY,
    group_id TEXT NOT NULL
) STRICT;
CREATE INDEX sync_group_group ON sync_group (group_id);

-- Which server of a group may write. The epoch never goes back; the holder is null when nobody may, and
-- waived is 1 when any may who asks for no lease.
CREATE TABLE lease (
    group_id TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    waived INTEGER NOT NULL,
    holder TEXT,
    name TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- The sync server whose group whoever enrols with this secret joins.
ALTER TABLE enrolment ADD COLUMN joins TEXT;

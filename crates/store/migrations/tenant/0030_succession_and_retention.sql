-- The sync server that whoever enrols with this secret succeeds, by an administrator's word.
ALTER TABLE enrolment ADD COLUMN replaces TEXT;

-- The last batch of each sync server, and when it came: what a server that comes back holds against what
-- it remembers.
CREATE TABLE sync_server (
    client_id TEXT NOT NULL PRIMARY KEY,
    last_batch TEXT NOT NULL,
    ingested_at INTEGER NOT NULL
) STRICT;
CREATE INDEX object_owner_client ON object_owner (client_id, anchor);

-- How long what was deleted is kept. A link of before gets its time when it is first looked at.
ALTER TABLE link ADD COLUMN deleted_at INTEGER;
CREATE INDEX link_deleted ON link (deleted_at) WHERE deleted = 1;
CREATE INDEX object_deleted ON object (deleted_at) WHERE deleted_at IS NOT NULL;

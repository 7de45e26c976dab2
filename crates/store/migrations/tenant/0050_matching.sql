-- The switches of synchronisation; one that is in no row is off.
CREATE TABLE feature (
    name TEXT NOT NULL PRIMARY KEY,
    enabled INTEGER NOT NULL
) STRICT;

-- Values that an object does not have because another one has them.
CREATE TABLE provisioning_error (
    object_id TEXT NOT NULL,
    attr TEXT NOT NULL,
    value_norm TEXT NOT NULL,
    value TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    PRIMARY KEY (object_id, attr, value_norm)
) STRICT;
CREATE INDEX provisioning_error_value ON provisioning_error (attr, value_norm);

-- Addresses are one object's alone. Of those that have one in common from before, the oldest has it.
INSERT OR IGNORE INTO attr_index (attr, value_norm, rid)
SELECT 'proxyAddresses', lower(j.value), o.rid FROM object o, json_each(o.doc, '$.proxyAddresses') j
WHERE o.deleted_at IS NULL ORDER BY o.rid;

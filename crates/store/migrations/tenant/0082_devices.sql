-- A deviceId is one living device's alone, and finds it. Of those that have one in common from before, the oldest
-- has it.
INSERT OR IGNORE INTO attr_index (attr, value_norm, rid)
SELECT 'deviceId', lower(json_extract(o.doc, '$.deviceId')), o.rid FROM object o
WHERE o.kind = 'device' AND o.deleted_at IS NULL AND json_extract(o.doc, '$.deviceId') IS NOT NULL
ORDER BY o.rid;

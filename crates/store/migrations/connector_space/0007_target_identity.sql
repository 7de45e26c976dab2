-- The ids that a target gives its objects itself, where it has no sourceAnchor to name them by, as
-- Microsoft Graph. `id` is NULL once an object was sent and until the answer came: it may be there, and
-- has to be looked up before it is forgotten.
CREATE TABLE target_identity (
    key INTEGER PRIMARY KEY,
    id BLOB
);
-- Objects that were sent, whose answer did not come, and that are not wished for any more.
CREATE TABLE target_doubt (
    connector INTEGER NOT NULL,
    anchor TEXT NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (connector, anchor)
) WITHOUT ROWID;
CREATE TRIGGER target_unmade AFTER UPDATE OF confirmed ON target_object
    WHEN old.confirmed IS NOT NULL AND new.confirmed IS NULL BEGIN
    DELETE FROM target_identity WHERE key = old.key;
END;
CREATE TRIGGER target_gone AFTER DELETE ON target_object BEGIN
    INSERT OR IGNORE INTO target_doubt (connector, anchor, kind)
        SELECT old.connector, old.anchor, old.kind FROM target_identity
        WHERE key = old.key AND old.confirmed IS NULL;
    DELETE FROM target_identity WHERE key = old.key;
END;

-- Values that a target did not take of objects that it took otherwise: told of until it takes another one, or the
-- object is gone there.
CREATE TABLE target_remark (
    key INTEGER NOT NULL,
    attribute TEXT NOT NULL,
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (key, attribute)
) WITHOUT ROWID;
CREATE TRIGGER target_unmade_remarks AFTER UPDATE OF confirmed ON target_object
    WHEN old.confirmed IS NOT NULL AND new.confirmed IS NULL BEGIN
    DELETE FROM target_remark WHERE key = old.key;
END;
CREATE TRIGGER target_gone_remarks AFTER DELETE ON target_object BEGIN
    DELETE FROM target_remark WHERE key = old.key;
END;

-- Several domains of one forest, each with its own naming context. Number 0 is that of the domain that names the
-- forest: all that was read before. So nothing is read anew.
CREATE TABLE partition (
    connector INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (connector, number),
    UNIQUE (connector, name)
) WITHOUT ROWID;
-- From which naming context an object was read last.
ALTER TABLE identity ADD COLUMN part INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incoming ADD COLUMN part INTEGER NOT NULL DEFAULT 0;
-- Naming contexts of one forest are merged one beside the other. `departs`: since when (Unix time) objects that
-- were not taken in have departed; NULL where they are gone at once.
CREATE TABLE merging_of_partition (
    connector INTEGER NOT NULL,
    part INTEGER NOT NULL,
    cursor BLOB NOT NULL,
    step INTEGER NOT NULL,
    after INTEGER NOT NULL,
    departs INTEGER,
    PRIMARY KEY (connector, part)
) WITHOUT ROWID;
INSERT INTO merging_of_partition (connector, part, cursor, step, after)
    SELECT connector, 0, cursor, step, after FROM merging;
DROP TABLE merging;
ALTER TABLE merging_of_partition RENAME TO merging;
-- Staged objects that their naming context does not have any more, and that may have moved to another one of the
-- forest: they stay staged until that is known. `moved`: the directory said that they did.
CREATE TABLE departed (
    key INTEGER PRIMARY KEY,
    since INTEGER NOT NULL,
    moved INTEGER NOT NULL
);

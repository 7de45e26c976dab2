-- What targets lost, by minutes (Unix time): sort 0 to 9 are objects, by their kind; 10 are references, by the
-- anchor of the object that referred.
CREATE TABLE loss (
    connector INTEGER NOT NULL,
    sort INTEGER NOT NULL,
    anchor TEXT NOT NULL,
    at INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    PRIMARY KEY (connector, sort, anchor, at)
) WITHOUT ROWID;
-- What somebody let through above what goes without a word. Sort 11 are the members of the group of the
-- anchor. Behind `until`, what was used of it counts, and no more.
CREATE TABLE release (
    connector INTEGER NOT NULL,
    sort INTEGER NOT NULL,
    anchor TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    PRIMARY KEY (connector, sort, anchor, at)
) WITHOUT ROWID;
-- What is to be removed is counted before every export; what is to be added may be much more.
CREATE INDEX pending_reference_removed ON pending_reference (source) WHERE added = 0;

-- The master key that seals what is written, by its name. One row, or none in a store of before: the
-- first key of the master key file seals then.
CREATE TABLE sealing_key (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL
) STRICT;

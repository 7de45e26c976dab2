-- The master key that seals what is written, by its name. One row, or none in a store of before: the
-- first key of the master key file seals then.
CREATE TABLE sealing_key (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL
) STRICT;

-- Which sync server an object of the forest is from: no other one writes it.
CREATE TABLE object_owner (
    anchor TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL
) STRICT;

-- Who administers the directory.
CREATE TABLE role_assignment (
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    assigned_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, role)
) STRICT;

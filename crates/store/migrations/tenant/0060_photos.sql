-- The photos of users, as they came from the forest.
CREATE TABLE photo (
    user_id TEXT NOT NULL PRIMARY KEY,
    octets BLOB NOT NULL
) STRICT;

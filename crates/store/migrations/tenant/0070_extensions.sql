-- Attributes that an administrator added to the schema; the kinds are a JSON array of words.
CREATE TABLE extension (
    name TEXT NOT NULL PRIMARY KEY,
    data_type TEXT NOT NULL,
    is_list INTEGER NOT NULL,
    kinds TEXT NOT NULL
) STRICT;

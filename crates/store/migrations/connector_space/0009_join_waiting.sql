-- Staging objects without a link that a rule would join, by the values that they look for: digests as those of
-- join_value. They are looked at again when a metaverse object gets such a value.
CREATE TABLE join_waiting (
    attribute INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (attribute, digest, key)
) WITHOUT ROWID;
CREATE INDEX join_waiting_key ON join_waiting (key);

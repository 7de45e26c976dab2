-- Each acquisition of a lease has an id that was drawn for it, beside its epoch, which comes again when this
-- database is restored from a backup; and the id of the one before it. What an earlier release gave gets an id that
-- no server knows.
ALTER TABLE lease ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE lease ADD COLUMN previous TEXT;
UPDATE lease SET id = lower(hex(randomblob(16)));

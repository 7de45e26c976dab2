-- Objects that were sent, and of which it is not known whether the target has them: they are looked up before
-- an export sends anything, and found without reading the ids of all others.
CREATE INDEX target_in_doubt ON target_identity (key) WHERE id IS NULL;

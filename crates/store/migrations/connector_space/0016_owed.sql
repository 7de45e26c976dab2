-- Which passwords are owed, without what a target acknowledged of the object: an index is written anew whenever a column
-- changes that it asks about, and that one changes with every export.
DROP INDEX target_owed;
CREATE INDEX target_owed ON target_object (connector, key) WHERE password = 1 AND credentialed = 0;

-- The digest of each photo, so that a sync server sees whether it is the one that it wrote without anybody reading
-- all of them. Photos of an earlier release have none: it is made when it is asked for.
ALTER TABLE photo ADD COLUMN digest TEXT;

-- The recycle bin is read page by page, in the order of ids, without looking at those who are not in it.
CREATE INDEX object_recycled ON object (kind, id) WHERE deleted_at IS NOT NULL;

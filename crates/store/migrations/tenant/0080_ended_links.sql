-- References to an object that was deleted end with it. Those of objects that were deleted by an earlier release
-- did not, and would be there again should their object come back: they end here, and whoever follows changes
-- is told.
UPDATE link SET deleted = 1, deleted_at = NULL,
    seq = (SELECT next FROM seq_alloc WHERE partition = 'directory')
WHERE deleted = 0 AND attr IN ('members', 'manager')
    AND dst_anchor IN (SELECT anchor FROM object WHERE deleted_at IS NOT NULL AND anchor IS NOT NULL);
UPDATE seq_alloc SET next = next + 1 WHERE partition = 'directory';

-- The sourceAnchor that several objects claim: what a target has by it is one of theirs, and stays until it is
-- known whose.
ALTER TABLE object_error ADD COLUMN anchor TEXT;
CREATE INDEX object_error_anchor ON object_error (anchor) WHERE anchor IS NOT NULL;

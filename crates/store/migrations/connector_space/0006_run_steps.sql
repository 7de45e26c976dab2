-- What a run did, step by step. `milliseconds`, `outcome` and `counts` (JSON) stand once a step has ended,
-- and `error` when it failed. `forest` is the forest's domain, of a step that is about one.
CREATE TABLE run_step (
    run INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    step TEXT NOT NULL,
    forest TEXT,
    begun INTEGER NOT NULL,
    milliseconds INTEGER,
    outcome TEXT,
    counts TEXT,
    error TEXT,
    PRIMARY KEY (run, ordinal)
) WITHOUT ROWID;

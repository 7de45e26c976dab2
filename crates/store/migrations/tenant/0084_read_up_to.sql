-- How far a group of sync servers had read its forests when it last wrote: of each domain, the number of the last
-- change of each domain controller's database, by its invocationId. A number never goes back.
CREATE TABLE read_up_to (
    group_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    invocation_id TEXT NOT NULL,
    usn INTEGER NOT NULL,
    PRIMARY KEY (group_id, domain, invocation_id)
) STRICT, WITHOUT ROWID;

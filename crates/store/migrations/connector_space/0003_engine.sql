-- The state of the synchronisation engine: several forests, a metaverse, several targets. It stands
-- beside the tables of before. Of those it takes the anchors, what was exported (as there, its content
-- unknown), which credentials were acknowledged, and the cursor of replication; forests are read in
-- full once.

-- Connected systems. The two without a name are those of before: the first forest and the first target
-- that are asked for take them over.
CREATE TABLE connector (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    UNIQUE (kind, name)
);
-- Names of attributes and keys of rules by their numbers, which have no gaps and never change.
CREATE TABLE attribute (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE rule (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
);

-- Every object that a forest named. State 0: a placeholder, known by a reference; 1: staged; 2: gone.
CREATE TABLE identity (
    key INTEGER PRIMARY KEY,
    connector INTEGER NOT NULL,
    guid BLOB NOT NULL,
    state INTEGER NOT NULL,
    kind INTEGER,
    parent INTEGER,
    UNIQUE (connector, guid)
);
CREATE INDEX identity_parent ON identity (parent) WHERE parent IS NOT NULL;
CREATE INDEX identity_not_staged ON identity (connector, key) WHERE state <> 1;
-- What was imported of those that are staged. A record ends with its checksum.
CREATE TABLE staged (
    key INTEGER PRIMARY KEY,
    dn TEXT NOT NULL,
    record BLOB NOT NULL
);
-- INVARIANT: an anchor is set once and never changed, whatever becomes of the object.
CREATE TABLE link (
    key INTEGER PRIMARY KEY,
    anchor TEXT,
    metaverse INTEGER,
    kind INTEGER
);
CREATE INDEX link_anchor ON link (anchor) WHERE anchor IS NOT NULL;
CREATE INDEX link_metaverse ON link (metaverse) WHERE metaverse IS NOT NULL;
CREATE UNIQUE INDEX link_anchor ON link (anchor) WHERE anchor IS NOT NULL;
-- References between objects of a forest.
CREATE TABLE reference (
    source INTEGER NOT NULL,
    attribute INTEGER NOT NULL,
    target INTEGER NOT NULL,
    PRIMARY KEY (source, attribute, target)
) WITHOUT ROWID;
CREATE INDEX reference_target ON reference (target);
-- Objects that changed since they were synchronised, in the order in which they did.
CREATE TABLE pending_object (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT,
    key INTEGER NOT NULL UNIQUE
);

-- A full import under way, beside what counts. A row without a record: the object is as it was.
CREATE TABLE incoming (
    key INTEGER PRIMARY KEY,
    kind INTEGER,
    parent INTEGER,
    dn TEXT,
    record BLOB
);
CREATE TABLE incoming_reference (
    source INTEGER NOT NULL,
    attribute INTEGER NOT NULL,
    target INTEGER NOT NULL,
    PRIMARY KEY (source, attribute, target)
) WITHOUT ROWID;
-- One that is whole, and is being merged. `step` and `after`: how far that is.
CREATE TABLE merging (
    connector INTEGER PRIMARY KEY,
    cursor BLOB NOT NULL,
    step INTEGER NOT NULL,
    after INTEGER NOT NULL
);

CREATE TABLE metaverse (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    record BLOB NOT NULL
);
-- Attributes by which objects are joined, and digests of their values.
CREATE TABLE join_attribute (
    attribute INTEGER PRIMARY KEY
);
CREATE TABLE join_value (
    attribute INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    metaverse INTEGER NOT NULL,
    PRIMARY KEY (attribute, digest, metaverse)
) WITHOUT ROWID;
CREATE INDEX join_value_metaverse ON join_value (metaverse);

-- Objects of targets. Below zero, the number of the metaverse object is that of none: there is none yet
-- (the target says that it has the object), or none any more (it is to be deleted). `confirmed`: what the target acknowledged; without
-- attributes when nothing is known but that it is there. `stage`: its turn among what is pending.
CREATE TABLE target_object (
    key INTEGER PRIMARY KEY,
    connector INTEGER NOT NULL,
    metaverse INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    anchor TEXT NOT NULL,
    confirmed BLOB,
    stage INTEGER,
    pending BLOB,
    feeds BLOB,
    password INTEGER NOT NULL DEFAULT 0,
    credentialed INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT,
    error TEXT,
    UNIQUE (connector, anchor)
);
CREATE UNIQUE INDEX target_metaverse ON target_object (metaverse, connector);
CREATE INDEX target_pending ON target_object (connector, stage, key) WHERE stage IS NOT NULL;
CREATE INDEX target_orphan ON target_object (anchor) WHERE metaverse < 0;
CREATE INDEX target_owed ON target_object (connector, key)
    WHERE password = 1 AND credentialed = 0 AND confirmed IS NOT NULL;
CREATE INDEX target_refused ON target_object (key) WHERE code IS NOT NULL;
-- Which references a target's object gets, from which attribute of which object of a forest.
CREATE TABLE feed (
    target INTEGER NOT NULL,
    attribute INTEGER NOT NULL,
    object INTEGER NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (target, attribute, object, source)
) WITHOUT ROWID;
-- References between a target's objects as it acknowledged them, and what is to be done to them.
CREATE TABLE target_reference (
    source INTEGER NOT NULL,
    attribute INTEGER NOT NULL,
    target INTEGER NOT NULL,
    PRIMARY KEY (source, attribute, target)
) WITHOUT ROWID;
CREATE INDEX target_reference_target ON target_reference (target);
CREATE TABLE pending_reference (
    source INTEGER NOT NULL,
    attribute INTEGER NOT NULL,
    target INTEGER NOT NULL,
    added INTEGER NOT NULL,
    PRIMARY KEY (source, attribute, target)
) WITHOUT ROWID;
CREATE INDEX pending_reference_target ON pending_reference (target);
-- References that have to be looked at again. Kind 1: one of a forest; 2: all of a forest to an object;
-- 3: all that an object of a target should have; 4: all that it has; 5: all to it that a target has;
-- 6: one of a target. `after_*`: how far that is.
CREATE TABLE dirty_reference (
    kind INTEGER NOT NULL,
    object INTEGER NOT NULL,
    attribute INTEGER NOT NULL DEFAULT 0,
    target INTEGER NOT NULL DEFAULT 0,
    after_1 INTEGER NOT NULL DEFAULT -1,
    after_2 INTEGER NOT NULL DEFAULT -1,
    after_3 INTEGER NOT NULL DEFAULT -1,
    after_4 INTEGER NOT NULL DEFAULT -1,
    PRIMARY KEY (kind, object, attribute, target)
) WITHOUT ROWID;

-- How many objects there are: what 0: staged, 1: exported, 2: exported and to be deleted.
CREATE TABLE counter (
    what INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    there INTEGER NOT NULL,
    PRIMARY KEY (what, connector, kind)
) WITHOUT ROWID;
CREATE TRIGGER identity_inserted AFTER INSERT ON identity WHEN new.state = 1 BEGIN
    INSERT INTO counter VALUES (0, new.connector, new.kind, 1)
        ON CONFLICT DO UPDATE SET there = there + 1;
END;
CREATE TRIGGER identity_left AFTER UPDATE OF state, kind ON identity WHEN old.state = 1 BEGIN
    UPDATE counter SET there = there - 1
        WHERE what = 0 AND connector = old.connector AND kind = old.kind;
END;
CREATE TRIGGER identity_entered AFTER UPDATE OF state, kind ON identity WHEN new.state = 1 BEGIN
    INSERT INTO counter VALUES (0, new.connector, new.kind, 1)
        ON CONFLICT DO UPDATE SET there = there + 1;
END;
CREATE TRIGGER target_inserted AFTER INSERT ON target_object WHEN new.confirmed IS NOT NULL BEGIN
    INSERT INTO counter VALUES (1, new.connector, new.kind, 1)
        ON CONFLICT DO UPDATE SET there = there + 1;
    INSERT INTO counter VALUES (2, new.connector, new.kind, new.stage IS 0)
        ON CONFLICT DO UPDATE SET there = there + excluded.there;
END;
CREATE TRIGGER target_left AFTER UPDATE OF confirmed, kind, stage ON target_object
    WHEN old.confirmed IS NOT NULL BEGIN
    UPDATE counter SET there = there - 1
        WHERE what = 1 AND connector = old.connector AND kind = old.kind;
    UPDATE counter SET there = there - (old.stage IS 0)
        WHERE what = 2 AND connector = old.connector AND kind = old.kind;
END;
CREATE TRIGGER target_entered AFTER UPDATE OF confirmed, kind, stage ON target_object
    WHEN new.confirmed IS NOT NULL BEGIN
    INSERT INTO counter VALUES (1, new.connector, new.kind, 1)
        ON CONFLICT DO UPDATE SET there = there + 1;
    INSERT INTO counter VALUES (2, new.connector, new.kind, new.stage IS 0)
        ON CONFLICT DO UPDATE SET there = there + excluded.there;
END;
CREATE TRIGGER target_deleted AFTER DELETE ON target_object WHEN old.confirmed IS NOT NULL BEGIN
    UPDATE counter SET there = there - 1
        WHERE what = 1 AND connector = old.connector AND kind = old.kind;
    UPDATE counter SET there = there - (old.stage IS 0)
        WHERE what = 2 AND connector = old.connector AND kind = old.kind;
END;

CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    begun INTEGER NOT NULL,
    ended INTEGER,
    outcome TEXT,
    counts TEXT
);
-- What is wrong with objects. Subject 0: of a forest; 1: of the metaverse.
CREATE TABLE object_error (
    subject INTEGER NOT NULL,
    key INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    hint TEXT,
    run INTEGER,
    PRIMARY KEY (subject, key, ordinal)
) WITHOUT ROWID;
-- What is remembered of a connector by name: cursors, and which batches were sent.
CREATE TABLE remembered (
    connector INTEGER NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (connector, name)
) WITHOUT ROWID;

-- Of before.
INSERT INTO connector (id, name, kind) VALUES (1, '', 0), (2, '', 1);
INSERT INTO identity (connector, guid, state) SELECT 1, guid, 0 FROM anchor ORDER BY rowid;
INSERT INTO link (key, anchor)
    SELECT identity.key, anchor.anchor FROM anchor JOIN identity
        ON identity.connector = 1 AND identity.guid = anchor.guid ORDER BY identity.key;
-- Kinds of a target: 0 user, 1 contact, 2 group, 3 device. The octets are an empty record's, which is not known.
INSERT INTO target_object (key, connector, metaverse, kind, anchor, confirmed, credentialed)
    SELECT exported.rowid, 2, -exported.rowid, CASE exported.kind WHEN 'user' THEN 0 WHEN 'contact' THEN 1 ELSE 2 END,
        exported.anchor, x'', credential.guid IS NOT NULL
    FROM exported LEFT JOIN anchor ON anchor.anchor = exported.anchor
        LEFT JOIN credential ON credential.guid = anchor.guid
    ORDER BY exported.rowid;
INSERT INTO remembered (connector, name, value)
    SELECT CASE name WHEN 'drs' THEN 1 ELSE 2 END, name, value FROM cursor
    WHERE name IN ('drs', 'batches');

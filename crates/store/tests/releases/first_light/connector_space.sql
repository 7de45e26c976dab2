-- What the release 'first light' wrote, with some of everything in it. Never changed: it is what a
-- later release has to open.
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'first light','2026-11-22 03:53:36',1,X'da15020dfd02cce1a264d24af366c30a75260299a0f2f9dd0faa9e4e9799e78f17b8b96017d86b5dba2b19becbc93451',7615529);
CREATE TABLE object (
    rid INTEGER PRIMARY KEY,
    guid BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    dn TEXT NOT NULL,
    parent BLOB,
    members BLOB NOT NULL,
    attributes TEXT NOT NULL,
    import INTEGER NOT NULL
);
INSERT INTO object VALUES(1,X'01010101010101010101010101010101','group','CN=g1,DC=x',NULL,X'02020202020202020202020202020202','{"displayname":["Zoë"],"objectsid":[[1,1,0,0,0,0,0,5,255,254,0,0]]}',1);
INSERT INTO object VALUES(2,X'02020202020202020202020202020202','group','CN=g2,DC=x',NULL,X'','{"displayname":["Zoë"],"objectsid":[[1,1,0,0,0,0,0,5,255,254,0,0]]}',1);
CREATE TABLE anchor (
    guid BLOB PRIMARY KEY,
    anchor TEXT NOT NULL UNIQUE
);
INSERT INTO anchor VALUES(X'01010101010101010101010101010101','first');
CREATE TABLE exported (
    anchor TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    attributes TEXT NOT NULL,
    members TEXT NOT NULL
);
INSERT INTO exported VALUES('first','group','{"displayName":"Zoe"}','[]');
CREATE TABLE credential (
    guid BLOB PRIMARY KEY
);
INSERT INTO credential VALUES(X'01010101010101010101010101010101');
CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
INSERT INTO cursor VALUES('drs',X'637572736f72');

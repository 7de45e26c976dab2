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
INSERT INTO _sqlx_migrations VALUES(1,'first','2026-11-22 03:53:36',1,X'bab7e7389f0ab94605448dc84d599bc2f48f5117f6e79179af09260ce6b3b0ccb8b7e94eb3fe15f28ffe6f023b3c12ce',8749850);
CREATE TABLE tenant (
    id TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO tenant VALUES('07070707-0707-4707-8707-070707070707','cloud.example',1795000000123456700);
CREATE TABLE verified_domain (
    name TEXT NOT NULL PRIMARY KEY
) STRICT;
INSERT INTO verified_domain VALUES('corp.example');
CREATE TABLE seq_alloc (
    partition TEXT NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT;
INSERT INTO seq_alloc VALUES('directory',4);
CREATE TABLE object (
    rid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    anchor TEXT UNIQUE,
    seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    synchronised_at INTEGER,
    deleted_at INTEGER,
    doc TEXT NOT NULL
) STRICT;
INSERT INTO object VALUES(1,'01010101-0101-4101-8101-010101010101','user','anchor-1',1,1795000000123456700,1795000000123456700,NULL,'{"accountEnabled":true,"businessPhones":["1","2"],"displayName":"Objekt 1 Ü","onPremisesAccountExpiresDateTime":"2026-11-18T11:06:40.1234567Z","userPrincipalName":"User1@corp.example"}');
INSERT INTO object VALUES(2,'14141414-1414-4414-9414-141414141414','group','anchor-20',2,1795000000123456700,1795000000123456700,NULL,'{"displayName":"Objekt 20 Ü"}');
CREATE TABLE attr_index (
    attr TEXT NOT NULL,
    value_norm TEXT NOT NULL,
    rid INTEGER NOT NULL REFERENCES object (rid),
    UNIQUE (attr, value_norm)
) STRICT;
INSERT INTO attr_index VALUES('userPrincipalName','user1@corp.example',1);
CREATE TABLE link (
    src_rid INTEGER NOT NULL REFERENCES object (rid),
    attr TEXT NOT NULL,
    dst_anchor TEXT NOT NULL,
    seq INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    UNIQUE (src_rid, attr, dst_anchor)
) STRICT;
INSERT INTO link VALUES(2,'members','anchor-1',3,0);
CREATE TABLE credential (
    user_id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
INSERT INTO credential VALUES('01010101-0101-4101-8101-010101010101','k1',X'f773f5fb59945753bfe8599ed77ad763a8931e6412a70916d02ac1402da862122840031d64a156182e94bb7b69323785efb52ecf49aba5db8462f34837f6e97b3be4354da8d58153ab2e5024ed8f22da9d86499fb31ae4f177061474641a0df506fbb639f7de2a30ba9e4902af84b5e422c8edb4dcb1d97f08c7422d93b8fe02e552ab',1795000000123456700);
CREATE TABLE vault (
    name TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO vault VALUES('signing-key/a','k1',X'69088673af54713b8a426b0f289538f665d8c9b0fd09e89b1c52462936e4715b4558',1795000000123456700);
CREATE TABLE document (
    name TEXT NOT NULL PRIMARY KEY,
    octets BLOB NOT NULL
) STRICT;
INSERT INTO document VALUES('ca-certificate',X'6365727469666963617465');
CREATE TABLE throttle (
    name BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    locked_until INTEGER
) STRICT;
CREATE TABLE session (
    digest BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
INSERT INTO session VALUES(X'7282dc5a2015eca4afb897f24924b2a9c149287a5d3e755c52ec0ab7b81e7454','5b5b5b5b-5b5b-4b5b-9b5b-5b5b5b5b5b5b','01010101-0101-4101-8101-010101010101',1795000000123456700,1795003600123456700);
CREATE TABLE code (
    digest BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    family TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    nonce TEXT,
    expires_at INTEGER NOT NULL,
    redeemed INTEGER NOT NULL
) STRICT;
CREATE TABLE refresh_token (
    digest BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    family TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT;
INSERT INTO refresh_token VALUES(X'7282dc5a2015eca4afb897f24924b2a9c149287a5d3e755c52ec0ab7b81e7454','5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a','01010101-0101-4101-8101-010101010101','5b5b5b5b-5b5b-4b5b-9b5b-5b5b5b5b5b5b','openid User.Read',1795000000123456700,'5c5c5c5c-5c5c-4c5c-9c5c-5c5c5c5c5c5c',1795003600123456700,0);
CREATE TABLE used_once (
    name BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;
CREATE TABLE application (
    client_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
INSERT INTO application VALUES('5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a','Portolan connect','{"redirect_uris":[],"permissions":[],"roles":["Sync.Ingest"],"keys":[]}');
INSERT INTO application VALUES('5d5d5d5d-5d5d-4d5d-9d5d-5d5d5d5d5d5d','Shop','{"redirect_uris":["https://shop.example/cb"],"permissions":["User.Read"],"roles":[],"keys":[]}');
CREATE TABLE enrolment (
    secret BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;
INSERT INTO enrolment VALUES(X'200651a8b2d5912f692db89468a7d47d86a3ed6844f48f1b15f2be1d9c9a7e5e',1795003600123456700);
CREATE TABLE ingested_batch (
    id TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
INSERT INTO ingested_batch VALUES('32323232-3232-4232-b232-323232323232',X'3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d','{}',1795000000123456700);
CREATE TABLE sign_in_log (
    rid INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    correlation_id TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT,
    method TEXT NOT NULL,
    error INTEGER
) STRICT;
CREATE TABLE audit_log (
    rid INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL
) STRICT;
INSERT INTO audit_log VALUES(1,1795000000123456700,'command line','tenant.init','07070707-0707-4707-8707-070707070707');
CREATE INDEX object_feed ON object (kind, seq);
CREATE INDEX object_page ON object (kind, id) WHERE deleted_at IS NULL;
CREATE INDEX attr_index_object ON attr_index (rid);
CREATE INDEX link_backward ON link (attr, dst_anchor) WHERE deleted = 0;
CREATE INDEX link_feed ON link (attr, seq);
CREATE INDEX session_user ON session (user_id);
CREATE INDEX code_user ON code (user_id);
CREATE INDEX refresh_token_user ON refresh_token (user_id);
CREATE INDEX refresh_token_family ON refresh_token (family);
CREATE INDEX ingested_batch_at ON ingested_batch (at);

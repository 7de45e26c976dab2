//! How connect replaces its key: connect's own steps against the tenant's routes, killed at each point.

use portolan_tenant::client_key;
use portolan_token::{Jwk, assertion};

use super::*;
use crate::connect::key::{self, Registrar};
use crate::connect::secrets::{Secrets, client_key as key_name};

/// The tenant as connect reaches it, and the call at which one of the two is killed.
struct Peer<'a> {
    world: &'a mut World,
    client_id: Guid,
    /// The calls so far, and the one that is killed: before the tenant heard of it, or behind that.
    calls: usize,
    killed: Option<(usize, bool)>,
}

impl Peer<'_> {
    fn proof(&self, key: &SigningKey, audience: &str) -> String {
        let now = self.world.service.now();
        let client = self.client_id.to_string();
        assertion::sign(key, &client, audience, now, &mut SystemEntropy).unwrap()
    }

    async fn token(&mut self, key: &SigningKey) -> Answer {
        let tenant = self.world.service.tenant().clone();
        let proof = self.proof(key, &tenant.token_endpoint());
        let (client, scope) =
            (self.client_id.to_string(), format!("https://{}/.default", tenant.sync_host()));
        let path = format!("/{}/oauth2/v2.0/token", tenant.id);
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", client.as_str()),
            ("client_assertion_type", assertion::ASSERTION_TYPE),
            ("client_assertion", proof.as_str()),
            ("scope", scope.as_str()),
        ];
        self.world.post_form(&path, &fields).await
    }

    async fn register_by(&mut self, token: &str, vouching: &SigningKey, next: &Jwk) -> Answer {
        let tenant = self.world.service.tenant().clone();
        let audience = client_key::audience(&tenant, &next.thumbprint().unwrap());
        let proof = self.proof(vouching, &audience);
        let body = json!({"key": next, "proof": proof}).to_string();
        self.world.post_json(token, "/v1.0/key", body).await
    }

    fn is_killed(&self, behind: bool) -> Result<(), Failure> {
        if self.killed == Some((self.calls, behind)) {
            return Err(Failure::new("killed"));
        }
        Ok(())
    }
}

impl Registrar for Peer<'_> {
    async fn register(&mut self, current: &SigningKey, next: &Jwk) -> Result<(), Failure> {
        self.calls += 1;
        self.is_killed(false)?;
        let token = self.token(current).await;
        if token.status != 200 {
            return Err(Failure::new(token.text));
        }
        let token = token.json()["access_token"].as_str().unwrap().to_owned();
        let answer = self.register_by(&token, current, next).await;
        self.is_killed(true)?;
        if answer.status == 200 { Ok(()) } else { Err(Failure::new(answer.text)) }
    }

    async fn accepts(&mut self, key: &SigningKey) -> Result<bool, Failure> {
        self.calls += 1;
        self.is_killed(false)?;
        let answer = self.token(key).await;
        self.is_killed(true)?;
        Ok(answer.status == 200)
    }
}

/// A sync server that enrolled, with its secrets.
async fn enrolled(world: &World, state: &std::path::Path) -> (Guid, SigningKey, Secrets) {
    let client_id = Guid::from_random(SystemEntropy.array());
    let (key, private) = key::make().unwrap();
    let mut public = key.public().clone();
    public.kid = Some(public.thumbprint().unwrap());
    let application = Application {
        client_id,
        name: "Portolan connect".to_owned(),
        redirect_uris: vec![],
        permissions: vec![],
        roles: vec![ROLE_INGEST.to_owned()],
        keys: vec![public],
    };
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_application(&application).await.unwrap();
    tx.commit().await.unwrap();
    let mut secrets = Secrets::open(state).unwrap();
    let now = world.service.now();
    secrets.change(&[(&key_name(client_id), &private)], &[], now).unwrap();
    (client_id, key, secrets)
}

async fn registered(world: &World, client_id: Guid) -> Vec<Jwk> {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    tx.application(client_id).await.unwrap().unwrap().keys
}

#[tokio::test]
async fn a_key_is_replaced_whichever_side_is_killed_at_whichever_point() {
    let mut world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    for point in 0..5 {
        let state = directory.path().join(point.to_string());
        std::fs::create_dir(&state).unwrap();
        let (client_id, old, mut secrets) = enrolled(&world, &state).await;
        let killed = (point > 0).then(|| (1 + (point - 1) / 2, point % 2 == 0));
        let now = world.service.now();
        let mut peer = Peer { world: &mut world, client_id, calls: 0, killed };
        assert!(!key::is_due(&secrets, client_id, now));
        assert!(key::is_due(&secrets, client_id, now + key::USED_FOR));
        let first = key::replace(&mut secrets, client_id, &mut peer, now).await;
        assert_eq!(first.is_ok(), killed.is_none(), "{point}");
        // What was in memory is gone; what is on disk goes on.
        let mut secrets = Secrets::open(&state).unwrap();
        let new = match first {
            Ok(key) => key,
            Err(_) => {
                assert!(key::is_due(&secrets, client_id, now), "{point}");
                peer.killed = None;
                key::replace(&mut secrets, client_id, &mut peer, now).await.unwrap()
            }
        };
        assert_eq!(key::current(&secrets, client_id).unwrap().kid(), new.kid());
        assert!(!key::is_due(&secrets, client_id, now));
        assert!(peer.accepts(&new).await.unwrap(), "{point}");
        assert!(!peer.accepts(&old).await.unwrap(), "the old key is over: {point}");
        let keys = registered(&world, client_id).await;
        assert_eq!(keys.len(), 1, "{point}");
        assert_eq!(keys[0].kid.as_deref(), Some(new.kid()));
    }
}

#[tokio::test]
async fn a_stolen_token_registers_no_key_and_a_proof_registers_no_other() {
    let mut world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let (client_id, key, _secrets) = enrolled(&world, directory.path()).await;
    let mut peer = Peer { world: &mut world, client_id, calls: 0, killed: None };
    let token = peer.token(&key).await.json()["access_token"].as_str().unwrap().to_owned();
    let (thief, next) = (signing_key(), signing_key());
    let answer = peer.register_by(&token, &thief, thief.public()).await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (403, Some("invalidProof"))
    );
    let tenant = peer.world.service.tenant().clone();
    let audience = client_key::audience(&tenant, &next.public().thumbprint().unwrap());
    let proof = peer.proof(&key, &audience);
    let body = |key: &SigningKey| json!({"key": key.public(), "proof": proof}).to_string();
    for (key, expected) in [(&thief, 403), (&next, 200), (&next, 403)] {
        let answer = peer.world.post_json(&token, "/v1.0/key", body(key)).await;
        assert_eq!(answer.status, expected, "{}", answer.text);
    }
    // The token endpoint's own assertion vouches for nothing.
    let proof = peer.proof(&key, &tenant.token_endpoint());
    let body = json!({"key": thief.public(), "proof": proof}).to_string();
    assert_eq!(peer.world.post_json(&token, "/v1.0/key", body).await.status, 403);
    assert_eq!(registered(&world, client_id).await.len(), 2);
}

//! Photos that Graph writes: of the cloud's own, and pictures alone.

use super::graph_writes::{ALL_WRITES, id_of, refused};
use super::*;

const GIF: &[u8] = b"GIF89a-by-graph";

impl World {
    async fn photo(&mut self, token: &str, method: Method, user: &str, body: &[u8]) -> Answer {
        let (bearer, path) =
            (format!("Bearer {token}"), format!("/v1.0/users/{user}/photo/$value"));
        let headers = [("content-type", "image/gif"), ("authorization", bearer.as_str())];
        self.send(method, GRAPH, &path, &headers, body.to_vec()).await
    }
}

#[tokio::test]
async fn a_photo_of_the_clouds_own_is_set_shown_and_taken_away() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let pia = json!({"accountEnabled": true, "displayName": "Pia", "mailNickname": "pia",
        "userPrincipalName": "pia@cloud.example", "passwordProfile": {"password": "P1a-Pass!word"}});
    let id = id_of(&world.graph(&token, Method::POST, "/users", pia).await);
    assert_eq!(world.photo(&token, Method::DELETE, &id, b"").await.status, 404, "she has none");
    let put = world.photo(&token, Method::PUT, &id, GIF).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let shown = world.photo(&token, Method::GET, &id, b"").await;
    assert_eq!((shown.status, shown.text.as_bytes()), (200, GIF));
    assert_eq!(shown.header("content-type"), "image/gif");
    let none = world.photo(&token, Method::PUT, &id, b"<svg onload=alert(1)>").await;
    assert_eq!((none.status, refused(&none).1.as_str()), (400, "Request_BadRequest"));
    let large = [GIF, &vec![0; 100 * 1024]].concat();
    assert_eq!(world.photo(&token, Method::PUT, &id, &large).await.status, 413);
    assert_eq!(world.photo(&token, Method::GET, &id, b"").await.text.as_bytes(), GIF);
    assert_eq!(world.photo(&token, Method::DELETE, &id, b"").await.status, 204);
    assert_eq!(world.photo(&token, Method::GET, &id, b"").await.status, 404);
}

#[tokio::test]
async fn a_photo_of_the_forests_is_written_by_its_server_and_none_without_the_permission() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let answer = world.photo(&token, Method::PUT, ALICE, GIF).await;
    assert!(refused(&answer).2.contains("on-premises mastered"), "{}", answer.text);
    let reader = world.writer(&["User.Read.All"]).await;
    assert_eq!(world.photo(&reader, Method::PUT, ALICE, GIF).await.status, 403);
}

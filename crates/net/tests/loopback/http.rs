//! The accept loop and the client against each other.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use portolan_chart::{Role, flow};
use portolan_net::http::{Client, ClientAddress, ClientLimits, HttpError, ServerLimits, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{LOOPBACK, dialling, listening, one};

const FLOW: portolan_chart::Flow = flow::CONNECT_TENANT_CRL;

struct Served {
    port: u16,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

fn start(limits: ServerLimits) -> Served {
    let (listener, port) = one(listening(Role::Tenant).listen(&[FLOW]).unwrap());
    let (stop, stopped) = oneshot::channel();
    let service = tower::service_fn(answer);
    let ended = tokio::spawn(serve(listener, None, service, limits, async {
        let _ = stopped.await;
    }));
    Served { port, stop, ended }
}

/// A port on which HTTP is spoken without TLS.
pub(crate) async fn plain_port() -> u16 {
    let served = start(ServerLimits::default());
    tokio::spawn(async move {
        // It serves until the runtime ends.
        std::future::pending::<()>().await;
        drop(served.stop);
    });
    served.port
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let address = request.extensions().get::<ClientAddress>().unwrap().0;
    let body = match request.uri().path() {
        "/who" => address.to_string(),
        "/host" => request.headers()[header::HOST].to_str().unwrap().to_owned(),
        "/long" => "x".repeat(1000),
        "/huge" => "x".repeat(64 << 20),
        "/echo" => {
            let octets = request.into_body().collect().await.map(|body| body.to_bytes());
            return Ok(Response::new(Full::from(octets.unwrap_or_default())));
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(header::LOCATION, "/who".parse().unwrap());
            return Ok(response);
        }
    };
    Ok(Response::new(Full::from(body)))
}

fn client(port: u16) -> Client {
    let limits = ClientLimits { body_octets_max: 100, exchange_time_max: Duration::from_secs(5) };
    Client::plain(dialling(&[(FLOW, port)], &["crl.cloud.example"]), limits)
}

async fn get(client: &Client, path: &str) -> Result<Response<Bytes>, HttpError> {
    let name: portolan_model::DnsName = "crl.cloud.example".parse().unwrap();
    client.send(FLOW, &name, Request::get(path).body(Bytes::new()).unwrap()).await
}

#[tokio::test]
async fn a_connection_is_kept_and_the_service_knows_its_peer() {
    let served = start(ServerLimits::default());
    let client = client(served.port);
    let first = get(&client, "/who").await.unwrap().into_body();
    let second = get(&client, "/who").await.unwrap().into_body();
    assert!(first.starts_with(b"127.0.0.1:"), "{first:?}");
    assert_eq!(first, second);
    let host = get(&client, "/host").await.unwrap().into_body();
    assert_eq!(host, format!("crl.cloud.example:{}", served.port));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let served = start(ServerLimits::default());
    let response = get(&client(served.port), "/elsewhere").await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_body_above_the_limit_is_not_taken() {
    let served = start(ServerLimits::default());
    let error = get(&client(served.port), "/long").await.unwrap_err();
    assert!(error.to_string().ends_with("answers with more than 100 octets"), "{error}");
}

#[tokio::test]
async fn a_peer_that_sends_no_head_is_closed() {
    let limits = ServerLimits { head_time_max: Duration::from_millis(50), ..Default::default() };
    let served = start(limits);
    let mut stream = TcpStream::connect((LOOPBACK, served.port)).await.unwrap();
    stream.write_all(b"GET / HTT").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(!heard.starts_with(b"HTTP/1.1 200"), "{heard:?}");
}

#[tokio::test]
async fn a_peer_that_sends_its_body_or_reads_its_answer_slowly_is_closed_in_time() {
    let served = start(ServerLimits {
        connections_max: 1,
        connection_time_max: Duration::from_millis(100),
        drain_time_max: Duration::from_millis(100),
        ..Default::default()
    });
    let slow_body = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx";
    for head in [slow_body, "GET /huge HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut holder = TcpStream::connect((LOOPBACK, served.port)).await.unwrap();
        holder.write_all(head.as_bytes()).await.unwrap();
        // The one place is free again although the holder neither goes on nor goes away.
        let answer = get(&client(served.port), "/who").await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{head}");
        drop(holder);
    }
}

#[tokio::test]
async fn connections_above_the_cap_wait_for_a_free_place() {
    let served = start(ServerLimits {
        connections_max: 1,
        head_time_max: Duration::from_millis(200),
        ..Default::default()
    });
    let holder = TcpStream::connect((LOOPBACK, served.port)).await.unwrap();
    // Served only after the silent holder was closed for its silence.
    assert_eq!(get(&client(served.port), "/who").await.unwrap().status(), StatusCode::OK);
    drop(holder);
}

#[tokio::test]
async fn shutting_down_ends_idle_connections_and_the_next_request_is_refused() {
    let served = start(ServerLimits::default());
    let client = client(served.port);
    get(&client, "/who").await.unwrap();
    served.stop.send(()).unwrap();
    served.ended.await.unwrap();
    let error = get(&client, "/who").await.unwrap_err();
    assert!(matches!(error, HttpError::Dial(_)), "{error}");
}

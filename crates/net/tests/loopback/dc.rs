//! Finding controllers by a scripted name server and scripted pings, and passing over those that fail.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use portolan_chart::{Role, flow};
use portolan_ldap::message::{LdapResult, Message, Operation, SearchResultEntry};
use portolan_ldap::netlogon::{ControllerFlags, SamLogonResponse};
use portolan_model::{Guid, Hint};
use portolan_net::Network;
use portolan_net::dc::{self, DomainController, LocateError, Located};
use portolan_net::entropy::SystemEntropy;
use tokio::net::UdpSocket;

use crate::name_server::Zone;
use crate::{LOOPBACK, chart, config};

const DOMAIN: &str = "corp.example";
const ALL: &str = "_ldap._tcp.dc._msdcs.corp.example";
const NEAR: &str = "_ldap._tcp.berlin._sites.dc._msdcs.corp.example";

/// Each controller has an address of loopback of its own.
fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, 10 + number).into()
}

fn host(number: u8) -> String {
    format!("dc{number}.corp.example")
}

/// A controller that answers pings, on the port that all of them share.
async fn pinged(number: u8, port: u16, flags: u32, client_site: &str) {
    let socket = UdpSocket::bind((address(number), port)).await.unwrap();
    let response = SamLogonResponse {
        flags: ControllerFlags(flags),
        domain_guid: Guid::from_fields(1, 2, 3, [4; 8]),
        forest: DOMAIN.to_owned(),
        domain: DOMAIN.to_owned(),
        host: host(number),
        site: "Berlin".to_owned(),
        client_site: client_site.to_owned(),
    };
    tokio::spawn(async move {
        let mut question = [0; 1024];
        loop {
            let (length, from) = socket.recv_from(&mut question).await.unwrap();
            let id = Message::decode(&question[..length]).unwrap().id;
            let entry = SearchResultEntry::new("", &[("Netlogon", &[&response.encode()])]).unwrap();
            let entry = Message::new(id, Operation::SearchResultEntry(entry)).encode();
            let done = Operation::SearchResultDone(LdapResult::SUCCESS);
            let answer = [&entry[..], &Message::new(id, done).encode()].concat();
            socket.send_to(&answer, from).await.unwrap();
        }
    });
}

async fn ping_port() -> u16 {
    UdpSocket::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap().port()
}

fn zone(controllers: &[u8]) -> Zone {
    controllers.iter().fold(Zone::default(), |zone, number| {
        let zone = zone.srv(ALL, u16::from(*number), 0, &host(*number));
        zone.address(&host(*number), address(*number))
    })
}

async fn locate(zone: Zone, ping_port: u16) -> Result<Located, LocateError> {
    let ports = [(flow::CONNECT_AD_DNS, zone.serve().await), (flow::CONNECT_AD_LDAP, ping_port)];
    let network = Network::new(config(chart(&ports), Role::Connect)).unwrap();
    dc::locate(&network, &DOMAIN.parse().unwrap(), &mut SystemEntropy).await
}

fn hosts(located: &Located) -> Vec<&str> {
    located.controllers.iter().map(|dc| dc.host.as_str()).collect()
}

const WRITABLE: u32 = ControllerFlags::WRITABLE | ControllerFlags::LDAP;

#[tokio::test]
async fn the_site_s_controllers_come_first_and_silent_ones_last() {
    let port = ping_port().await;
    pinged(2, port, WRITABLE, "Berlin").await;
    pinged(3, port, WRITABLE, "Berlin").await;
    let zone = zone(&[1, 2, 3]).srv(NEAR, 0, 0, &host(3));
    let located = locate(zone, port).await.unwrap();
    assert_eq!(hosts(&located), [host(3), host(2), host(1)]);
    assert_eq!(located.site.as_deref(), Some("Berlin"));
    assert_eq!(located.silence, None);
}

#[tokio::test]
async fn a_read_only_controller_is_left_out() {
    let port = ping_port().await;
    pinged(1, port, ControllerFlags::LDAP, "").await;
    pinged(2, port, WRITABLE, "").await;
    assert_eq!(hosts(&locate(zone(&[1, 2]), port).await.unwrap()), [host(2)]);
    let error = locate(zone(&[1]), port).await.unwrap_err();
    assert_eq!(error.to_string(), "no domain controller of corp.example is a writable one");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn where_no_ping_is_answered_the_site_stays_unknown_and_the_row_is_named() {
    let port = ping_port().await;
    let located = locate(zone(&[1, 2]), port).await.unwrap();
    assert_eq!(hosts(&located), [host(1), host(2)]);
    assert_eq!(located.site, None);
    let row = format!("Table 1, LDAP {port}/udp (configured) is refused");
    assert!(located.silence.unwrap().to_string().ends_with(&row));
}

#[tokio::test]
async fn an_answer_that_udp_cuts_off_is_asked_for_by_tcp() {
    let port = ping_port().await;
    let mut many = (1..=60).fold(zone(&[1]), |zone, number| {
        zone.srv(
            ALL,
            500 + number,
            0,
            &format!("a-controller-with-a-long-name-{number}.corp.example"),
        )
    });
    many.truncates = true;
    let located = locate(many, port).await.unwrap();
    assert_eq!(located.controllers.len(), 16);
    assert_eq!(hosts(&located)[0], host(1));
}

#[tokio::test]
async fn a_domain_that_says_it_has_no_controller_is_believed() {
    let error = locate(Zone::default().srv(ALL, 0, 0, "."), 1).await.unwrap_err();
    let text = "the service record of corp.example says that it has no domain controller";
    assert_eq!(error.to_string(), text);
    assert!(error.hint().unwrap().contains(&format!("host -t SRV {ALL}")));
}

#[tokio::test]
async fn a_domain_that_the_name_server_does_not_know_points_at_the_name_server() {
    let error = locate(Zone::default().address("x.example", LOOPBACK), 1).await.unwrap_err();
    assert!(error.to_string().ends_with(&format!("says that {ALL} has no such record")), "{error}");
    assert!(error.hint().unwrap().contains("whether corp.example is the forest's DNS name"));
}

fn controllers(count: u8) -> Vec<DomainController> {
    let of = |number| DomainController {
        host: host(number).parse().unwrap(),
        domain: DOMAIN.parse().unwrap(),
    };
    (1..=count).map(of).collect()
}

#[tokio::test]
async fn a_controller_that_does_not_answer_is_left_for_the_next_within_two_seconds() {
    let begun = Instant::now();
    let connect = |controller: DomainController| async move {
        if controller.host.as_str() == host(1) {
            std::future::pending::<()>().await;
        }
        Ok::<_, String>(controller.host)
    };
    let mut passed = Vec::new();
    let reached =
        dc::first(&controllers(3), connect, |_| true, |over| passed.push(over.to_string())).await;
    assert_eq!(reached.unwrap().as_str(), host(2));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(passed, ["passed over dc1.corp.example: not ready within 1.2 s"]);
}

#[tokio::test]
async fn a_slow_controller_is_waited_for_when_there_is_no_other() {
    let slow = |controller: DomainController| async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        match controller.host.as_str() == host(1) {
            true => Ok(controller.host),
            false => Err("closed".to_owned()),
        }
    };
    let reached = dc::first(&controllers(2), slow, |_| true, |_| {}).await;
    assert_eq!(reached.unwrap().as_str(), host(1));
    let closed = |_| async { Err::<(), _>("closed".to_owned()) };
    let last = dc::first(&controllers(2), closed, |_| true, |_| {}).await;
    assert_eq!(last, Err(Some("closed".to_owned())));
}

#[tokio::test]
async fn after_a_refusal_no_other_controller_is_tried() {
    let tried = std::sync::atomic::AtomicUsize::new(0);
    let refuse = |_| async {
        tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err::<(), _>("refused".to_owned())
    };
    let refused = dc::first(&controllers(3), refuse, |_| false, |_| {}).await;
    assert_eq!(refused, Err(Some("refused".to_owned())));
    assert_eq!(tried.into_inner(), 1);
}

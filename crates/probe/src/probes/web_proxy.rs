//! A web proxy ([RFC 9110 section 9.3.6]): CONNECT to the tenant, and what it wants to know before.
//!
//! Nobody's name and password are sent to it, not even configured ones.
//!
//! [RFC 9110 section 9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6

use portolan_chart::{Role, Row, flow};

use super::http::message::Head;
use super::http::{self, Request};
use crate::{Asker, DefectKind, Outcome, Verdict};

/// A name that nobody has (RFC 6761 section 6.4), for who names no tenant.
const NOBODY: &str = "tenant.invalid";

/// Asks for a tunnel to the tenant.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let mut connection = match asker.connect().await {
        Ok(connection) => connection,
        Err(verdict) => return verdict.into(),
    };
    let target = target(asker);
    let (name, is_tenant) = (target.as_str(), !target.starts_with(NOBODY));
    let request = Request { method: "CONNECT", ..Request::get(name, name.to_owned()) };
    match http::ask(asker, &mut connection.stream, &request).await {
        Ok((head, _)) => {
            let knows_us = asker.deployment().network.has_proxy_credentials();
            judge(&head, is_tenant.then_some(name), knows_us)
        }
        Err(verdict) => verdict.into(),
    }
}

/// The tenant's host and the port of its web service.
pub(super) fn target(asker: &Asker<'_>) -> String {
    let deployment = asker.deployment();
    let tenant = deployment.hosts.iter().find(|host| host.role == Role::Tenant);
    let port = deployment.network.chart().row(flow::CONNECT_TENANT_SYNC).map_or(0, Row::first_port);
    match tenant {
        Some(host) => format!("{}:{port}", http::in_url(&host.peer)),
        None => format!("{NOBODY}:{port}"),
    }
}

/// `tenant` is whom the tunnel was to, `knows_us` whether a name and a password are configured.
fn judge(head: &Head, tenant: Option<&str>, knows_us: bool) -> Outcome {
    let mut notes = http::notes(head);
    let schemes = http::schemes(head, "proxy-authenticate").join(", ");
    let to = tenant.unwrap_or("nobody");
    let defect = |text: String, hint: &str| Verdict::faulty(DefectKind::Proxy, text, hint);
    let verdict = match head.status {
        200..=299 => Verdict::Open,
        407 => {
            notes.push(format!("the proxy wants authentication by {schemes}"));
            match knows_us {
                true => Verdict::Open,
                false => defect(
                    format!("the proxy wants authentication by {schemes} (407)"),
                    "configure a name and a password for it, or exempt this host",
                ),
            }
        }
        403 => defect(
            format!("the proxy forbids CONNECT to {to} (403)"),
            "let the proxy's rules allow CONNECT to the tenant's hosts and ports",
        ),
        // Who is asked for nobody and looks is a proxy.
        500 | 502..=504 if tenant.is_none() => Verdict::Open,
        status @ (500 | 502..=504) => defect(
            format!("the proxy does not reach {to} ({status})"),
            "look whether the proxy resolves the tenant's names and may reach it",
        ),
        status => Verdict::WrongProtocol {
            heard: format!("HTTP status {status} to CONNECT: a web server and no proxy"),
        },
    };
    Outcome::new(verdict, notes, http::is_stand_in(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, knows_us: bool, expected: &str) {
        let head = http::message::head(answer.as_bytes()).unwrap().unwrap();
        let outcome = judge(&head, Some("login.tenant.example:1"), knows_us);
        assert_eq!(outcome.verdict.name(), expected, "{answer}");
        if head.status == 407 {
            assert!(outcome.notes.iter().any(|note| note.ends_with("by Negotiate, Basic")));
        }
    }

    #[test]
    fn a_proxy_is_judged_by_what_it_does_with_connect() {
        check("HTTP/1.1 200 Connection established\r\n\r\n", false, "open");
        let wanting = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\n\
                       Proxy-Authenticate: Basic realm=\"tinyproxy, and more\"\r\n\r\n";
        check(wanting, false, "faulty");
        check(wanting, true, "open");
        check("HTTP/1.1 403 No\r\n\r\n", false, "faulty");
        check("HTTP/1.1 502 No\r\n\r\n", false, "faulty");
        check("HTTP/1.1 405 Not Allowed\r\nServer: nginx\r\n\r\n", false, "wrong-protocol");
    }
}

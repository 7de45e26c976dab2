//! WS-Management over HTTP ([DSP0226] section 11, [MS-WSMV] section 3.1.4.1.39): Identify, without saying
//! who asks.
//!
//! [DSP0226]: https://www.dmtf.org/standards/ws-man
//! [MS-WSMV]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wsmv

use super::http::{self, Answer, Request};
use super::tls::shown;
use crate::{Asker, DefectKind, Outcome, Verdict, mark};

/// Where WS-Management listens.
const PATH: &str = "/wsman";
const FIELDS: [(&str, &str); 2] =
    [("Content-Type", "application/soap+xml;charset=UTF-8"), ("WSMANIDENTIFY", "unauthenticated")];
const IDENTIFY: &str = concat!(
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" "#,
    r#"xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">"#,
    "<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
);
/// The element of the answer.
const ANSWER: &str = "IdentifyResponse";

/// Asks who is there.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let mut connection = match asker.connect().await {
        Ok(connection) => connection,
        Err(verdict) => return verdict.into(),
    };
    let request = Request {
        method: "POST",
        fields: &FIELDS,
        body: IDENTIFY.as_bytes(),
        ..Request::get(PATH, http::host(asker))
    };
    match http::fetch(asker, &mut connection.stream, &request).await {
        Ok(answer) => judge(&answer),
        Err(verdict) => verdict.into(),
    }
}

fn judge(answer: &Answer) -> Outcome {
    let head = &answer.head;
    let mut notes = http::notes(head);
    let body = String::from_utf8_lossy(&answer.body);
    let mut stand_in = http::is_stand_in(head);
    let schemes: Vec<_> = http::schemes(head, "www-authenticate");
    let verdict = match head.status {
        200 if body.contains(ANSWER) => {
            for name in ["ProductVendor", "ProductVersion"] {
                notes.extend(element(&body, name).map(|text| format!("{name} {}", shown(text))));
            }
            stand_in |= mark::is_in(&answer.body);
            Verdict::Open
        }
        // Whoever shows strangers nothing names the ways to become known (RFC 4559).
        401 if schemes.iter().any(|scheme| is_of_windows(scheme)) => {
            notes.push(format!("authentication by {}", schemes.join(", ")));
            Verdict::Open
        }
        500..=599 if body.contains("soap-envelope") => Verdict::faulty(
            DefectKind::Unavailable,
            format!("WS-Management answers with a fault (status {})", head.status),
            "look at `winrm quickconfig` on that host, and at its log",
        ),
        status => Verdict::WrongProtocol {
            heard: format!("HTTP status {status} where WS-Management should answer"),
        },
    };
    Outcome::new(verdict, notes, stand_in)
}

fn is_of_windows(scheme: &str) -> bool {
    ["negotiate", "kerberos"].contains(&scheme.to_ascii_lowercase().as_str())
}

/// The text of the first element of a name, whatever its prefix is.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (before, rest) = xml.split_once(&format!("{name}>"))?;
    // An opening tag: the name, or a prefix with a colon, directly behind the bracket.
    let opening = before.rsplit('<').next()?;
    if !(opening.is_empty() || opening.ends_with(':')) || opening.starts_with('/') {
        return None;
    }
    rest.split_once('<').map(|(text, _)| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: &str, note: &str) {
        let head = http::message::head(answer.as_bytes()).unwrap().unwrap();
        let body = head.body(answer.as_bytes(), true).unwrap().unwrap();
        let outcome = judge(&Answer { head, body });
        assert_eq!(outcome.verdict.name(), expected, "{answer}");
        let notes = outcome.notes.join("; ");
        assert!(notes.contains(note), "{notes}");
    }

    #[test]
    fn ws_management_is_known_by_its_answer_or_by_how_it_wants_to_be_asked() {
        let identified = "HTTP/1.1 200 OK\r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n<s:Envelope><s:Body>\
                          <wsmid:IdentifyResponse><wsmid:ProductVendor>Microsoft Corporation\
                          </wsmid:ProductVendor></wsmid:IdentifyResponse>";
        check(identified, "open", "ProductVendor Microsoft Corporation");
        let closed =
            "HTTP/1.1 401 \r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Kerberos\r\n\r\n";
        check(closed, "open", "authentication by Negotiate, Kerberos");
        let basic = "HTTP/1.1 401 \r\nServer: nginx\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n";
        check(basic, "wrong-protocol", "server nginx");
        check("HTTP/1.1 404 Not Found\r\n\r\n", "wrong-protocol", "HTTP status 404");
        check("HTTP/1.1 200 OK\r\n\r\n<html>", "wrong-protocol", "HTTP status 200");
    }

    #[test]
    fn an_element_is_found_by_its_name_without_its_prefix() {
        assert_eq!(element("<a><x:b>c</x:b></a>", "b"), Some("c"));
        assert_eq!(element("<b> c </b>", "b"), Some("c"));
        assert_eq!(element("</b>c<", "b"), None);
        assert_eq!(element("<xb>c</xb>", "b"), None);
        assert_eq!(element("b>", "b"), None);
    }
}

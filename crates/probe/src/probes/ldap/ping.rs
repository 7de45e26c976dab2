//! The LDAP ping: what a controller says of itself by UDP ([MS-ADTS] section 6.3.3).
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_ldap::MessageId;
use portolan_ldap::netlogon::{self, ControllerFlags, SamLogonResponse};
use portolan_model::{DnsName, Entropy as _};
use portolan_net::entropy::SystemEntropy;

use crate::{Asker, Defect, DefectKind, Outcome, Verdict, mark};

/// Asks what the host is to the forest's root domain.
pub(crate) async fn probe(asker: &Asker<'_>) -> Outcome {
    let Some(forest) = &asker.deployment().forest else {
        return Verdict::Unjudged { why: "the forest's name is not given".to_owned() }.into();
    };
    let id = MessageId::of(u32::from_be_bytes(SystemEntropy.array()));
    match asker.datagram(&netlogon::question(id, forest)).await {
        Ok(answer) => match netlogon::answer(id, &answer) {
            Ok(answer) => judge(answer.as_ref(), forest),
            Err(_) => Verdict::wrong_protocol(&answer).into(),
        },
        Err(verdict) => verdict.into(),
    }
}

fn judge(answer: Option<&SamLogonResponse>, forest: &DnsName) -> Outcome {
    let Some(answer) = answer else {
        return Verdict::faulty(
            DefectKind::WrongKind,
            format!("it says that it is no domain controller of {forest}"),
            "look whether the forest's name and this host's are the right ones",
        )
        .into();
    };
    let mut defects = Vec::new();
    let mut add = |kind, text: String, hint: &str| {
        defects.push(Defect { kind, text, hint: hint.to_owned() });
    };
    if !answer.forest.eq_ignore_ascii_case(forest.as_str()) {
        add(
            DefectKind::WrongKind,
            format!("it belongs to the forest {} and not to {forest}", shown(&answer.forest)),
            "look whether the forest's name and this host's are the right ones",
        );
    }
    let services = [
        (ControllerFlags::LDAP, "its LDAP server"),
        (ControllerFlags::DIRECTORY, "its directory service"),
        (ControllerFlags::KDC, "its Kerberos service"),
    ];
    for (flag, service) in services.into_iter().filter(|(flag, _)| !answer.flags.has(*flag)) {
        add(
            DefectKind::Unavailable,
            format!(
                "it says that {service} does not run (flags {:#x}, without {flag:#x})",
                answer.flags.0
            ),
            "look at the services of the domain controller",
        );
    }
    let writable = match answer.flags.has(ControllerFlags::WRITABLE) {
        true => "writable",
        false => "read-only: it does not replicate passwords",
    };
    let mut notes = vec![
        format!("{}, {writable}", shown(&answer.host)),
        format!("site {}", shown(&answer.site)),
    ];
    notes.push(match answer.client_site.is_empty() {
        true => "this host's address is in no site".to_owned(),
        false => format!("this host is in site {}", shown(&answer.client_site)),
    });
    let verdict = if defects.is_empty() { Verdict::Open } else { Verdict::Faulty(defects) };
    Outcome::new(verdict, notes, mark::is_site(&answer.site))
}

/// A peer's name as it may reach a terminal.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use portolan_model::Guid;

    use super::*;

    fn check(change: impl FnOnce(&mut SamLogonResponse), expected: &[DefectKind]) {
        let mut answer = SamLogonResponse {
            flags: ControllerFlags(0x1fd),
            domain_guid: Guid::NIL,
            forest: "corp.example".to_owned(),
            domain: "corp.example".to_owned(),
            host: "dc1.corp.example".to_owned(),
            site: "Default-First-Site-Name".to_owned(),
            client_site: String::new(),
        };
        change(&mut answer);
        let outcome = judge(Some(&answer), &"corp.example".parse().unwrap());
        let kinds: Vec<_> = match &outcome.verdict {
            Verdict::Faulty(defects) => defects.iter().map(|defect| defect.kind).collect(),
            verdict => [].into_iter().filter(|_: &DefectKind| !verdict.is_open()).collect(),
        };
        assert_eq!(kinds, expected, "{outcome:?}");
    }

    #[test]
    fn a_controller_is_judged_by_its_forest_and_its_services() {
        check(|_| {}, &[]);
        check(|answer| answer.flags.0 &= !ControllerFlags::WRITABLE, &[]);
        check(|answer| answer.flags.0 &= !ControllerFlags::KDC, &[DefectKind::Unavailable]);
        check(|answer| answer.forest = "other.example".to_owned(), &[DefectKind::WrongKind]);
        let outcome = judge(None, &"corp.example".parse().unwrap());
        assert_eq!(outcome.verdict.name(), "faulty");
    }
}

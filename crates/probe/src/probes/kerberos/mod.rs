//! Kerberos ([RFC 4120]): what a KDC refuses to whom has no password, and the clock in its refusal.
//!
//! The ticket is asked for in the name of the host itself and, where that is unknown, of the realm's own
//! account, which every realm has. Nothing is proven to the KDC, so that no counter of failed proofs moves.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120

mod judge;
mod kpasswd;

use portolan_chart::Transport;
use portolan_gss::request;
use portolan_model::{Entropy as _, Realm};
use portolan_net::Peer;
use portolan_net::entropy::SystemEntropy;

pub(super) use kpasswd::probe as kpasswd;

use super::hearing::Hearing;
use crate::{Asker, Outcome, Verdict};
use judge::{Heard, Refusals};

/// AES256, AES128 and RC4 ([RFC 3961], and what old domains have).
///
/// [RFC 3961]: https://www.rfc-editor.org/rfc/rfc3961
const ENCRYPTION_TYPES: [i32; 3] = [18, 17, 23];
/// Octets of the length before a message by TCP (RFC 4120 section 7.2.2).
const LENGTH_OCTETS: usize = 4;

/// Asks for a ticket until the KDC knows the name.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let Some(forest) = &asker.deployment().forest else {
        return Verdict::Unjudged { why: "the forest's name is not given".to_owned() }.into();
    };
    let realm = Realm::from(forest);
    let own = own_account(asker.peer());
    // A domain has the realm's account by its name alone, other KDCs have it as a service.
    let both = ["krbtgt", realm.as_str()];
    let mut refusals = Refusals::default();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    for client in [&own[..], &both[..1], &both[..]] {
        if client.is_empty() {
            continue;
        }
        let nonce = u32::from_be_bytes(SystemEntropy.array());
        let question = request::as_req(client, realm.as_str(), &ENCRYPTION_TYPES, nonce);
        let heard = match exchange(asker, &question).await {
            Ok(answer) => Heard::decode(&answer),
            Err(verdict) => return verdict.into(),
        };
        let heard = match heard {
            Ok(Heard::TooLong) => match by_stream(asker, &question).await {
                Ok(answer) => Heard::decode(&answer),
                Err(verdict) => return judge::only_datagrams(&verdict).into(),
            },
            heard => heard,
        };
        match heard {
            Ok(heard) => refusals.add(heard),
            Err(verdict) => return verdict.into(),
        }
        if refusals.realm_is_known() {
            break;
        }
    }
    refusals.judge(&realm, asker.now())
}

/// The account of a host of a domain: the first label of its name, with a dollar.
fn own_account(peer: &Peer) -> Option<String> {
    let Peer::Name(name) = peer else { return None };
    let label = name.as_str().split('.').next()?;
    Some(format!("{}$", label.to_ascii_uppercase()))
}

/// One question and its answer, by the row's transport.
async fn exchange(asker: &Asker<'_>, question: &[u8]) -> Result<Vec<u8>, Verdict> {
    match asker.transport() {
        Transport::Udp => asker.datagram(question).await,
        Transport::Tcp => by_stream(asker, question).await,
    }
}

/// One question and its answer, each with its length before it.
async fn by_stream(asker: &Asker<'_>, question: &[u8]) -> Result<Vec<u8>, Verdict> {
    let mut hearing = Hearing::new(asker, asker.connect().await?.stream);
    let length = u32::try_from(question.len()).unwrap_or(u32::MAX);
    hearing.say(&[&length.to_be_bytes(), question].concat()).await?;
    let heard = hearing.at_least(LENGTH_OCTETS).await?;
    let length = heard.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > hearing.limit() {
        return Err(Verdict::wrong_protocol(hearing.heard()));
    }
    let mut answer = hearing.take(LENGTH_OCTETS + length).await?;
    Ok(answer.split_off(LENGTH_OCTETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_s_account_is_its_first_label() {
        let account = |peer: &str| own_account(&peer.parse().unwrap());
        assert_eq!(account("dc1.corp.example").as_deref(), Some("DC1$"));
        assert_eq!(account("10.0.0.1"), None);
    }
}

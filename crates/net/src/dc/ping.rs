//! The pings of one search for controllers: all at once, and no longer than it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use portolan_chart::flow;
use portolan_ldap::MessageId;
use portolan_ldap::netlogon::{self, ControllerFlags, SamLogonResponse};
use portolan_model::{DnsName, Entropy};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::network::{DatagramLimits, DialError, Network};

/// How long all controllers together are waited for.
const ROUND_TIME_MAX: Duration = Duration::from_millis(700);
/// How long the others are waited for after the first has answered.
const GRACE_TIME_MAX: Duration = Duration::from_millis(200);
/// One controller: an address that does not answer leaves time for the next one.
const PING: DatagramLimits = DatagramLimits {
    attempt_time_max: Duration::from_millis(300),
    attempts_max: 1,
    reply_octets_max: netlogon::ANSWER_OCTETS_MAX,
};

/// What controllers say, by host: what they are, or nothing when they do not hold the domain.
#[derive(Default)]
pub(super) struct Heard {
    answers: BTreeMap<DnsName, Option<SamLogonResponse>>,
    silence: Option<DialError>,
}

impl Heard {
    /// Asks the hosts that were not asked yet.
    pub(super) async fn ask(
        &mut self,
        network: &Network,
        domain: &DnsName,
        hosts: &[DnsName],
        rng: &mut (dyn Entropy + Send),
    ) {
        let mut asked = JoinSet::new();
        for host in hosts.iter().filter(|host| !self.answers.contains_key(*host)) {
            let (network, host, domain) = (network.clone(), host.clone(), domain.clone());
            let mut id = [0; 4];
            rng.fill(&mut id);
            let id = MessageId::of(u32::from_be_bytes(id));
            asked.spawn(async move {
                let answer = ping(&network, &host, &domain, id).await;
                (host, answer)
            });
        }
        let mut until = Instant::now() + ROUND_TIME_MAX;
        while let Ok(Some(Ok((host, answer)))) = timeout_at(until, asked.join_next()).await {
            match answer {
                Ok(answer) => {
                    until = until.min(Instant::now() + GRACE_TIME_MAX);
                    self.answers.insert(host, answer);
                }
                Err(error) => {
                    tracing::debug!(%error, "No answer to an LDAP ping");
                    self.silence.get_or_insert(error);
                }
            }
        }
    }

    /// The site of this host, as the first controller that knows it says.
    pub(super) fn client_site(&self) -> Option<String> {
        let mut sites = self.answers.values().flatten().map(|answer| &answer.client_site);
        sites.find(|site| !site.is_empty()).cloned()
    }

    pub(super) fn answered(&self, host: &DnsName) -> bool {
        self.answers.contains_key(host)
    }

    /// Whether a controller says that it is not to be used: it is read-only, or not this domain's.
    pub(super) fn refuses(&self, host: &DnsName) -> bool {
        self.answers.get(host).is_some_and(|answer| {
            !answer.as_ref().is_some_and(|answer| answer.flags.has(ControllerFlags::WRITABLE))
        })
    }

    /// Why there is no answer at all.
    pub(super) fn silence(self) -> Option<DialError> {
        self.silence.filter(|_| self.answers.is_empty())
    }
}

/// One question. What is no answer to it counts as the silence of whoever sent it.
async fn ping(
    network: &Network,
    host: &DnsName,
    domain: &DnsName,
    id: MessageId,
) -> Result<Option<SamLogonResponse>, DialError> {
    let question = netlogon::question(id, domain);
    let octets = network.exchange(flow::CONNECT_AD_LDAP, host, &question, PING).await?;
    netlogon::answer(id, &octets).or_else(|error| {
        tracing::debug!(%host, %error, "An answer to an LDAP ping is none");
        Ok(None)
    })
}

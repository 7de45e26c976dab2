//! How long a connection may be idle before somebody on the way cuts it: several connections wait, each
//! longer than the one before, and are then asked something.
//!
//! It takes minutes, [`Limits::idle_time_max`](crate::Limits::idle_time_max) and one probe's time in all, and
//! runs only where the deployment asks for it.

use std::time::Duration;

use portolan_chart::{Role, Speaks};
use portolan_net::clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::amqp::frame::SASL_HEADER;
use super::http::{self, Request};
use super::{https, web_proxy};
use crate::metered::Metered;
use crate::{Asker, Defect, DefectKind, Outcome, Verdict};

/// The waits, in twelfths of the longest.
const TWELFTHS: [u32; 5] = [1, 2, 4, 8, 12];

/// What became of a connection that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was asked after its wait, and answered.
    Lives,
    /// It was asked after its wait, and nobody answered.
    Silent,
    /// Its end came while it waited, in order.
    Closed(Duration),
    /// It was reset while it waited, or when it was asked.
    Reset(Duration),
    /// It did not come about.
    None,
}

/// Whether a middlebox's patience matters to the row.
pub(crate) fn matters(asker: &Asker<'_>) -> bool {
    match asker.row().speaks {
        Speaks::Amqp | Speaks::Relay | Speaks::WebProxy => true,
        Speaks::Https => asker.row().to == Role::Tenant,
        _ => false,
    }
}

/// Measures, and adds what was found to what a probe learnt.
pub(crate) async fn measure(asker: &Asker<'_>, outcome: Outcome) -> Outcome {
    if !matches!(outcome.verdict, Verdict::Open | Verdict::Faulty(_)) {
        return outcome;
    }
    let longest = asker.deployment().limits.idle_time_max;
    let waits = TWELFTHS.map(|part| longest * part / 12);
    let fates = futures_util::future::join_all(waits.map(|wait| wait_and_ask(asker, wait))).await;
    let found: Vec<_> = waits.into_iter().zip(fates).collect();
    let Outcome { verdict, mut notes, stand_in, figures } = outcome;
    let verdict = match (judge(&found), verdict) {
        (Ok(note), verdict) => {
            notes.push(note);
            verdict
        }
        (Err(defect), Verdict::Faulty(mut defects)) => {
            defects.push(defect);
            Verdict::Faulty(defects)
        }
        (Err(defect), _) => Verdict::Faulty(vec![defect]),
    };
    Outcome { verdict, notes, stand_in, figures }
}

async fn wait_and_ask(asker: &Asker<'_>, wait: Duration) -> Fate {
    let limit = asker.deployment().limits.probe_time_max;
    let Ok(Ok(connection)) = timeout(limit, asker.connect()).await else { return Fate::None };
    if connection.leave_idle().is_err() {
        return Fate::None;
    }
    match asker.row().speaks {
        Speaks::WebProxy => {
            let target = web_proxy::target(asker);
            let request = Request { method: "CONNECT", ..Request::get(&target, target.clone()) };
            rest(connection.stream, wait, &request.octets(), limit).await
        }
        speaks => {
            let web = speaks == Speaks::Https || https::is_web_port(asker);
            let protocols: &[&[u8]] = if web { &[https::HTTP_1_1] } else { &[] };
            let stream = Metered::new(connection.stream, asker.deployment().limits.octets_max);
            let handshake = portolan_net::tls::examine(stream, asker.peer(), protocols);
            let Ok(Ok(examined)) = timeout(limit, handshake).await else { return Fate::None };
            let question = match web {
                true => Request::head("/", http::host(asker)).octets(),
                false => SASL_HEADER.to_vec(),
            };
            rest(examined.stream, wait, &question, limit).await
        }
    }
}

async fn rest(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    wait: Duration,
    question: &[u8],
    limit: Duration,
) -> Fate {
    let begun = clock::monotonic();
    let mut octets = [0; 512];
    let ended = |read: std::io::Result<usize>| match read {
        Ok(0) => Some(Fate::Closed(begun.elapsed())),
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Some(Fate::Closed(begun.elapsed()))
        }
        Err(_) => Some(Fate::Reset(begun.elapsed())),
    };
    // Whoever speaks before it is asked waits on: tickets of a session come like that.
    while let Some(left) = wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        match timeout(left, stream.read(&mut octets)).await {
            Ok(read) => {
                if let Some(fate) = ended(read) {
                    return fate;
                }
            }
            Err(_) => break,
        }
    }
    let asked = async {
        stream.write_all(question).await?;
        stream.flush().await?;
        stream.read(&mut octets).await
    };
    match timeout(limit, asked).await {
        Ok(Ok(0)) => Fate::Closed(begun.elapsed()),
        Ok(Ok(_)) => Fate::Lives,
        Ok(Err(error)) => ended(Err(error)).unwrap_or(Fate::Lives),
        Err(_) => Fate::Silent,
    }
}

/// What the fates say, by the waits of each, shortest first.
fn judge(found: &[(Duration, Fate)]) -> Result<String, Defect> {
    let lived = found.iter().take_while(|(_, fate)| *fate == Fate::Lives).last();
    let lived = lived.map_or(Duration::ZERO, |(wait, _)| *wait);
    let defect = |text: String| Defect {
        kind: DefectKind::Idle,
        text,
        hint:
            "raise the idle time-out of the firewalls and balancers on the way, above that of both \
               ends"
                .to_owned(),
    };
    match found.iter().find(|(_, fate)| *fate != Fate::Lives) {
        None => Ok(format!("an idle connection lives for {} and longer", seconds(lived))),
        Some((_, Fate::Closed(after))) => {
            Ok(format!("an idle connection is closed in order after {}", seconds(*after)))
        }
        Some((_, Fate::Reset(after))) => {
            Err(defect(format!("an idle connection is reset after {}", seconds(*after))))
        }
        Some((wait, Fate::Silent)) => Err(defect(format!(
            "an idle connection is dropped without a word between {} and {}",
            seconds(lived),
            seconds(*wait)
        ))),
        Some(_) => {
            Ok("the idle time-out was not found out: a connection did not come about".to_owned())
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_connection_that_does_not_live_says_when() {
        let check = |fates: &[Fate], expected: &str| {
            let waits = [30, 60, 120].map(Duration::from_secs);
            let found: Vec<_> = waits.into_iter().zip(fates.iter().copied()).collect();
            let said = match judge(&found) {
                Ok(note) => format!("note: {note}"),
                Err(defect) => format!("defect: {}", defect.text),
            };
            assert_eq!(said, expected);
        };
        let at = |seconds| Duration::from_secs(seconds);
        check(&[Fate::Lives; 3], "note: an idle connection lives for 120 s and longer");
        check(
            &[Fate::Lives, Fate::Silent, Fate::Silent],
            "defect: an idle connection is dropped without a word between 30 s and 60 s",
        );
        check(
            &[Fate::Lives, Fate::Reset(at(40)), Fate::Reset(at(40))],
            "defect: an idle connection is reset after 40 s",
        );
        check(
            &[Fate::Lives, Fate::Lives, Fate::Closed(at(75))],
            "note: an idle connection is closed in order after 75 s",
        );
    }
}

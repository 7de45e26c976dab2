//! SMB ([MS-SMB2]): the negotiation of a dialect, which is before any sign-in.
//!
//! [MS-SMB2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-smb2

pub mod negotiate;

use portolan_model::{Entropy as _, Guid};
use portolan_net::entropy::SystemEntropy;
use time::OffsetDateTime;

use super::clock;
use super::hearing::Hearing;
use crate::{Asker, DefectKind, Figures, Outcome, Verdict, mark};
use negotiate::{Answer, FRAME_OCTETS};

/// Negotiates a dialect, and SMB 1's where nobody understands that.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let client = Guid::from_bytes_le(SystemEntropy.array());
    let question = negotiate::question(client, &SystemEntropy.array());
    match exchange(asker, &question).await {
        Ok(answer) => judge(&answer, asker.now()),
        // A server of SMB 1 alone hangs up on what it does not know.
        Err(verdict @ (Verdict::WrongProtocol { .. } | Verdict::Reset)) => {
            match exchange(asker, &negotiate::old_question()).await {
                Ok(answer) => judge(&answer, asker.now()),
                Err(_) => verdict.into(),
            }
        }
        Err(verdict) => verdict.into(),
    }
}

/// One question and its answer.
async fn exchange(asker: &Asker<'_>, question: &[u8]) -> Result<Answer, Verdict> {
    let mut hearing = Hearing::new(asker, asker.connect().await?.stream);
    hearing.say(question).await?;
    let limit = hearing.limit();
    let mut heard = hearing.at_least(1).await?;
    let length = loop {
        match negotiate::frame_octets(heard) {
            Ok(Some(length)) if length <= limit => break length,
            Ok(None) => heard = hearing.more().await?,
            Ok(Some(_)) | Err(_) => return Err(Verdict::wrong_protocol(heard)),
        }
    };
    let mut message = hearing.take(length).await?.split_off(FRAME_OCTETS);
    Answer::decode(&message).map_err(|_| {
        message.truncate(limit);
        Verdict::wrong_protocol(&message)
    })
}

fn judge(answer: &Answer, now: OffsetDateTime) -> Outcome {
    let agreed = match answer {
        Answer::Agreed(agreed) => agreed,
        Answer::Old => {
            return Verdict::faulty(
                DefectKind::Weak,
                "it speaks SMB 1 and nothing newer",
                "switch SMB 2 or 3 on at the server, and SMB 1 off",
            )
            .into();
        }
        Answer::Refused(status) => {
            return Verdict::faulty(
                DefectKind::Unavailable,
                format!("it refuses to negotiate a dialect (status {status:#010x})"),
                "look which dialects of SMB the server allows",
            )
            .into();
        }
    };
    let [major, minor] = agreed.dialect.to_be_bytes();
    let mut notes = vec![format!("SMB {major}.{}.{}", minor >> 4, minor & 0xf)];
    notes.push(match (agreed.signing_required, agreed.signing_enabled) {
        (true, _) => "signing is required".to_owned(),
        (false, true) => "signing is not required".to_owned(),
        (false, false) => "signing is off".to_owned(),
    });
    let mut defects = Vec::new();
    let mut figures = Figures::default();
    if let Some(theirs) = agreed.system_time {
        notes.push(clock::note(theirs, now));
        figures = clock::figures(theirs, now);
        defects.extend(clock::judge(theirs, now));
    }
    let verdict = if defects.is_empty() { Verdict::Open } else { Verdict::Faulty(defects) };
    Outcome::new(verdict, notes, agreed.server == mark::SERVER_GUID).with_figures(figures)
}

//! Setting passwords ([RFC 3244]): what the server says to a ticket that nobody issued.
//!
//! [RFC 3244]: https://www.rfc-editor.org/rfc/rfc3244

use portolan_gss::krb_error::KrbError;
use portolan_gss::request;
use portolan_model::{Entropy as _, Realm};
use portolan_net::entropy::SystemEntropy;
use time::OffsetDateTime;

use super::exchange;
use crate::probes::clock;
use crate::{Asker, Outcome, Verdict, mark};

/// Asks for a change of nobody's password.
pub(crate) async fn probe(asker: &Asker<'_>) -> Outcome {
    let Some(forest) = &asker.deployment().forest else {
        return Verdict::Unjudged { why: "the forest's name is not given".to_owned() }.into();
    };
    let realm = Realm::from(forest);
    match exchange(asker, &request::kpasswd(realm.as_str(), &SystemEntropy.array())).await {
        Ok(answer) => judge(&answer, asker.now()),
        Err(verdict) => verdict.into(),
    }
}

fn judge(answer: &[u8], now: OffsetDateTime) -> Outcome {
    let error = request::kpasswd_error(answer).and_then(KrbError::decode);
    let Ok(error) = error else { return Verdict::wrong_protocol(answer).into() };
    let verdict = match clock::judge(error.server_time, now) {
        None => Verdict::Open,
        Some(defect) => Verdict::Faulty(vec![defect]),
    };
    let notes = vec![clock::note(error.server_time, now)];
    let stand_in = error.text.is_some_and(|text| mark::is_in(text.as_bytes()));
    let figures = clock::figures(error.server_time, now);
    Outcome::new(verdict, notes, stand_in).with_figures(figures)
}

//! The replies of Graph, read from octets that nobody vouches for.

use portolan_model::Guid;
use serde_json::Value as Json;
use time::OffsetDateTime;

/// Seconds that a reply may make the exporter wait.
const RETRY_AFTER_SECONDS_MAX: u32 = 3_600;

/// Characters of a message that are kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// The reply to a batch, as it came.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The reply to one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) status: u16,
    pub(super) retry_after: Option<u32>,
    pub(super) code: String,
    pub(super) message: String,
    /// The property of which another object has the value.
    pub(super) conflict: Option<String>,
    /// The objects that it shows: each with its id, its anchor as a user's and as a group's.
    pub(super) objects: Vec<Shown>,
}

/// What a reply shows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) id: Guid,
    pub(super) immutable_id: Option<String>,
    pub(super) unique_name: Option<String>,
}

impl Reply {
    /// The reply, which came `now`, as one to a request that stood alone.
    pub(super) fn whole(&self, now: OffsetDateTime) -> Part {
        self.as_answer(now).part()
    }

    /// The same with its body.
    pub(super) fn as_answer(&self, now: OffsetDateTime) -> Answer {
        let body = serde_json::from_slice(&self.body).unwrap_or(Json::Null);
        let retry_after = self.retry_after.as_deref().and_then(|text| seconds(text, now));
        Answer { status: self.status, retry_after, body }
    }

    /// The replies to the requests of a batch, by their ids; `None` when it is no batch's.
    pub(super) fn parts(&self, now: OffsetDateTime) -> Option<Vec<(String, Part)>> {
        let answers = self.answers(now)?.into_iter();
        Some(answers.map(|(id, answer)| (id, answer.part())).collect())
    }

    /// The same with their bodies.
    pub(super) fn answers(&self, now: OffsetDateTime) -> Option<Vec<(String, Answer)>> {
        let mut json: Json = serde_json::from_slice(&self.body).ok()?;
        let answers =
            json.get_mut("responses")?.as_array_mut()?.iter_mut().filter_map(|response| {
                let id = response.get("id")?.as_str()?.to_owned();
                let status =
                    response.get("status")?.as_u64().and_then(|status| status.try_into().ok());
                let body = response.get_mut("body").map(Json::take).unwrap_or_default();
                let headers = response.get("headers").and_then(Json::as_object);
                let named = headers
                    .into_iter()
                    .flatten()
                    .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
                let retry_after = named.and_then(|(_, value)| match value {
                    Json::String(text) => seconds(text, now),
                    Json::Number(number) => seconds(&number.to_string(), now),
                    _ => None,
                });
                Some((id, Answer { status: status?, retry_after, body }))
            });
        Some(answers.collect())
    }
}

/// The reply to one request, with its body as it came.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<u32>,
    pub(super) body: Json,
}

impl Answer {
    /// What an exporter reads of it.
    pub(super) fn part(&self) -> Part {
        Part { retry_after: self.retry_after, ..Part::read(self.status, &self.body) }
    }
}

impl Part {
    fn read(status: u16, body: &Json) -> Self {
        let error = body.get("error");
        let text = |name: &str| {
            let text = error.and_then(|error| error.get(name)).and_then(Json::as_str);
            let shown = text.unwrap_or_default().chars().filter(|c| !c.is_control());
            shown.take(MESSAGE_CHARS_MAX).collect::<String>()
        };
        let (code, message) = (text("code"), text("message"));
        let objects = match body.get("value").and_then(Json::as_array) {
            Some(values) => values.iter().filter_map(shown).collect(),
            None => shown(body).into_iter().collect(),
        };
        let conflict = conflict(error, &code, &message);
        Self { status, retry_after: None, code, message, conflict, objects }
    }

    pub(super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

pub(super) fn shown(json: &Json) -> Option<Shown> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    let id = json.get("id")?.as_str()?.parse().ok()?;
    Some(Shown { id, immutable_id: text("onPremisesImmutableId"), unique_name: text("uniqueName") })
}

/// The property of which another object has the value. Graph says it in the error's details; the sentence
/// alone says it where there are none.
fn conflict(error: Option<&Json>, code: &str, message: &str) -> Option<String> {
    const SENTENCE: &str = "Another object with the same value for property ";
    let details = error.and_then(|error| error.get("details")).and_then(Json::as_array);
    let detail = details.into_iter().flatten().find(|detail| {
        let code = detail.get("code").and_then(Json::as_str).unwrap_or_default();
        ["ObjectConflict", "ConflictingObjects"].contains(&code)
    });
    let target = detail.and_then(|detail| detail.get("target")).and_then(Json::as_str);
    let in_sentence = message.strip_prefix(SENTENCE).and_then(|rest| rest.split(' ').next());
    let named = target.or(in_sentence).map(|name| name.chars().take(64).collect());
    let coded = code == "Request_MultipleObjectsWithSameKeyValue";
    named.or_else(|| coded.then(|| "key".to_owned()))
}

/// The seconds of a `Retry-After` that came `now` ([RFC 9110] 10.2.3): a number of them or a date, cut to what is waited
/// at most; none until a date that is over.
///
/// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110
fn seconds(text: &str, now: OffsetDateTime) -> Option<u32> {
    let text = text.trim();
    if text.bytes().all(|octet| octet.is_ascii_digit()) && !text.is_empty() {
        // One that has too many digits is too long.
        return Some(text.parse().unwrap_or(u32::MAX).min(RETRY_AFTER_SECONDS_MAX));
    }
    let until = OffsetDateTime::from(httpdate::parse_http_date(text).ok()?);
    // The begun second is waited, too.
    let left = (until - now).whole_milliseconds().max(0) as u128;
    let left = u32::try_from(left.div_ceil(1_000)).unwrap_or(u32::MAX);
    Some(left.min(RETRY_AFTER_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(1994-11-06 08:49:30.5 UTC);

    #[test]
    fn what_two_objects_would_share_is_read_from_every_shape_of_the_refusal() {
        let check = |error: Json, expected: Option<&str>| {
            let part = Part::read(400, &json!({"error": error}));
            assert_eq!(part.conflict.as_deref(), expected, "{error}");
        };
        let sentence =
            "Another object with the same value for property mailNickname already exists.";
        check(json!({"code": "Request_BadRequest", "message": sentence}), Some("mailNickname"));
        let detail = json!({"code": "ObjectConflict", "target": "userPrincipalName"});
        check(
            json!({"code": "Request_BadRequest", "details": [detail]}),
            Some("userPrincipalName"),
        );
        check(json!({"code": "Request_MultipleObjectsWithSameKeyValue"}), Some("key"));
        check(json!({"code": "Request_BadRequest", "message": "no"}), None);
        check(json!("no"), None);
    }

    #[test]
    fn a_batchs_replies_are_read_as_far_as_they_are_right() {
        let body = json!({"responses": [
            {"id": "1", "status": 429, "headers": {"retry-after": "7"}},
            {"id": "2", "status": 429, "headers": {"Retry-After": 999_999}},
            {"id": "3", "status": "200"}, {"status": 200}, 5,
            {"id": "4", "status": 201, "body": {"id": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"}},
        ]});
        let reply = Reply { status: 200, retry_after: None, body: body.to_string().into_bytes() };
        let parts = reply.parts(NOW).unwrap();
        let waits: Vec<_> =
            parts.iter().map(|(id, part)| (id.as_str(), part.retry_after)).collect();
        assert_eq!(waits, [("1", Some(7)), ("2", Some(3_600)), ("4", None)]);
        assert_eq!(parts[2].1.objects.len(), 1);
        for body in ["", "{}", "[]", "{\"responses\": 1}"] {
            let body = body.as_bytes().to_vec();
            assert!(Reply { status: 200, retry_after: None, body }.parts(NOW).is_none());
        }
    }

    #[test]
    fn how_long_to_wait_is_a_number_or_a_date_in_any_of_the_three_forms() {
        let rows = [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("99999999999", Some(3_600)),
            // The examples of RFC 9110, 5.6.7.
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("Sun Nov  6 08:49:37 1994", Some(7)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(3_600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(seconds(text, NOW), expected, "{text:?}");
        }
    }
}

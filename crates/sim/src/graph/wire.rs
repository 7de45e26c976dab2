//! The way of a sync server to Graph, on which requests and answers are lost and come late, the service is not
//! available, tokens end, and replicas have not heard of what was made a moment ago.
//!
//! What is made may be unknown to a read for a while ([eventual consistency]); what an application sends is carried
//! out once.
//!
//! [eventual consistency]: https://learn.microsoft.com/graph/best-practices-concept

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration as HostDuration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use portolan_app::connect::simulated::Wire;
use portolan_app::report::Failure;
use portolan_model::{DnsName, Entropy};
use serde_json::{Value as Json, json};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::time::Time;
use crate::chance::Chance;
use crate::fault::{BATCH, Bug, Fuse};
use crate::tenant::{Tenant, Trouble};

/// Seconds after which a service that is not available says to come again.
const UNAVAILABLE_SECONDS: usize = 20;
/// Milliseconds that an exchange takes at most, and one that comes late.
const TAKES_MILLISECONDS: usize = 400;
const LATE_MILLISECONDS: usize = 45_000;
/// For how long a replica does not know of an object that was made.
const LAG: Duration = Duration::seconds(12);

/// The objects that were made lately, and when: replicas may not know of them.
pub type Young = RefCell<BTreeMap<String, OffsetDateTime>>;

/// A way to Graph during a cycle.
pub struct Way<'w> {
    /// The tenant.
    pub tenant: &'w Mutex<Tenant>,
    /// What breaks the cycle off.
    pub fuse: &'w Fuse,
    /// What goes wrong on the way.
    pub trouble: Trouble,
    /// The time that passes.
    pub time: Time,
    /// By chance.
    pub chance: RefCell<Chance>,
    /// What was made lately.
    pub young: &'w Young,
    /// The bug of a server, if it has one.
    pub bug: Option<Bug>,
}

/// The same as whoever sends holds it.
#[derive(Clone)]
pub struct GraphWire<'w>(pub Rc<Way<'w>>);

/// What is drawn on a way.
pub struct Drawn<'w>(Rc<Way<'w>>);

impl Entropy for Drawn<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.chance.borrow_mut().fill(out);
    }
}

impl Way<'_> {
    fn happens(&self, once_in: usize) -> bool {
        once_in > 0 && self.chance.borrow_mut().once_in(once_in)
    }

    fn below(&self, limit: usize) -> usize {
        self.chance.borrow_mut().below(limit)
    }

    async fn travel(&self, milliseconds: usize) {
        let took = Duration::milliseconds(1 + self.below(milliseconds) as i64);
        self.time.sleep(took).await;
    }

    /// What the service answers, unless it is not available.
    async fn answer(
        &self,
        host: DnsName,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        if self.happens(self.trouble.throttled) {
            return self.unavailable();
        }
        // A token that ended, which nobody could have known.
        if self.happens(self.trouble.late) && request.headers().contains_key(AUTHORIZATION) {
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer ended"));
        }
        if self.bug == Some(Bug::MakesUnderOtherNames) {
            request = under_other_names(request, self.below(1_000));
        }
        let answer = {
            let _busy = self.time.busy();
            self.tenant.lock().await.ask_graph(&host, request).await?
        };
        self.learn(&answer);
        Ok(answer)
    }

    fn unavailable(&self) -> Result<Response<Bytes>, Failure> {
        let mut answer = Response::new(Bytes::new());
        if self.chance.borrow_mut().once_in(2) {
            *answer.status_mut() = StatusCode::GATEWAY_TIMEOUT;
            return Ok(answer);
        }
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let seconds = 1 + self.below(UNAVAILABLE_SECONDS);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        Ok(answer)
    }

    /// Keeps what was made.
    fn learn(&self, answer: &Response<Bytes>) {
        let body: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        for one in body["responses"].as_array().into_iter().flatten() {
            if let (Some(201), Some(id)) = (one["status"].as_u64(), one["body"]["id"].as_str()) {
                self.young.borrow_mut().insert(id.to_owned(), self.time.now());
            }
        }
    }

    /// An answer as a replica gives it that does not know yet what was made lately.
    fn replica(&self, is_read: &[bool], answer: Response<Bytes>) -> Response<Bytes> {
        let now = self.time.now();
        self.young.borrow_mut().retain(|_, made_at| now - *made_at < LAG);
        if self.young.borrow().is_empty() || !self.happens(self.trouble.late) {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        let Ok(mut json) = serde_json::from_slice::<Json>(&body) else {
            return Response::from_parts(parts, body);
        };
        if json.get("responses").is_none() {
            self.forget(&mut json);
        }
        let reads = |one: &Json| {
            let place = one["id"].as_str().and_then(|id| id.parse::<usize>().ok());
            place.and_then(|place| is_read.get(place.wrapping_sub(1))).copied().unwrap_or(false)
        };
        for one in json["responses"].as_array_mut().into_iter().flatten().filter(|one| reads(one)) {
            self.forget(&mut one["body"]);
            let is_young =
                one["body"]["id"].as_str().is_some_and(|id| self.young.borrow().contains_key(id));
            if is_young {
                let code = "Request_ResourceNotFound";
                let error = json!({"error": {"code": code, "message": "It is not there."}});
                (one["status"], one["body"]) = (json!(404), error);
            }
        }
        Response::from_parts(parts, Bytes::from(json.to_string()))
    }

    /// Takes what was made lately out of a list.
    fn forget(&self, json: &mut Json) {
        let young = self.young.borrow();
        let is_young = |one: &Json| one["id"].as_str().is_some_and(|id| young.contains_key(id));
        if let Some(list) = json.get_mut("value").and_then(Json::as_array_mut) {
            list.retain(|one| !is_young(one));
        }
    }
}

impl<'w> Wire for GraphWire<'w> {
    type Randomness = Drawn<'w>;

    async fn send(
        &self,
        host: DnsName,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        let way = &*self.0;
        way.fuse.pass(BATCH).await?;
        let is_graph = request.headers().contains_key(AUTHORIZATION);
        if is_graph {
            way.tenant.lock().await.manners.sent(way.time.now());
        }
        if way.happens(way.trouble.request_lost) {
            way.travel(LATE_MILLISECONDS).await;
            return Err(Failure::new("the request was lost"));
        }
        let is_read = reads(&request);
        let answer = way.answer(host, request).await?;
        let takes =
            if way.happens(way.trouble.late) { LATE_MILLISECONDS } else { TAKES_MILLISECONDS };
        way.travel(takes).await;
        way.fuse.pass("the answer to a batch").await?;
        if way.happens(way.trouble.answer_lost) {
            return Err(Failure::new("the answer was lost"));
        }
        let answer = way.replica(&is_read, answer);
        if is_graph {
            way.tenant.lock().await.manners.answered(&answer, way.time.now());
        }
        Ok(if way.bug == Some(Bug::IgnoresRetryAfter) { without_waits(answer) } else { answer })
    }

    fn now(&self) -> OffsetDateTime {
        self.0.time.now()
    }

    async fn sleep(&self, duration: HostDuration) {
        let duration = Duration::try_from(duration).unwrap_or(Duration::HOUR);
        let times = if self.0.bug == Some(Bug::Oversleeps) { 40 } else { 1 };
        self.0.time.sleep(duration * times).await;
    }

    fn entropy(&self) -> Drawn<'w> {
        Drawn(Rc::clone(&self.0))
    }
}

/// Which requests of a batch are reads.
fn reads(request: &Request<Bytes>) -> Vec<bool> {
    if request.method() != Method::POST {
        return Vec::new();
    }
    let body: Json = serde_json::from_slice(request.body()).unwrap_or_default();
    let requests = body["requests"].as_array().into_iter().flatten();
    requests.map(|request| request["method"] == "GET").collect()
}

/// The bug of a server that does not know again what it made: groups whose names are others each time.
fn under_other_names(request: Request<Bytes>, drawn: usize) -> Request<Bytes> {
    let (parts, body) = request.into_parts();
    let other = format!("(uniqueName='{drawn}");
    let text = String::from_utf8_lossy(&body).replace("(uniqueName='", &other);
    Request::from_parts(parts, Bytes::from(text))
}

/// The bug of a server that does not wait as it is told.
fn without_waits(answer: Response<Bytes>) -> Response<Bytes> {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(RETRY_AFTER);
    let text = String::from_utf8_lossy(&body).replace("Retry-After", "Retry-Sometime");
    Response::from_parts(parts, Bytes::from(text))
}

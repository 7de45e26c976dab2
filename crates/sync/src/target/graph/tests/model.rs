//! A Graph that is obviously right, on a network that is not: requests and replies get lost, come twice
//! and out of order, and some are refused.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Entropy, Guid};
use serde_json::{Value as Json, json};
use time::{Duration, OffsetDateTime};

use crate::target::graph::exporter::Alone;

/// A seed's random numbers (splitmix64).
pub(super) struct Seed(pub(super) u64);

impl Seed {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// Whether something of so many in a hundred happens.
    pub(super) fn happens(&mut self, in_hundred: u64) -> bool {
        self.below(100) < in_hundred
    }
}

impl Entropy for Seed {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let octets = self.draw().to_le_bytes();
            chunk.copy_from_slice(&octets[..chunk.len()]);
        }
    }
}

/// What goes wrong, each in a hundred.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// A batch or its reply that gets lost.
    pub(super) lost: u64,
    /// A request that is answered by 503, carried out or not.
    pub(super) broken: u64,
    /// Requests in ten seconds; more are throttled.
    pub(super) requests_max: usize,
    /// Whether a look-up may miss what is younger than ten seconds. Graph refuses a second object with the
    /// same key then; otherwise it takes anything, so that whatever is doubled shows.
    pub(super) is_late: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) anchor: String,
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) manager: Option<Guid>,
    made_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) members: BTreeSet<Guid>,
}

/// The model.
pub(super) struct Graph {
    pub(super) users: BTreeMap<Guid, User>,
    pub(super) groups: BTreeMap<Guid, Group>,
    pub(super) photos: BTreeMap<Guid, Vec<u8>>,
    /// The recycle bin: who is in it keeps their anchor.
    pub(super) deleted: BTreeMap<Guid, User>,
    weather: Weather,
    recent: Vec<OffsetDateTime>,
    next_id: u8,
    next_high: u8,
    /// Requests that were carried out.
    pub(super) count: usize,
    pub(super) throttled: usize,
}

impl Graph {
    pub(super) fn new(weather: Weather) -> Self {
        Self {
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            photos: BTreeMap::new(),
            deleted: BTreeMap::new(),
            weather,
            recent: Vec::new(),
            next_id: 0,
            next_high: 0,
            count: 0,
            throttled: 0,
        }
    }

    fn id(&mut self) -> Guid {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_high += u8::from(self.next_id == 0);
        let mut octets = [0; 16];
        (octets[0], octets[1]) = (self.next_high, self.next_id);
        Guid::from_random(octets)
    }

    /// Answers a batch.
    pub(super) fn batch(&mut self, body: &[u8], now: OffsetDateTime, seed: &mut Seed) -> Json {
        let body: Json = serde_json::from_slice(body).unwrap();
        let requests = body["requests"].as_array().unwrap();
        assert!((1..=20).contains(&requests.len()), "a batch has at most 20 requests");
        let mut statuses: BTreeMap<&str, u64> = BTreeMap::new();
        let mut responses = Vec::new();
        for request in requests {
            let id = request["id"].as_str().unwrap();
            let needed = request["dependsOn"].as_array().into_iter().flatten();
            let mut needed = needed.map(|id| statuses[id.as_str().unwrap()]);
            let response = match needed.any(|status| status >= 300) {
                true => json!({"status": 424}),
                false => self.one(request, now, seed),
            };
            statuses.insert(id, response["status"].as_u64().unwrap());
            let mut response = response;
            response["id"] = json!(id);
            responses.push(response);
        }
        // In any order.
        let at = usize::try_from(seed.below(responses.len() as u64)).unwrap();
        responses.rotate_left(at);
        json!({"responses": responses})
    }

    /// Answers a request that stands alone: a photo.
    pub(super) fn alone(&mut self, alone: &Alone, seed: &mut Seed) -> Json {
        let is_broken = seed.happens(self.weather.broken);
        if is_broken && seed.happens(50) {
            return json!({"status": 503});
        }
        self.count += 1;
        let path = alone.path.strip_prefix("/users/").unwrap();
        let user: Guid = path.strip_suffix("/photo/$value").unwrap().parse().unwrap();
        let answer = match (alone.method, self.users.contains_key(&user)) {
            ("PUT", true) => {
                assert_eq!(alone.media_type, Some("image/gif"));
                self.photos.insert(user, alone.octets.clone());
                json!({"status": 200})
            }
            ("DELETE", true) => done(self.photos.remove(&user).is_some()),
            _ => done(false),
        };
        if is_broken { json!({"status": 504}) } else { answer }
    }

    fn one(&mut self, request: &Json, now: OffsetDateTime, seed: &mut Seed) -> Json {
        self.recent.retain(|at| now - *at < Duration::seconds(10));
        if self.recent.len() >= self.weather.requests_max {
            self.throttled += 1;
            let wait = (self.recent[0] + Duration::seconds(10) - now).whole_seconds() + 1;
            return json!({"status": 429, "headers": {"Retry-After": wait.to_string()}});
        }
        self.recent.push(now);
        let is_broken = seed.happens(self.weather.broken);
        if is_broken && seed.happens(50) {
            return json!({"status": 503});
        }
        self.count += 1;
        let answer = self.carry_out(request, now);
        if is_broken { json!({"status": 504}) } else { answer }
    }

    fn carry_out(&mut self, request: &Json, now: OffsetDateTime) -> Json {
        let (method, url) = (request["method"].as_str().unwrap(), request["url"].as_str().unwrap());
        let path: Vec<_> = url.trim_start_matches('/').split('/').collect();
        let body = &request["body"];
        let id = |text: &str| text.parse::<Guid>().unwrap();
        let named = |address: &Json| id(address.as_str().unwrap().rsplit('/').next().unwrap());
        match (method, path.as_slice()) {
            ("POST", ["users"]) => self.make_user(body, now),
            ("GET", [query]) if query.starts_with("users?$filter") => self.find_user(query, now),
            ("PATCH", ["users", user]) => self.change_user(id(user), body),
            ("DELETE", ["users", user]) => {
                let gone = self.users.remove_entry(&id(user));
                let is_there = gone.is_some();
                self.deleted.extend(gone);
                done(is_there)
            }
            ("GET", ["directory", "deletedItems", query]) => {
                assert_eq!(request["headers"]["ConsistencyLevel"], "eventual");
                assert!(query.starts_with("microsoft.graph.user?$filter="), "{query}");
                found(self.deleted.iter(), anchor_of(query))
            }
            ("POST", ["directory", "deletedItems", user, "restore"]) => self.restore(id(user)),
            ("PUT", ["users", user, "manager", "$ref"]) => {
                let manager = named(&body["@odata.id"]);
                let user = self.users.get_mut(&id(user));
                done(user.map(|user| user.manager = Some(manager)).is_some())
            }
            ("PATCH", [key]) if key.starts_with("groups(") => {
                assert_eq!(request["headers"]["Prefer"], "create-if-missing");
                self.upsert_group(key, body)
            }
            ("GET", [key]) if key.starts_with("groups(") => self.find_group(key),
            ("PATCH", ["groups", group]) => {
                let bound = body["members@odata.bind"].as_array();
                let members: Vec<_> = bound.into_iter().flatten().map(named).collect();
                assert!(members.len() <= 20);
                self.add(id(group), &members)
            }
            ("POST", ["groups", group, "members", "$ref"]) => {
                self.add(id(group), &[named(&body["@odata.id"])])
            }
            ("DELETE", ["groups", group, "members", member, "$ref"]) => {
                let group = self.groups.get_mut(&id(group));
                done(group.is_some_and(|group| group.members.remove(&id(member))))
            }
            _ => panic!("{method} {url}"),
        }
    }

    fn make_user(&mut self, body: &Json, now: OffsetDateTime) -> Json {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let (anchor, name) = (text("onPremisesImmutableId"), text("userPrincipalName"));
        let password = body["passwordProfile"]["password"].as_str().unwrap();
        assert!(password.len() >= 16 && password.ends_with("aA1!"));
        let holds = |name: &str, taken: bool| taken.then(|| conflict(name));
        let other = |is: &dyn Fn(&User) -> bool| self.users.values().any(is);
        let refused = holds("userPrincipalName", other(&|user| user.name == name)).or_else(|| {
            let taken = self.weather.is_late && other(&|user| user.anchor == anchor);
            holds("onPremisesImmutableId", taken)
        });
        // Without the second check the first one stands in the way of a double: so it does not count.
        let doubled = !self.weather.is_late && other(&|user| user.anchor == anchor);
        let is_deleted = self.deleted.values().any(|user| user.anchor == anchor);
        let refused = refused.or_else(|| holds("onPremisesImmutableId", is_deleted));
        if let Some(refused) = refused.filter(|_| !doubled) {
            return refused;
        }
        let id = self.id();
        let title = body["jobTitle"].as_str().map(str::to_owned);
        self.users.insert(id, User { anchor, name, title, manager: None, made_at: now });
        json!({"status": 201, "body": {"id": id.to_string()}})
    }

    fn restore(&mut self, id: Guid) -> Json {
        let Some(user) = self.deleted.get(&id) else { return done(false) };
        if self.users.values().any(|other| other.name == user.name) {
            return conflict("userPrincipalName");
        }
        assert!(self.users.values().all(|other| other.anchor != user.anchor), "an anchor is one's");
        self.users.extend(self.deleted.remove_entry(&id));
        json!({"status": 200, "body": {"id": id.to_string()}})
    }

    fn find_user(&self, query: &str, now: OffsetDateTime) -> Json {
        let is_seen =
            |user: &User| !self.weather.is_late || now - user.made_at >= Duration::seconds(10);
        found(self.users.iter().filter(|(_, user)| is_seen(user)), anchor_of(query))
    }

    fn change_user(&mut self, id: Guid, body: &Json) -> Json {
        let name = body["userPrincipalName"].as_str();
        let is_other =
            |(other, user): (&Guid, &User)| *other != id && Some(user.name.as_str()) == name;
        if self.users.iter().any(is_other) {
            return conflict("userPrincipalName");
        }
        let Some(user) = self.users.get_mut(&id) else { return done(false) };
        if let Some(name) = name {
            name.clone_into(&mut user.name);
        }
        if let Some(title) = body.get("jobTitle") {
            user.title = title.as_str().map(str::to_owned);
        }
        done(true)
    }

    fn upsert_group(&mut self, key: &str, body: &Json) -> Json {
        let key = key_of(key);
        let name = body["displayName"].as_str().unwrap().to_owned();
        if let Some(group) = self.groups.values_mut().find(|group| group.key == key) {
            group.name = name;
            return done(true);
        }
        let id = self.id();
        self.groups.insert(id, Group { key, name, members: BTreeSet::new() });
        json!({"status": 201, "body": {"id": id.to_string()}})
    }

    fn find_group(&self, key: &str) -> Json {
        let key = key_of(key.split('?').next().unwrap());
        match self.groups.iter().find(|(_, group)| group.key == key) {
            Some((id, _)) => {
                json!({"status": 200, "body": {"id": id.to_string(), "uniqueName": key}})
            }
            None => done(false),
        }
    }

    fn add(&mut self, group: Guid, members: &[Guid]) -> Json {
        let is_there = |id: &Guid| self.users.contains_key(id) || self.groups.contains_key(id);
        if !members.iter().all(is_there) {
            return done(false);
        }
        let Some(group) = self.groups.get_mut(&group) else { return done(false) };
        if members.iter().any(|member| group.members.contains(member)) {
            let message = "One or more added object references already exist for the following \
                           modified properties: 'members'.";
            return json!({"status": 400, "body": {"error": {"code": "Request_BadRequest",
                "message": message}}});
        }
        group.members.extend(members);
        done(true)
    }
}

/// The anchor that a filter asks for.
fn anchor_of(query: &str) -> &str {
    query.split("%20eq%20'").nth(1).unwrap().split("'&").next().unwrap()
}

/// The list of those with an anchor, compared as Graph does.
fn found<'a>(users: impl Iterator<Item = (&'a Guid, &'a User)>, anchor: &str) -> Json {
    let found: Vec<_> = users
        .filter(|(_, user)| user.anchor.eq_ignore_ascii_case(anchor))
        .map(|(id, user)| json!({"id": id.to_string(), "onPremisesImmutableId": user.anchor}))
        .collect();
    json!({"status": 200, "body": {"value": found}})
}

fn key_of(path: &str) -> String {
    path.strip_prefix("groups(uniqueName='").unwrap().strip_suffix("')").unwrap().to_owned()
}

fn done(is: bool) -> Json {
    json!({"status": if is { 204 } else { 404 }})
}

fn conflict(property: &str) -> Json {
    let message =
        format!("Another object with the same value for property {property} already exists.");
    json!({"status": 400, "body": {"error": {"code": "Request_BadRequest", "message": message}}})
}

//! What the engine has to come to: plain maps, everything made anew at each step, nothing clever.
//!
//! The model takes objects without a link in the same order as the driver, and those alone that changed:
//! who is projected first depends on it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::SourceAnchor;

use super::driver::{Attributes, Edge, Exported, Pending, Person, Place};
use super::sources::{Attribute, Sources, folded, holds};
use super::worlds::{Event, Meanings, SOURCE_ANCHOR, Step, connector, guid, kind};
use crate::dictionary::AttributeId;
use crate::engine::{ConnectorId, Feed, LinkKind, MetaverseKey, ObjectKey, Side, System};
use crate::kind::TenantKind;
use crate::record::Value;
use crate::rules::{
    Connected, ConnectedKind, Direction, JoinClause, JoinGroup, Linking, MetaverseKind, Rule,
};

pub(super) struct Model<'r> {
    rules: Vec<&'r Rule>,
    meanings: &'r Meanings,
    systems: Vec<System>,
    forest: BTreeMap<ObjectKey, Attributes>,
    references: BTreeMap<(ObjectKey, AttributeId), BTreeSet<ObjectKey>>,
    links: BTreeMap<ObjectKey, (MetaverseKey, LinkKind)>,
    anchors: BTreeMap<ObjectKey, SourceAnchor>,
    metaverse: BTreeMap<MetaverseKey, Person>,
    targets: BTreeMap<Place, Exported>,
    next: i64,
    refused: BTreeSet<ObjectKey>,
}

impl<'r> Model<'r> {
    pub(super) fn new(rules: &'r [Rule], meanings: &'r Meanings, systems: &[System]) -> Self {
        let mut rules: Vec<_> = rules.iter().collect();
        rules.sort_by_key(|rule| rule.precedence);
        Self {
            rules,
            meanings,
            systems: systems.to_vec(),
            forest: BTreeMap::new(),
            references: BTreeMap::new(),
            links: BTreeMap::new(),
            anchors: BTreeMap::new(),
            metaverse: BTreeMap::new(),
            targets: BTreeMap::new(),
            next: 0,
            refused: BTreeSet::new(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let mut looked_at = std::mem::take(&mut self.refused);
        for event in &step.events {
            match event {
                Event::Refers(key, attribute, to) => {
                    self.references.insert((*key, *attribute), to.clone());
                }
                Event::Gone(key) => {
                    self.forest.remove(key);
                    self.links.remove(key);
                }
                Event::Set(key, attributes) => {
                    let one = |(id, values): &(_, Vec<_>)| (*id, values.iter().cloned().collect());
                    self.forest.insert(*key, attributes.iter().map(one).collect());
                    looked_at.insert(*key);
                }
            }
        }
        let linked_before: BTreeSet<_> = self.links.keys().copied().collect();
        let before: Vec<_> = self.metaverse.keys().copied().collect();
        before.into_iter().for_each(|key| self.metaverse_object(key));
        looked_at.extend(linked_before);
        for key in looked_at {
            if self.forest.contains_key(&key) && !self.links.contains_key(&key) {
                self.link(key);
            }
        }
        let granted = self.grant();
        let all: Vec<_> = self.metaverse.keys().copied().collect();
        for key in all {
            let in_target = self.set_anchor(key).filter(|(_, object)| object.is_none());
            let anchor = in_target.map(|(anchor, _)| anchor).or(granted.get(&key).cloned());
            let held = self.is_held(key);
            for target in self.side(Side::Target) {
                self.target_object((target, key), anchor.as_ref(), held);
            }
        }
        self.end_orphans();
    }

    fn side(&self, side: Side) -> Vec<ConnectorId> {
        self.systems.iter().filter(|system| system.side == side).map(|system| system.id).collect()
    }

    fn is_for(&self, rule: &Rule, id: ConnectorId) -> bool {
        let system = self.systems.iter().find(|system| system.id == id).unwrap();
        let side = match rule.direction {
            Direction::Inbound => Side::Forest,
            Direction::Outbound => Side::Target,
        };
        let named = match &rule.connected {
            Connected::Every => true,
            Connected::Named(name) => *name == system.name,
        };
        named && system.side == side
    }

    /// The inbound rules that an object is in scope of.
    fn rules_of(&self, key: ObjectKey) -> Vec<&'r Rule> {
        let object = ConnectedKind::Forest(kind(key));
        let rules = self.rules.iter().copied();
        let rules = rules
            .filter(|rule| self.is_for(rule, connector(key)) && rule.objects.contains(&object));
        rules.filter(|rule| holds(&rule.scope, &self.forest[&key])).collect()
    }

    fn link_kind(&self, key: ObjectKey, kind: MetaverseKind) -> Option<LinkKind> {
        let rules = self.rules_of(key);
        let links = |rule: &&&Rule| rule.linking == Linking::Provision || !rule.joins.is_empty();
        let has = |linking| {
            let mut rules = rules.iter().filter(links);
            rules.any(|rule| rule.metaverse == kind && rule.linking == linking)
        };
        let stuck = self.links.get(&key).is_some_and(|(_, kind)| *kind == LinkKind::StickyJoined);
        if stuck || has(Linking::StickyJoin) {
            Some(LinkKind::StickyJoined)
        } else if has(Linking::Provision) {
            Some(LinkKind::Provisioned)
        } else {
            has(Linking::Join).then_some(LinkKind::Joined)
        }
    }

    fn linked_to(&self, metaverse: MetaverseKey) -> Vec<ObjectKey> {
        let links = self.links.iter().filter(|(_, (to, _))| *to == metaverse);
        links.map(|(key, _)| *key).collect()
    }

    /// Ends links, ends the metaverse object, or makes its attributes anew.
    fn metaverse_object(&mut self, key: MetaverseKey) {
        let kind = self.metaverse[&key].0;
        for object in self.linked_to(key) {
            match self.link_kind(object, kind) {
                Some(kind) => _ = self.links.insert(object, (key, kind)),
                None => _ = self.links.remove(&object),
            }
        }
        let linked = self.linked_to(key);
        if linked.iter().all(|object| self.links[object].1 == LinkKind::Joined) {
            linked.iter().for_each(|object| _ = self.links.remove(object));
            self.metaverse.remove(&key);
            return;
        }
        self.attributes(key, false);
    }

    /// The inbound rules of a metaverse object with their objects, those that win first.
    fn contributors(&self, key: MetaverseKey) -> Vec<(&'r Rule, ObjectKey)> {
        let kind = self.metaverse[&key].0;
        let mut all = Vec::new();
        for object in self.linked_to(key) {
            all.extend(self.rules_of(object).into_iter().map(|rule| (rule, object)));
        }
        all.retain(|(rule, _)| rule.metaverse == kind);
        all.sort_by_key(|(rule, object)| (rule.precedence, connector(*object), *object));
        all
    }

    fn attributes(&mut self, key: MetaverseKey, born: bool) {
        let contributors = self.contributors(key);
        let former = self.metaverse[&key].1.clone();
        let rules = contributors.iter().map(|(rule, object)| (*rule, &self.forest[object]));
        let (rules, meanings) = (rules.collect(), self.meanings);
        let sources = Sources { rules, meanings, imported: None, born };
        let (mut now, none) = (BTreeMap::new(), BTreeSet::new());
        for id in sources.targets() {
            let whose = |at: usize| (contributors[at].1, contributors[at].0.id);
            let owns = |at| former.get(&id).is_some_and(|(_, o, r)| (*o, *r) == whose(at));
            let present = former.get(&id).map_or(&none, |(values, ..)| values);
            match sources.attribute(id, present, owns) {
                Attribute::Is(values, at) => {
                    now.insert(id, (values, whose(at).0, whose(at).1));
                }
                Attribute::Absent => {}
                Attribute::Stays => now.extend(former.get(&id).map(|former| (id, former.clone()))),
            }
        }
        self.metaverse.get_mut(&key).unwrap().1 = now;
    }

    /// Joins an object, or projects it, or leaves it.
    fn link(&mut self, key: ObjectKey) {
        let rules = self.rules_of(key);
        let mut refused = false;
        for (rule, group) in rules.iter().flat_map(|rule| rule.joins.iter().map(move |g| (rule, g)))
        {
            let found = self.found(key, rule.metaverse, group);
            match found.as_slice() {
                [] => {}
                [one] => {
                    let others = self.linked_to(*one);
                    if others.iter().any(|other| connector(*other) == connector(key)) {
                        self.refused.insert(key);
                    } else {
                        let kind = self.link_kind(key, rule.metaverse).unwrap();
                        self.links.insert(key, (*one, kind));
                        self.metaverse_object(*one);
                    }
                    return;
                }
                _ => refused = true,
            }
        }
        if refused {
            self.refused.insert(key);
        } else if let Some(rule) = rules.iter().find(|rule| rule.linking == Linking::Provision) {
            self.next += 1;
            let metaverse = MetaverseKey(self.next);
            self.links.insert(key, (metaverse, LinkKind::Provisioned));
            self.metaverse.insert(metaverse, (rule.metaverse, BTreeMap::new()));
            let kind = self.link_kind(key, rule.metaverse).unwrap();
            self.links.insert(key, (metaverse, kind));
            self.attributes(metaverse, true);
        }
    }

    /// The metaverse objects that a group of joins finds.
    fn found(&self, key: ObjectKey, kind: MetaverseKind, group: &JoinGroup) -> Vec<MetaverseKey> {
        let none = BTreeSet::new();
        let agrees = |person: &Person, clause: &JoinClause| {
            let there = person.1.get(&clause.target).map_or(&none, |(values, ..)| values);
            let here = self.forest[&key].get(&clause.source).unwrap_or(&none);
            here.iter().any(|one| {
                there.iter().any(|other| match clause.case_sensitive {
                    true => one == other,
                    false => folded(one) == folded(other),
                })
            })
        };
        let all = |person: &Person| group.clauses.iter().all(|clause| agrees(person, clause));
        let found = self.metaverse.iter().filter(|(_, person)| person.0 == kind && all(person));
        found.map(|(key, _)| *key).collect()
    }

    /// The outbound rules that a metaverse object is in scope of.
    fn rules_to(&self, target: ConnectorId, key: MetaverseKey) -> Vec<&'r Rule> {
        let (kind, person) = &self.metaverse[&key];
        let record = person.iter().map(|(id, (values, ..))| (*id, values.clone())).collect();
        let rules = self.rules.iter().copied();
        let rules = rules.filter(|rule| self.is_for(rule, target) && rule.metaverse == *kind);
        rules.filter(|rule| holds(&rule.scope, &record)).collect()
    }

    /// What the object is to be in a target.
    fn wanted(&self, target: ConnectorId, key: MetaverseKey) -> Option<TenantKind> {
        let rules = self.rules_to(target, key);
        let rule = rules.into_iter().find(|rule| rule.linking == Linking::Provision)?;
        match rule.objects[0] {
            ConnectedKind::Target(kind) => Some(kind),
            ConnectedKind::Forest(_) => None,
        }
    }

    /// The anchor that a metaverse object's attributes give, and whose they are.
    fn given_anchor(&self, key: MetaverseKey) -> Option<(SourceAnchor, Option<ObjectKey>)> {
        let (values, by, _) = self.metaverse[&key].1.get(&SOURCE_ANCHOR)?;
        let anchor = match values.first().unwrap() {
            Value::Text(text) => text.parse().unwrap(),
            other => panic!("{other:?} is no text"),
        };
        Some((anchor, Some(*by).filter(|by| self.linked_to(key).contains(by))))
    }

    /// The anchor that was set for a metaverse object, and for which staging object, if for one.
    fn set_anchor(&self, key: MetaverseKey) -> Option<(SourceAnchor, Option<ObjectKey>)> {
        for target in self.side(Side::Target) {
            if let Some(exported) = self.targets.get(&(target, key)) {
                return Some((exported.anchor.clone(), None));
            }
        }
        let by = self.given_anchor(key).and_then(|(_, by)| by);
        let objects = by.into_iter().chain(self.linked_to(key));
        let mut set = objects.filter_map(|o| Some((self.anchors.get(&o)?.clone(), Some(o))));
        set.next()
    }

    /// Whether what the attributes give is another identity than the one that was set.
    fn is_held(&self, key: MetaverseKey) -> bool {
        match (self.set_anchor(key), self.given_anchor(key)) {
            (Some((set, _)), Some((given, by))) => {
                let own = by.map(|by| SourceAnchor::from(guid(by)));
                given != set && Some(given) != own
            }
            _ => false,
        }
    }

    /// Which metaverse objects that are in no target may have which anchor there.
    fn grant(&mut self) -> BTreeMap<MetaverseKey, SourceAnchor> {
        let mut claims = Vec::new();
        for key in self.metaverse.keys().copied() {
            let targets = self.side(Side::Target);
            let is_in = |t: &ConnectorId| self.targets.contains_key(&(*t, key));
            let is_wanted = |t: &ConnectorId| self.wanted(*t, key).is_some();
            if targets.iter().any(is_in) || !targets.iter().any(is_wanted) || self.is_held(key) {
                continue;
            }
            match (self.set_anchor(key), self.given_anchor(key)) {
                (Some((anchor, Some(object))), _) => claims.push((key, object, anchor, true)),
                (None, Some((anchor, Some(object)))) => claims.push((key, object, anchor, false)),
                _ => {}
            }
        }
        let mut granted = BTreeMap::new();
        for (key, object, anchor, is_set) in &claims {
            let others =
                claims.iter().filter(|(other, _, a, set)| other != key && a == anchor && !set);
            let used = |(place, exported): (&Place, &Exported)| {
                self.metaverse.contains_key(&place.1) && exported.anchor == *anchor
            };
            let set_for_another =
                self.anchors.iter().any(|(other, a)| other != object && a == anchor);
            let disputed = !is_set && others.count() > 0;
            if !disputed && !set_for_another && !self.targets.iter().any(used) {
                granted.insert(*key, (*object, anchor.clone()));
            }
        }
        self.anchors.extend(granted.values().cloned());
        granted.into_iter().map(|(key, (_, anchor))| (key, anchor)).collect()
    }

    fn target_object(&mut self, place: Place, anchor: Option<&SourceAnchor>, held: bool) {
        let (target, key) = place;
        let Some(kind) = self.wanted(target, key) else { return self.unwanted(place) };
        let own = self.targets.get(&place).cloned();
        if own.as_ref().is_some_and(|own| own.kind != kind && own.confirmed.is_some()) {
            return self.unwanted(place);
        }
        let rules = self.rules_to(target, key);
        let rules: Vec<_> = rules
            .into_iter()
            .filter(|rule| rule.objects.contains(&ConnectedKind::Target(kind)))
            .collect();
        if held {
            if let Some(mut own) = own {
                own.pending = None;
                own.password = false;
                own.feeds = self.feeds(key, &rules);
                self.targets.remove(&place);
                if own.confirmed.is_some() {
                    self.targets.insert(place, own);
                }
            }
            return;
        }
        let Some(anchor) = anchor.cloned() else { return };
        let former = own.or_else(|| self.adopt(target, &anchor));
        let confirmed = former.as_ref().and_then(|former| former.confirmed.clone());
        let now = self.exported_attributes(key, &rules, former.as_ref());
        let pending = match &confirmed {
            None => Some(Pending::Add(now)),
            Some(confirmed) if *confirmed == now => None,
            Some(_) => Some(Pending::Update(now)),
        };
        let inbound = self.contributors(key);
        let says =
            rules.iter().any(|rule| rule.password) || inbound.iter().any(|(rule, _)| rule.password);
        let password = kind == TenantKind::User && says;
        let anchor = former.map_or(anchor, |former| former.anchor);
        let feeds = self.feeds(key, &rules);
        self.targets.insert(place, Exported { kind, anchor, confirmed, pending, password, feeds });
    }

    /// From where each reference of a target's object is.
    fn feeds(&self, key: MetaverseKey, rules: &[&Rule]) -> Vec<Feed> {
        let mut feeds = BTreeMap::new();
        for flow in rules.iter().flat_map(|rule| &rule.references) {
            for (rule, object) in self.contributors(key) {
                for given in rule.references.iter().filter(|given| given.target == flow.source) {
                    feeds.entry(flow.target).or_insert((object, given.source));
                }
            }
        }
        let feed = |(attribute, (object, source))| Feed { attribute, object, source };
        feeds.into_iter().map(feed).collect()
    }

    fn exported_attributes(
        &self,
        key: MetaverseKey,
        rules: &[&Rule],
        former: Option<&Exported>,
    ) -> Attributes {
        let person = &self.metaverse[&key].1;
        let record: Attributes =
            person.iter().map(|(id, (values, ..))| (*id, values.clone())).collect();
        let (none, nothing) = (Attributes::new(), BTreeSet::new());
        let imported = former.and_then(|former| former.confirmed.as_ref());
        let present = imported.unwrap_or(&none);
        let rules = rules.iter().map(|rule| (*rule, &record)).collect();
        let (meanings, born) = (self.meanings, imported.is_none());
        let sources = Sources { rules, meanings, imported, born };
        let mut now = Attributes::new();
        for id in sources.targets() {
            let has = present.get(&id).unwrap_or(&nothing);
            match sources.attribute(id, has, |_| !has.is_empty()) {
                Attribute::Is(values, _) => _ = now.insert(id, values),
                Attribute::Absent => {}
                Attribute::Stays => now.extend(present.get(&id).map(|former| (id, former.clone()))),
            }
        }
        now
    }

    /// Takes over an object whose metaverse object is gone.
    fn adopt(&mut self, target: ConnectorId, anchor: &SourceAnchor) -> Option<Exported> {
        let orphan = |(place, exported): (&Place, &Exported)| {
            let alone = place.0 == target && !self.metaverse.contains_key(&place.1);
            (alone && exported.anchor == *anchor).then_some(*place)
        };
        let place = self.targets.iter().find_map(orphan)?;
        self.targets.remove(&place)
    }

    fn unwanted(&mut self, place: Place) {
        let Some(mut exported) = self.targets.remove(&place) else { return };
        if exported.confirmed.is_some() {
            exported.pending = Some(Pending::Delete);
            exported.password = false;
            exported.feeds.clear();
            self.targets.insert(place, exported);
        }
    }

    fn end_orphans(&mut self) {
        let places: Vec<_> = self.targets.keys().copied().collect();
        for place in places {
            if !self.metaverse.contains_key(&place.1) {
                self.unwanted(place);
            }
        }
    }

    pub(super) fn export(&mut self) {
        self.targets.retain(|_, target| target.pending != Some(Pending::Delete));
        for target in self.targets.values_mut() {
            if let Some(Pending::Add(attributes) | Pending::Update(attributes)) =
                target.pending.take()
            {
                target.confirmed = Some(attributes);
            }
        }
    }

    pub(super) const fn links(&self) -> &BTreeMap<ObjectKey, (MetaverseKey, LinkKind)> {
        &self.links
    }

    pub(super) const fn metaverse(&self) -> &BTreeMap<MetaverseKey, Person> {
        &self.metaverse
    }

    pub(super) const fn targets(&self) -> &BTreeMap<Place, Exported> {
        &self.targets
    }

    pub(super) const fn anchors(&self) -> &BTreeMap<ObjectKey, SourceAnchor> {
        &self.anchors
    }

    pub(super) fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for ((target, key), exported) in &self.targets {
            if exported.pending == Some(Pending::Delete) {
                continue;
            }
            for feed in &exported.feeds {
                let to = self.references.get(&(feed.object, feed.source));
                for (other, _) in to.into_iter().flatten().filter_map(|to| self.links.get(to)) {
                    let there = self.targets.get(&(*target, *other));
                    if there.is_some_and(|there| there.pending != Some(Pending::Delete)) {
                        edges.insert((*target, *key, feed.attribute, *other));
                    }
                }
            }
        }
        edges
    }
}

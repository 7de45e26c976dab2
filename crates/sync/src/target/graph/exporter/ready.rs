//! When a piece of work can go: once everything that it names has an id.

use portolan_model::{Entropy, Guid, SourceAnchor};

use super::{Alone, Exporter};
use crate::target::graph::change::{Change, Desired, Fault};
use crate::target::graph::request::{self, Request};
use crate::target::graph::work::{Rank, Task, Work};

/// What an object lacks to be named.
enum Lack {
    /// It is on its way.
    Yet,
    /// It will not come.
    Ever,
}

/// Whether a piece of work can go.
pub(super) enum Ready {
    Now(Request),
    /// It goes, and in no batch.
    Alone(Alone),
    Later,
    /// It is settled without a request.
    Never,
}

impl Exporter {
    /// The id of an object that a change names; what it lacks otherwise.
    fn id_of(&self, anchor: &SourceAnchor) -> Result<Guid, Lack> {
        match self.ids.get(anchor) {
            // One that is being made is named when that is settled.
            _ if self.coming.contains(anchor) => Err(Lack::Yet),
            Some(id) => Ok(*id),
            None => Err(Lack::Ever),
        }
    }

    /// The request of a waiting piece of work.
    pub(super) fn request(&mut self, place: (Rank, usize), rng: &mut dyn Entropy) -> Ready {
        let Some(work) = self.waiting.get(&place) else { return Ready::Never };
        let Some(change) = self.changes.get(work.change) else { return Ready::Never };
        let base = &self.settings.base;
        match (&work.task, change) {
            (Task::CreateUser, Change::Write(desired)) => {
                Ready::Now(request::create_user(desired, rng))
            }
            (
                Task::FindUser { .. },
                Change::Write(Desired { anchor, .. }) | Change::Delete { anchor, .. },
            ) => Ready::Now(request::find_user(anchor)),
            (Task::FindDeleted { .. }, Change::Write(desired)) => {
                Ready::Now(request::find_deleted(&desired.anchor))
            }
            (Task::Restore { id, .. }, _) => Ready::Now(request::restore(*id)),
            (Task::UpsertGroup, Change::Write(desired)) => {
                Ready::Now(request::upsert_group(desired))
            }
            (
                Task::FindGroup,
                Change::Write(Desired { anchor, .. }) | Change::Delete { anchor, .. },
            ) => Ready::Now(request::find_group(anchor)),
            (Task::Update, Change::Write(desired)) => match self.ids.get(&desired.anchor) {
                // Nothing of it is exported: that is done.
                Some(id) => request::update(desired, *id).map_or(Ready::Never, Ready::Now),
                None => self.lacking(place, desired.anchor.clone()),
            },
            (Task::Delete, Change::Delete { anchor, kind }) => match self.ids.get(anchor) {
                Some(id) => Ready::Now(request::delete(*kind, *id)),
                // What is not there is gone.
                None => Ready::Never,
            },
            (Task::ClearManager, Change::Manager { user, .. }) => match self.id_of(user) {
                Ok(user) => Ready::Now(request::clear_manager(user)),
                Err(Lack::Yet) => Ready::Later,
                Err(Lack::Ever) => self.lacking(place, user.clone()),
            },
            (Task::SetManager(manager), Change::Manager { user, .. }) => {
                match self.both(user, manager) {
                    Ok((user, manager)) => Ready::Now(request::set_manager(base, user, manager)),
                    Err(None) => Ready::Later,
                    Err(Some(absent)) => self.lacking(place, absent),
                }
            }
            (Task::Add(member), Change::Members { group, .. }) => match self.both(group, member) {
                Ok((group, member)) => Ready::Now(request::add_member(base, group, member)),
                Err(None) => Ready::Later,
                Err(Some(absent)) => self.lacking(place, absent),
            },
            (Task::Remove(member), Change::Members { group, .. }) => {
                match self.both(group, member) {
                    Ok((group, member)) => Ready::Now(request::remove_member(group, member)),
                    Err(None) => Ready::Later,
                    // Who is not there is no member.
                    Err(Some(absent)) if absent == *member => Ready::Never,
                    Err(Some(absent)) => self.lacking(place, absent),
                }
            }
            (Task::Photo, Change::Photo { user, photo }) => match self.id_of(user) {
                Ok(id) => Ready::Alone(request::photo(id, photo.as_ref())),
                Err(Lack::Yet) => Ready::Later,
                Err(Lack::Ever) => self.lacking(place, user.clone()),
            },
            (Task::Bind(members), Change::Members { group, .. }) => {
                let (group, members) = (group.clone(), members.clone());
                self.binding(place, &group, members)
            }
            _ => Ready::Never,
        }
    }

    /// Two ids; or the first anchor that will never have one, or nothing when one is on its way.
    fn both(
        &self,
        one: &SourceAnchor,
        other: &SourceAnchor,
    ) -> Result<(Guid, Guid), Option<SourceAnchor>> {
        let id = |anchor: &SourceAnchor| {
            self.id_of(anchor).map_err(|lack| match lack {
                Lack::Yet => None,
                Lack::Ever => Some(anchor.clone()),
            })
        };
        Ok((id(one)?, id(other)?))
    }

    /// The request for several members, of whom those who will never be there are reported.
    fn binding(
        &mut self,
        place: (Rank, usize),
        group: &SourceAnchor,
        members: Vec<SourceAnchor>,
    ) -> Ready {
        let group = match self.id_of(group) {
            Ok(group) => group,
            Err(Lack::Yet) => return Ready::Later,
            Err(Lack::Ever) => return self.lacking(place, group.clone()),
        };
        if members.iter().any(|member| matches!(self.id_of(member), Err(Lack::Yet))) {
            return Ready::Later;
        }
        let change = self.waiting.get(&place).map_or(usize::MAX, |work| work.change);
        let (mut ids, mut there) = (Vec::new(), Vec::new());
        for member in members {
            match self.id_of(&member) {
                // Twice in one request is refused by Graph, and is once in the end.
                Ok(id) if ids.contains(&id) => {}
                Ok(id) => {
                    ids.push(id);
                    there.push(member);
                }
                Err(_) => {
                    let one = Work::new(change, Task::Add(member.clone()));
                    self.fail(&one, Fault::Absent(member));
                }
            }
        }
        if ids.is_empty() {
            return Ready::Never;
        }
        if let Some(work) = self.waiting.get_mut(&place) {
            work.task = Task::Bind(there);
        }
        Ready::Now(request::bind(&self.settings.base, group, &ids))
    }

    fn lacking(&mut self, place: (Rank, usize), absent: SourceAnchor) -> Ready {
        if let Some(work) = self.waiting.get(&place).cloned() {
            self.fail(&work, Fault::Absent(absent));
        }
        Ready::Never
    }
}

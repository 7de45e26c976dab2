//! References from a target's object to others: which staging object they are taken from. Which of its
//! edges are to be in the target is for the state to find out, set by set.

use super::contribution::Contributor;
use super::model::Feed;
use crate::rules::Rule;

/// The feeds of a target's object, in ascending order. For each attribute of references there is one: of
/// the first outbound rule that passes on what an inbound rule gives, and of the first of those.
pub(super) fn feeds<'r>(
    outbound: impl Iterator<Item = &'r Rule>,
    inbound: &[Contributor<'_>],
) -> Vec<Feed> {
    let mut feeds = Vec::<Feed>::new();
    for flow in outbound.flat_map(|rule| &rule.references) {
        if feeds.iter().any(|feed| feed.attribute == flow.target) {
            continue;
        }
        let feed = inbound.iter().find_map(|from| {
            let mut flows = from.rule.references.iter();
            let given = flows.find(|given| given.target == flow.source)?;
            let (_, object) = from.object?;
            Some(Feed { attribute: flow.target, object, source: given.source })
        });
        feeds.extend(feed);
    }
    feeds.sort_unstable();
    feeds
}

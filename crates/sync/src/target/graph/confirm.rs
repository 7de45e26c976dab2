//! What is at the target already: its objects by their anchors, page by page.

use portolan_model::{Guid, SourceAnchor};
use serde_json::Value as Json;

use super::reply::shown;

/// A page of the target's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Those of them that carry an anchor.
    pub known: Vec<(SourceAnchor, Guid)>,
    /// The path and query of the next page.
    pub next: Option<String>,
}

/// A page of any list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    /// Its objects, as they came.
    pub objects: Vec<Json>,
    /// The path and query of the next page.
    pub next: Option<String>,
}

/// Why a page does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// It is no list of objects.
    #[error("the target's answer is no list of objects")]
    Malformed,
    /// The next page is at another host.
    #[error("the target's next page is at another address than the target")]
    Elsewhere,
}

/// The paths of the first pages of everything that is exported: users, then groups.
#[must_use]
pub const fn first_pages() -> [&'static str; 2] {
    ["/users?$select=id,onPremisesImmutableId&$top=999", "/groups?$select=id,uniqueName&$top=999"]
}

/// Reads a page from a target whose version is at `base`, as in `https://graph.microsoft.com/v1.0`.
///
/// # Errors
/// When it is none, or leads elsewhere.
pub fn read_page(body: &[u8], base: &str) -> Result<Page, InvalidPage> {
    let List { objects, next } = List::read(body, base)?;
    let known = objects.iter().filter_map(shown).filter_map(|object| {
        let anchor = object.immutable_id.or(object.unique_name)?;
        Some((anchor.parse().ok()?, object.id))
    });
    Ok(Page { known: known.collect(), next })
}

impl List {
    /// Reads a page, as [`read_page`] does.
    ///
    /// # Errors
    /// When it is none, or leads elsewhere.
    pub fn read(body: &[u8], base: &str) -> Result<Self, InvalidPage> {
        let json = serde_json::from_slice(body).map_err(|_| InvalidPage::Malformed)?;
        Self::of(json, base)
    }

    /// The same of one that is read already.
    ///
    /// # Errors
    /// When it is none, or leads elsewhere.
    pub fn of(mut json: Json, base: &str) -> Result<Self, InvalidPage> {
        let next = json.get("@odata.nextLink").and_then(Json::as_str);
        let path = |link: &str| {
            let path = link.strip_prefix(base).filter(|path| path.starts_with('/'));
            path.map(str::to_owned).ok_or(InvalidPage::Elsewhere)
        };
        let next = next.map(path).transpose()?;
        match json.get_mut("value").map(Json::take) {
            Some(Json::Array(objects)) => Ok(Self { objects, next }),
            _ => Err(InvalidPage::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE: &str = "https://graph.cloud.example/v1.0";

    #[test]
    fn a_page_gives_those_who_carry_an_anchor_and_leads_on_at_the_same_host() {
        let id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
        let page = |next: &str| {
            let body = json!({"@odata.nextLink": next, "value": [
                {"id": id, "onPremisesImmutableId": "a=="}, {"id": id, "uniqueName": "g=="},
                {"id": id, "onPremisesImmutableId": null}, {"id": "no", "uniqueName": "x"}]});
            read_page(body.to_string().as_bytes(), BASE)
        };
        let found = page("https://graph.cloud.example/v1.0/users?$skiptoken=x").unwrap();
        let anchors: Vec<_> = found.known.iter().map(|(anchor, _)| anchor.as_str()).collect();
        assert_eq!(anchors, ["a==", "g=="]);
        assert_eq!(found.next.as_deref(), Some("/users?$skiptoken=x"));
        for next in [
            "https://other.example/v1.0/users",
            "https://graph.cloud.example/v1.0.other.example/users",
            "/users",
        ] {
            assert_eq!(page(next), Err(InvalidPage::Elsewhere), "{next}");
        }
        assert_eq!(read_page(b"{}", BASE), Err(InvalidPage::Malformed));
    }
}

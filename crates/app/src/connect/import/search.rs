//! Searches to their end, in one piece or in pages, and values in ranges.

use portolan_ldap::control::{self, PagedResults};
use portolan_ldap::{
    Control, Filter, ResultCode, Scope, SearchRequest, SearchResultEntry, ValueRange,
};
use portolan_model::Guid;

use super::directory::{Directory, Entries as _, SearchError};
use super::entries;
use crate::report::Failure;

/// Entries of a page. Windows gives at most 1,000 (MaxPageSize), whatever is asked.
const PAGE_ENTRIES: u32 = 1_000;
/// Pages of a search: ten million objects.
const PAGES_MAX: usize = 10_000;
/// Ranges of one attribute. Windows gives at least 1,500 values a range.
const RANGES_MAX: usize = 10_000;
/// Values that are read of one attribute: four times what a group in scope may have.
const VALUES_MAX: usize = 1_000_000;

/// How a search is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connect) enum Pace {
    /// In one piece: Samba reads almost three times faster so, and has no limit.
    Whole,
    /// In pages, without which Windows ends a search after its first thousand entries.
    Paged,
}

/// Reads a search to its end. A directory that ends it for its size is asked again, in pages: entries
/// may come twice.
pub(in crate::connect) async fn all<D: Directory>(
    directory: &mut D,
    pace: Pace,
    request: &SearchRequest,
    controls: &[Control],
    mut take: impl AsyncFnMut(SearchResultEntry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if pace == Pace::Whole {
        match whole(directory, request, controls, &mut take).await {
            Err(SearchError::Refused(ResultCode::SizeLimitExceeded, _)) => {}
            ended => return Ok(ended?),
        }
    }
    paged(directory, request, controls, &mut take).await.map_err(Failure::from)
}

async fn whole<D: Directory>(
    directory: &mut D,
    request: &SearchRequest,
    controls: &[Control],
    take: &mut impl AsyncFnMut(SearchResultEntry) -> Result<(), Failure>,
) -> Result<(), SearchError> {
    let mut entries = directory.search(request.clone(), controls.to_vec()).await?;
    while let Some(entry) = entries.next().await? {
        take(entry).await?;
    }
    Ok(())
}

async fn paged<D: Directory>(
    directory: &mut D,
    request: &SearchRequest,
    controls: &[Control],
    take: &mut impl AsyncFnMut(SearchResultEntry) -> Result<(), Failure>,
) -> Result<(), SearchError> {
    let mut page = Some(PagedResults::first(PAGE_ENTRIES));
    let mut pages = 0;
    while let Some(wanted) = page.take() {
        pages += 1;
        if pages > PAGES_MAX {
            let text = format!("the directory sends more than {PAGES_MAX} pages");
            return Err(Failure::new(text).into());
        }
        let controls = controls.iter().cloned().chain([wanted.control()]).collect();
        let mut entries = directory.search(request.clone(), controls).await?;
        let mut count = 0;
        while let Some(entry) = entries.next().await? {
            count += 1;
            if count > PAGE_ENTRIES {
                let text = "the directory sends longer pages than were asked for";
                return Err(Failure::new(text).into());
            }
            take(entry).await?;
        }
        page = next_page(&wanted, count, entries.controls())?;
    }
    Ok(())
}

/// The page after one that was asked for, had so many entries, and ended with these controls. A
/// cookie may come again (Samba's names the search, not the page), but not without an entry.
fn next_page(
    asked: &PagedResults,
    entries: u32,
    controls: &[Control],
) -> Result<Option<PagedResults>, Failure> {
    let reply: Option<PagedResults> = control::find(controls)
        .map_err(|error| Failure::because("the directory's page control is not legal", &error))?;
    let cookie = reply
        .ok_or_else(|| Failure::new("the directory does not say whether a page is the last"))?
        .cookie;
    if entries == 0 && !cookie.is_empty() && cookie == asked.cookie {
        return Err(Failure::new("the directory names the same empty page again and again"));
    }
    Ok((!cookie.is_empty()).then_some(PagedResults { size: PAGE_ENTRIES, cookie }))
}

/// Reads the values of a linked attribute behind its first range, range by range ([MS-ADTS]
/// 3.1.1.3.1.3.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub(super) async fn remaining_values(
    directory: &mut impl Directory,
    object: Guid,
    attribute: &str,
    first: ValueRange,
) -> Result<Vec<Guid>, Failure> {
    let base = format!("<GUID={object}>");
    let mut values = Vec::new();
    let mut wanted = Some(first);
    let mut ranges = 0;
    while let Some(range) = wanted.take().filter(|_| values.len() <= VALUES_MAX) {
        let request = SearchRequest::new(&base, Scope::Base, filter("(objectClass=*)")?)
            .select([format!("{attribute};{range}")]);
        let mut parts = directory.search(request, vec![control::extended_dn()]).await?;
        let part = parts.next().await?;
        let rest = parts.next().await?;
        ranges += 1;
        if rest.is_some() || ranges > RANGES_MAX {
            return Err(out_of_range(object, attribute));
        }
        let part = part.ok_or_else(|| out_of_range(object, attribute))?;
        let found = entries::range_of(&part, attribute, range)?;
        let (more, next) = found.ok_or_else(|| out_of_range(object, attribute))?;
        values.extend(more);
        wanted = next;
    }
    Ok(values)
}

fn out_of_range(object: Guid, attribute: &str) -> Failure {
    Failure::new(format!(
        "the directory does not send the values of {attribute} of {object} in the ranges asked for"
    ))
    .with_hint("the object may have changed while it was read: try again")
}

/// A filter from its text.
pub(super) fn filter(text: &str) -> Result<Filter, Failure> {
    text.parse().map_err(|error| Failure::because("the import's filter is not legal", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_an_empty_cookie_and_no_empty_one_comes_twice() {
        let asked = |cookie: &[u8]| PagedResults { size: 0, cookie: cookie.to_vec() };
        let check = |asked_for: &[u8], entries, replied: &[u8]| {
            let controls = [asked(replied).control()];
            let page = next_page(&asked(asked_for), entries, &controls);
            page.map(|page| page.map(|page| page.cookie))
        };
        assert_eq!(check(b"", 0, b"more").unwrap().as_deref(), Some(&b"more"[..]));
        assert_eq!(check(b"more", 1, b"").unwrap(), None);
        assert_eq!(check(b"", 1, b"").unwrap(), None);
        assert_eq!(check(b"more", 1, b"more").unwrap().as_deref(), Some(&b"more"[..]));
        assert!(check(b"more", 0, b"more").is_err());
    }

    #[test]
    fn a_page_that_does_not_say_whether_it_is_the_last_is_not_taken_for_it() {
        assert!(next_page(&PagedResults::first(1), 1, &[]).is_err());
    }
}

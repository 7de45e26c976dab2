//! The photo of a user of the cloud's own ([update], [delete]).
//!
//! [update]: https://learn.microsoft.com/graph/api/profilephoto-update
//! [delete]: https://learn.microsoft.com/graph/api/profilephoto-delete

use super::fault::Fault;
use super::write::Outcome;
use crate::directory::{Object, Photo};
use crate::storage::Transaction;

/// Sets the photo of a user, or takes it away.
///
/// # Errors
/// The outer error when the store fails; the inner one when a sync server is the user's master, or when there is no
/// photo to take away.
pub async fn put<T: Transaction>(tx: &mut T, user: &Object, photo: Option<&Photo>) -> Outcome<()> {
    if !user.is_clouds_own() {
        return Ok(Err(Fault::MasteredOnPremises));
    }
    if photo.is_none() && tx.photo(user.id).await?.is_none() {
        return Ok(Err(Fault::not_found(user.id)));
    }
    tx.put_photos(&[(user.id, photo)]).await?;
    Ok(Ok(()))
}

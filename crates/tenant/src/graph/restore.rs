//! The recycle bin: who was deleted comes back with what they had ([restore]).
//!
//! Users alone are in it, as at Graph: a deleted security group or device is gone. Who comes back is who they were,
//! with their id and their anchor, and in the groups that they were in; their password was erased with the deletion.
//!
//! [restore]: https://learn.microsoft.com/graph/api/directory-deleteditems-restore

use super::fault::Fault;
use super::write::{Outcome, is_sound};
use crate::Tenant;
use crate::directory::{Kind, Object};
use crate::storage::Transaction;

/// Whether an object is in the recycle bin.
#[must_use]
pub fn is_recycled(object: &Object) -> bool {
    object.kind == Kind::User && object.deleted_at.is_some()
}

/// Takes a user out of the recycle bin.
///
/// # Errors
/// The outer error when the store fails; the inner one when the user is none of the cloud's own or has a role, when
/// their name is of a domain that is the tenant's no more, or when somebody else has it by now.
pub async fn restore<T: Transaction>(
    tx: &mut T,
    tenant: &Tenant,
    mut object: Object,
) -> Outcome<Object> {
    if !is_recycled(&object) {
        return Ok(Err(Fault::not_found(object.id)));
    }
    if !object.is_clouds_own() {
        return Ok(Err(Fault::MasteredOnPremises));
    }
    if !tx.administrators(&[object.id]).await?.is_empty() {
        return Ok(Err(Fault::Denied));
    }
    if let Err(fault) = is_sound(tenant, &object) {
        return Ok(Err(fault));
    }
    if let Some(name) = object.upn()
        && tx.user_by_name(name).await?.is_some()
    {
        return Ok(Err(Fault::Taken("userPrincipalName")));
    }
    object.deleted_at = None;
    tx.put_object(&object).await?;
    Ok(Ok(object))
}

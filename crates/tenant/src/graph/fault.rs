//! Why Graph refuses a write: statuses, codes and sentences are those that Graph's callers know.
//!
//! Callers tell cases apart by the code, some only by the sentence ([error responses]); so both are kept
//! in the shape in which Graph gives them.
//!
//! [error responses]: https://learn.microsoft.com/graph/errors

use portolan_model::Guid;

use super::write::MEMBERS_BOUND_MAX;
use crate::directory::InvalidPhoto;

/// A write that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The body is no JSON object of the kind that is written.
    #[error(
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
    )]
    Malformed,
    /// A property that objects of this kind do not have, or that is not kept here.
    #[error("Could not find a property named '{0}' on type 'microsoft.graph.{1}'.")]
    UnknownProperty(String, &'static str),
    /// A property that nobody sets.
    #[error("Property '{0}' is read-only and cannot be set.")]
    ReadOnly(&'static str),
    /// A value that does not fit its property.
    #[error("Invalid value specified for property '{0}' of resource '{1}'.")]
    InvalidValue(&'static str, &'static str),
    /// A property without which there is no such object.
    #[error("A value is required for property '{0}' of resource '{1}'.")]
    Missing(&'static str, &'static str),
    /// The object is the forest's.
    #[error(
        "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration."
    )]
    MasteredOnPremises,
    /// The name is of a domain that is not the tenant's.
    #[error(
        "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization."
    )]
    UnverifiedDomain,
    /// Another object has this value of a property that no two share.
    #[error("Another object with the same value for property {0} already exists.")]
    Taken(&'static str),
    /// The password is too easy.
    #[error(
        "The specified password does not comply with password complexity requirements. Please provide a different password."
    )]
    WeakPassword,
    /// There is no mail here that a group could have.
    #[error(
        "The service does not currently support writes of mail-enabled groups. Please ensure that the mail-enablement property is unset and the security-enablement property is set."
    )]
    MailEnabled,
    /// Neither a user, a group nor a contact of this tenant is named so.
    #[error(
        "Resource '{0}' does not exist or one of its queried reference-property objects are not present."
    )]
    NotFound(String),
    /// A reference is no address of an object at this Graph.
    #[error("Invalid URL format specified in @odata.id for value '{0}'.")]
    InvalidReference(String),
    /// One of those to be added is there already.
    #[error(
        "One or more added object references already exist for the following modified properties: '{0}'."
    )]
    AlreadyReferred(&'static str),
    /// More members than one request may name.
    #[error("The number of references in 'members@odata.bind' exceeds {MEMBERS_BOUND_MAX}.")]
    TooManyBound,
    /// A group in itself, or a manager of themselves.
    #[error("An object cannot refer to itself in property '{0}'.")]
    ToItself(&'static str),
    /// The octets are no photo that is kept here.
    #[error("The photo is refused: {0}.")]
    InvalidPhoto(InvalidPhoto),
    /// What is asked needs more than the application was given.
    #[error("Insufficient privileges to complete the operation.")]
    Denied,
}

impl Fault {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound(_) => 404,
            Self::Denied => 403,
            // A key of the maker's choice, as against a property that happens to be unique.
            Self::Taken("uniqueName") => 409,
            _ => 400,
        }
    }

    /// The word that a program acts on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "BadRequest",
            Self::NotFound(_) => "Request_ResourceNotFound",
            Self::Denied => "Authorization_RequestDenied",
            Self::Taken("uniqueName") => "Request_MultipleObjectsWithSameKeyValue",
            _ => "Request_BadRequest",
        }
    }

    /// The property that two objects would share: Graph names it in the error's details.
    #[must_use]
    pub const fn conflict(&self) -> Option<&'static str> {
        match self {
            Self::Taken(property) => Some(property),
            _ => None,
        }
    }

    /// That there is no object of this id.
    #[must_use]
    pub fn not_found(id: Guid) -> Self {
        Self::NotFound(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_the_status_and_the_code_that_callers_tell_it_by() {
        let check = |fault: Fault, status: u16, code: &str| {
            assert_eq!((fault.status(), fault.code()), (status, code), "{fault:?}");
        };
        check(Fault::Taken("userPrincipalName"), 400, "Request_BadRequest");
        check(Fault::Taken("uniqueName"), 409, "Request_MultipleObjectsWithSameKeyValue");
        check(Fault::not_found(Guid::NIL), 404, "Request_ResourceNotFound");
        check(Fault::Denied, 403, "Authorization_RequestDenied");
        check(Fault::MasteredOnPremises, 400, "Request_BadRequest");
        check(Fault::Malformed, 400, "BadRequest");
        assert_eq!(Fault::Taken("userPrincipalName").conflict(), Some("userPrincipalName"));
    }
}

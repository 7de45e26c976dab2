//! Whether a controller insists on signing, as far as that is told to who has no credential.
//!
//! A controller that does refuses a simple bind in clear before it looks at it ([MS-ADTS] section
//! 5.1.1.1.2); one that does not takes a name without a password for anonymous ([RFC 4513 section
//! 5.1.2]), and some refuse that too. No account is named, and no counter moves.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
//! [RFC 4513 section 5.1.2]: https://www.rfc-editor.org/rfc/rfc4513#section-5.1.2

use portolan_ldap::{BindRequest, LdapResult, ResultCode};
use portolan_model::SecretString;

use super::root_dse::said;

/// A name that nobody has.
const NOBODY: &str = "CN=portolan chart check";

pub(super) fn question() -> BindRequest {
    BindRequest::simple(NOBODY, SecretString::new(String::new()))
}

pub(super) fn note(result: &LdapResult) -> Option<String> {
    match result.code {
        ResultCode::StrongerAuthRequired => Some("signing is required".to_owned()),
        ResultCode::Success => Some("a simple bind in clear is not refused".to_owned()),
        _ => Some(format!("a simple bind in clear without a password: {}", said(result))),
    }
}

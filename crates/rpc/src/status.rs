//! Status codes that a server answers a call with.

use std::fmt;

use portolan_model::Hint;

/// A status code: of the call ([MS-ERREF] 2.2, Win32), or of a fault (C706 appendix E).
///
/// [MS-ERREF]: https://learn.microsoft.com/openspecs/windows_protocols/ms-erref
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    /// The call succeeded.
    pub const SUCCESS: Self = Self(0);
    /// `ERROR_ACCESS_DENIED`.
    pub const ACCESS_DENIED: Self = Self(5);
    /// `ERROR_DS_DRA_ACCESS_DENIED`.
    pub const DRA_ACCESS_DENIED: Self = Self(8453);
    /// `EPT_S_NOT_REGISTERED` in the endpoint mapper's own numbering (C706 appendix E).
    pub const NOT_REGISTERED: Self = Self(0x16c9_a0d6);

    /// Nothing, if the call succeeded.
    ///
    /// # Errors
    /// The status itself.
    pub const fn success(self) -> Result<(), Self> {
        match self {
            Self::SUCCESS => Ok(()),
            failure => Err(failure),
        }
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.code == self.0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(f, "{} ({}: {})", row.name, self.0, row.meaning),
            None => write!(f, "status {} ({:#010x})", self.0, self.0),
        }
    }
}

impl std::error::Error for Status {}

impl Hint for Status {
    fn hint(&self) -> Option<String> {
        self.row().and_then(|row| row.hint).map(str::to_owned)
    }
}

struct Row {
    code: u32,
    name: &'static str,
    meaning: &'static str,
    hint: Option<&'static str>,
}

macro_rules! table {
    ($($code:literal $name:literal $meaning:literal $(hint $hint:literal)?;)*) => {
        const TABLE: &[Row] = &[$(Row {
            code: $code,
            name: $name,
            meaning: $meaning,
            hint: [$(Some($hint),)? None][0],
        }),*];
    };
}

table! {
    0 "ERROR_SUCCESS" "the call succeeded";
    5 "ERROR_ACCESS_DENIED" "the caller may not do this"
        hint "the call must be sealed, and the account must be allowed to make it";
    87 "ERROR_INVALID_PARAMETER" "a parameter is wrong";
    1783 "RPC_X_BAD_STUB_DATA" "the server could not read the parameters";
    1825 "RPC_S_SEC_PKG_ERROR" "the server's security package refused the token";
    8333 "ERROR_DS_OBJ_NOT_FOUND" "the object does not exist";
    8418 "ERROR_DS_DRA_SCHEMA_MISMATCH" "the schemas do not match";
    8437 "ERROR_DS_DRA_INVALID_PARAMETER" "a parameter of the replication request is wrong";
    8438 "ERROR_DS_DRA_BUSY" "the domain controller is busy";
    8439 "ERROR_DS_DRA_BAD_DN" "the name of the object is wrong";
    8440 "ERROR_DS_DRA_BAD_NC" "the name is no naming context of this domain controller";
    8442 "ERROR_DS_DRA_INTERNAL_ERROR" "the domain controller failed";
    8446 "ERROR_DS_DRA_OUT_OF_MEM" "the domain controller has too little memory";
    8451 "ERROR_DS_DRA_DB_ERROR" "the domain controller's database failed";
    8452 "ERROR_DS_DRA_NO_REPLICA" "the domain controller has no replica of the naming context";
    8453 "ERROR_DS_DRA_ACCESS_DENIED" "the account may not replicate"
        hint "grant the account Replicating Directory Changes and Replicating Directory Changes All on the domain";
    8454 "ERROR_DS_DRA_NOT_SUPPORTED" "the domain controller does not support this request";
    8456 "ERROR_DS_DRA_SOURCE_DISABLED" "replication from this domain controller is disabled"
        hint "let the domain controller replicate outwards, or use another one";
    8461 "ERROR_DS_DRA_PREEMPTED" "the replication was preempted";
    8463 "ERROR_DS_DRA_SHUTDOWN" "the domain controller is shutting down";
    8464 "ERROR_DS_DRA_INCOMPATIBLE_PARTIAL_SET" "the attributes asked for do not fit the replica";
    0x8009_0331 "SEC_E_ALGORITHM_MISMATCH" "no strong encryption of secrets was agreed on";
    0x16c9_a0d6 "EPT_S_NOT_REGISTERED" "the interface has no endpoint on this host"
        hint "is this host a domain controller, and is its directory service running?";
    0x1c00_001a "nca_s_fault_context_mismatch" "the server does not know the context handle";
    0x1c01_0002 "nca_s_op_rng_error" "the interface has no such operation";
    0x1c01_0003 "nca_s_unk_if" "the server does not have the interface";
    0x1c01_000b "nca_s_proto_error" "the server found the protocol broken";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_has_a_name_and_an_unknown_one_its_number() {
        assert_eq!(
            Status::DRA_ACCESS_DENIED.to_string(),
            "ERROR_DS_DRA_ACCESS_DENIED (8453: the account may not replicate)",
        );
        assert!(Status::DRA_ACCESS_DENIED.hint().is_some_and(|hint| hint.contains("Changes All")));
        assert_eq!(Status(1783).hint(), None);
        assert_eq!(Status(0xdead).to_string(), "status 57005 (0x0000dead)");
        assert_eq!(Status(5).success(), Err(Status::ACCESS_DENIED));
    }

    #[test]
    fn no_code_stands_in_the_table_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(TABLE[index + 1..].iter().all(|other| other.code != row.code), "{}", row.name);
        }
    }
}

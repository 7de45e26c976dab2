//! The rules by their names, which are an interface: programs and spreadsheets read them.

use std::fmt;
use std::str::FromStr;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The object, or the value, is not synchronised as it stands.
    Error,
    /// It is synchronised, and somebody should look at it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! rules {
    ($($variant:ident = $name:literal, $severity:ident, $meaning:literal;)*) => {
        /// A rule that an object may break.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, ".")]
                $variant,
            )*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How much it matters.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What it says of an object that breaks it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

rules! {
    LeftOut = "left-out", Error, "the object is outside what is synchronised";
    Duplicate = "duplicate", Error, "another object has the same value";
    CaseCollision = "case-collision", Error,
        "another object's value is the same to the directory: only case, accents or width differ";
    SharedAnchor = "shared-anchor", Error, "another object has the same sourceAnchor";
    MalformedAnchor = "malformed-anchor", Warning,
        "mS-DS-ConsistencyGuid is not of sixteen octets and names nobody";
    NotText = "not-text", Error, "the value is no UTF-8";
    Invisible = "invisible", Error, "the value has characters that nobody sees";
    WhiteSpace = "white-space", Error, "white space stands before or behind the value";
    Character = "character", Error, "the value has characters that are refused";
    Format = "format", Error, "the value is not of the form name@domain";
    LocalPart = "local-part", Error, "what stands before the @ is no name of a mailbox";
    DomainPart = "domain-part", Error, "what stands behind the @ is no name of a domain";
    TopLevelDomain = "top-level-domain", Error, "no mail goes to this domain from the Internet";
    UnroutableSuffix = "unroutable-suffix", Error, "no tenant can verify the suffix of the UPN";
    UnverifiedSuffix = "unverified-suffix", Error,
        "the tenant has not verified the suffix of the UPN";
    Length = "length", Error, "the value is too long";
    Blank = "blank", Error, "the attribute should have a value";
    PrimaryAddress = "primary-address", Warning,
        "there are several primary addresses, or mail is not the primary one";
    MailMatch = "mail-match", Warning, "targetAddress is not the address of mail";
    LookAlike = "look-alike", Warning, "another object's value looks the same to people";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no rule's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rule; the rules are {names}", names = names())]
pub struct UnknownRule(
    /// The name.
    pub String,
);

fn names() -> String {
    Rule::ALL.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        let found = Self::ALL.iter().find(|rule| rule.name() == text);
        found.copied().ok_or_else(|| UnknownRule(text.to_owned()))
    }
}

//! What the rules see of an object: its names, its kind, and the attributes below. A
//! [`Reading`](super::Reading) makes a [`Subject`] of a staged object.

use portolan_model::Guid;

use super::left_out::LeftOut;
use crate::forest::ObjectKind;
use crate::record::ValueRef;

macro_rules! attributes {
    ($($variant:ident = $name:literal, $mendable:literal;)*) => {
        /// An attribute that a rule reads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Attribute {
            $(
                #[doc = concat!("`", $name, "`.")]
                $variant,
            )*
        }

        impl Attribute {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the directory.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether it is text that a finding may propose to change.
            #[must_use]
            pub const fn is_mendable(self) -> bool {
                match self { $(Self::$variant => $mendable,)* }
            }
        }
    };
}

attributes! {
    UserPrincipalName = "userPrincipalName", true;
    SamAccountName = "sAMAccountName", true;
    Mail = "mail", true;
    MailNickname = "mailNickname", true;
    ProxyAddresses = "proxyAddresses", true;
    TargetAddress = "targetAddress", true;
    DisplayName = "displayName", true;
    GivenName = "givenName", true;
    Surname = "sn", true;
    Name = "name", false;
    RecipientTypeDetails = "msExchRecipientTypeDetails", false;
    ConsistencyGuid = "mS-DS-ConsistencyGuid", false;
}

impl Attribute {
    /// The attribute of a name, whatever its case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|attribute| attribute.name().eq_ignore_ascii_case(name)).copied()
    }
}

/// An object as the rules see it.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub dn: &'a str,
    /// Its objectGUID.
    pub guid: Guid,
    /// What it is.
    pub kind: ObjectKind,
    /// Why it is outside what is synchronised, if it is.
    pub left_out: Option<LeftOut>,
    /// By the attribute's place in [`Attribute::ALL`].
    pub(super) values: Vec<Vec<ValueRef<'a>>>,
}

impl<'a> Subject<'a> {
    /// The values of an attribute that are text or octets, as octets.
    pub fn octets(&self, attribute: Attribute) -> impl Iterator<Item = &'a [u8]> {
        self.values(attribute).filter_map(|value| match value {
            ValueRef::Text(text) => Some(text.as_bytes()),
            ValueRef::Octets(octets) => Some(octets),
            ValueRef::Integer(_) | ValueRef::Boolean(_) => None,
        })
    }

    /// The values that are text.
    pub fn texts(&self, attribute: Attribute) -> impl Iterator<Item = &'a str> {
        self.octets(attribute).filter_map(|octets| std::str::from_utf8(octets).ok())
    }

    /// The first value, if it is text and not empty.
    #[must_use]
    pub fn text(&self, attribute: Attribute) -> Option<&'a str> {
        self.texts(attribute).next().filter(|text| !text.is_empty())
    }

    /// The first value that is a number.
    #[must_use]
    pub fn number(&self, attribute: Attribute) -> Option<i64> {
        self.values(attribute).find_map(ValueRef::as_integer)
    }

    fn values(&self, attribute: Attribute) -> impl Iterator<Item = ValueRef<'a>> {
        self.values.get(attribute as usize).into_iter().flatten().copied()
    }
}

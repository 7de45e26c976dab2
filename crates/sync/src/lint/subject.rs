//! What the rules see of an object: its names, its kind, and the attributes below. Whoever stores
//! objects makes a [`Subject`] of each; the rules know no store.

use portolan_model::Guid;

use crate::forest::{ForestObject, ObjectKind};
use crate::scope::{self, OutOfScope};

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
    pub left_out: Option<OutOfScope>,
    /// By the attribute's place in [`Attribute::ALL`].
    values: Vec<Vec<&'a [u8]>>,
}

impl<'a> Subject<'a> {
    /// An object with its attributes, looked up by name.
    pub fn read<V: IntoIterator<Item = &'a [u8]>>(
        dn: &'a str,
        guid: Guid,
        kind: ObjectKind,
        left_out: Option<OutOfScope>,
        values_of: impl Fn(&'static str) -> V,
    ) -> Self {
        let read = |attribute: &Attribute| values_of(attribute.name()).into_iter().collect();
        let values = Attribute::ALL.iter().map(read).collect();
        Self { dn, guid, kind, left_out, values }
    }

    /// The values of an attribute.
    #[must_use]
    pub fn octets(&self, attribute: Attribute) -> &[&'a [u8]] {
        self.values.get(attribute as usize).map_or(&[], Vec::as_slice)
    }

    /// The values that are text.
    pub fn texts(&self, attribute: Attribute) -> impl Iterator<Item = &'a str> {
        self.octets(attribute).iter().filter_map(|octets| std::str::from_utf8(octets).ok())
    }

    /// The first value, if it is text and not empty.
    #[must_use]
    pub fn text(&self, attribute: Attribute) -> Option<&'a str> {
        self.texts(attribute).next().filter(|text| !text.is_empty())
    }
}

impl<'a> From<&'a ForestObject> for Subject<'a> {
    fn from(object: &'a ForestObject) -> Self {
        let left_out = scope::check(object).err();
        Self::read(object.dn.as_str(), object.guid, object.kind, left_out, |name| {
            object.values(name).iter().map(Vec::as_slice)
        })
    }
}

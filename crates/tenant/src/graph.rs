//! Microsoft Graph's shape: who may read what, what a query means, what an object looks like.
//!
//! `$select`, `$top`, `$count`, a part of `$filter` ([`filter`]) and the continuation are understood; any
//! other query option is refused rather than passed over, since an answer without what was asked for is
//! a wrong answer. Writes are in [`write`](mod@write), their bodies in [`body`], what devices have besides in
//! [`device`], who comes back from the recycle bin in [`restore`](mod@restore), batches of requests in [`batch`], how many requests there may be in [`throttle`].

pub mod batch;
pub mod body;
pub mod device;
pub mod fault;
pub mod filter;
pub mod photo;
pub mod restore;
pub mod throttle;
pub mod write;

use std::collections::BTreeSet;

use portolan_model::Guid;
use portolan_token::claims::AccessToken;

use crate::Parameters;
use crate::application::Application;
use crate::directory::{ATTRIBUTES, Attribute, Kind, Object, Shown, Value};
use crate::scope::Permission;
use filter::Filter;

/// Objects on a page unless `$top` says otherwise.
const TOP_DEFAULT: u32 = 100;

/// Objects on a page at most.
const TOP_MAX: u32 = 999;

/// Properties that no attribute is behind.
const COMPUTED: [&str; 8] = [
    "id",
    "createdDateTime",
    "deletedDateTime",
    "onPremisesImmutableId",
    "onPremisesSyncEnabled",
    "onPremisesLastSyncDateTime",
    "onPremisesExtensionAttributes",
    PROVISIONING_ERRORS,
];

/// The property that shows what was set aside of an object; what it holds is read apart.
pub const PROVISIONING_ERRORS: &str = "onPremisesProvisioningErrors";

/// Options that ask for a part of a list.
const OF_LISTS: [&str; 4] = ["top", "filter", "count", "skiptoken"];

/// The properties of a user that `User.ReadBasic.All` shows ([permissions]).
///
/// [permissions]: https://learn.microsoft.com/graph/permissions-reference#userreadbasicall
const BASIC: [&str; 6] = ["id", "displayName", "givenName", "surname", "mail", "userPrincipalName"];

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The person who signed in.
    Me,
    /// Users.
    Users,
    /// Groups.
    Groups,
    /// The members of a group.
    Members,
    /// Devices, and who registered them.
    Devices,
    /// A user's manager.
    Manager,
    /// The users whose manager a user is.
    DirectReports,
    /// The organisation.
    Organization,
}

impl Resource {
    /// The permissions of which one suffices.
    const fn permissions(self) -> &'static [Permission] {
        use Permission as P;
        match self {
            Self::Me => &[P::UserRead, P::UserReadAll, P::DirectoryReadAll],
            Self::Users => &[
                P::UserReadBasicAll,
                P::UserReadAll,
                P::DirectoryReadAll,
                P::UserReadWriteAll,
                P::DirectoryReadWriteAll,
            ],
            Self::Groups => &[
                P::GroupReadAll,
                P::DirectoryReadAll,
                P::GroupReadWriteAll,
                P::DirectoryReadWriteAll,
            ],
            Self::Members => &[
                P::GroupMemberReadAll,
                P::GroupReadAll,
                P::DirectoryReadAll,
                P::GroupMemberReadWriteAll,
                P::GroupReadWriteAll,
                P::DirectoryReadWriteAll,
            ],
            Self::Devices => &[
                P::DeviceReadAll,
                P::DirectoryReadAll,
                P::DeviceReadWriteAll,
                P::DirectoryReadWriteAll,
            ],
            // Whoever may not read the others sees the id alone, as in a group's members.
            Self::Manager => &[
                P::UserReadAll,
                P::DirectoryReadAll,
                P::UserReadWriteAll,
                P::DirectoryReadWriteAll,
            ],
            Self::DirectReports => &[
                P::UserReadBasicAll,
                P::UserReadAll,
                P::DirectoryReadAll,
                P::UserReadWriteAll,
                P::DirectoryReadWriteAll,
            ],
            Self::Organization => &[
                P::OrganizationReadAll,
                P::UserRead,
                P::DirectoryReadAll,
                P::DirectoryReadWriteAll,
            ],
        }
    }

    /// Whether a token permits to read this.
    #[must_use]
    pub fn is_permitted_by(self, token: &AccessToken) -> bool {
        any_of(self.permissions(), token)
    }
}

/// What an application writes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Users and their managers.
    Users,
    /// The password of a user who is there.
    Passwords,
    /// Groups.
    Groups,
    /// The members of groups.
    Members,
    /// Devices that are there, and whose they are.
    Devices,
    /// New devices, and what a device proves itself by.
    Registrations,
}

impl Writes {
    /// The permissions of which one suffices ([permissions]).
    ///
    /// [permissions]: https://learn.microsoft.com/graph/permissions-reference
    const fn permissions(self) -> &'static [Permission] {
        use Permission as P;
        match self {
            Self::Users => &[P::UserReadWriteAll, P::DirectoryReadWriteAll],
            // No permission to write the directory sets a password: only the one that says so.
            Self::Passwords => &[P::UserPasswordProfileReadWriteAll],
            Self::Groups => &[P::GroupReadWriteAll, P::DirectoryReadWriteAll],
            Self::Members => {
                &[P::GroupMemberReadWriteAll, P::GroupReadWriteAll, P::DirectoryReadWriteAll]
            }
            Self::Devices => &[P::DeviceReadWriteAll, P::DirectoryReadWriteAll],
            // DIVERGES: at Graph no application registers devices, but a person whose role lets them, or
            // the registration service. Neither is here yet.
            Self::Registrations => &[P::DirectoryReadWriteAll],
        }
    }

    /// Whether an application may write this by a token of its own. Both count: what the token says, and
    /// what the application has now. A person's token writes nothing, as no role lets anybody write yet.
    #[must_use]
    pub fn is_permitted(self, token: &AccessToken, application: &Application) -> bool {
        let has = |permission: &Permission| {
            token.has_role(permission.as_str())
                && application.roles.iter().any(|role| role == permission.as_str())
        };
        token.idtyp == "app" && self.permissions().iter().any(has)
    }
}

/// How much of an object a token shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything that Graph shows.
    Whole,
    /// What `User.ReadBasic.All` is for.
    Basic,
    /// That it is there: a group's members are listed to who may not read them.
    IdOnly,
}

impl View {
    /// What a token shows of objects of a kind other than the person's own.
    #[must_use]
    pub fn of(kind: Kind, token: &AccessToken) -> Self {
        use Permission as P;
        let (whole, basic): (&[_], &[_]) = match kind {
            Kind::User => (
                &[
                    P::UserReadAll,
                    P::DirectoryReadAll,
                    P::UserReadWriteAll,
                    P::DirectoryReadWriteAll,
                ],
                &[P::UserReadBasicAll],
            ),
            Kind::Contact => (&[P::DirectoryReadAll, P::DirectoryReadWriteAll], &[]),
            Kind::Group => (
                &[
                    P::GroupReadAll,
                    P::DirectoryReadAll,
                    P::GroupReadWriteAll,
                    P::DirectoryReadWriteAll,
                ],
                &[],
            ),
            Kind::Device => (
                &[
                    P::DeviceReadAll,
                    P::DirectoryReadAll,
                    P::DeviceReadWriteAll,
                    P::DirectoryReadWriteAll,
                ],
                &[],
            ),
        };
        if any_of(whole, token) {
            Self::Whole
        } else if any_of(basic, token) {
            Self::Basic
        } else {
            Self::IdOnly
        }
    }

    /// Whether it shows a property.
    #[must_use]
    pub fn shows(self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Basic => BASIC.contains(&name),
            Self::IdOnly => name == "id",
        }
    }
}

fn any_of(permissions: &[Permission], token: &AccessToken) -> bool {
    permissions.iter().any(|permission| {
        token.has_scope(permission.as_str()) || token.has_role(permission.as_str())
    })
}

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// An option that is not understood here.
    #[error("The query option '{0}' is not supported.")]
    UnknownOption(String),
    /// An option that comes twice.
    #[error("The query option '{0}' comes more than once.")]
    RepeatedOption(String),
    /// A property that objects of this kind do not have.
    #[error("Could not find a property named '{0}' on type 'microsoft.graph.{1}'.")]
    UnknownProperty(String, &'static str),
    /// Not a number from 1 to 999.
    #[error("The value of '$top' is not a number from 1 to 999.")]
    InvalidTop,
    /// Not a filter that is understood.
    #[error("The value of '$filter' is not valid, or uses what is not supported.")]
    InvalidFilter,
    /// Neither `true` nor `false`, or without the header that Graph wants with it.
    #[error(
        "The value of '$count' is not true or false, or the header 'ConsistencyLevel: eventual' is missing."
    )]
    InvalidCount,
    /// Not a continuation of ours.
    #[error("The value of '$skiptoken' is not valid.")]
    InvalidContinuation,
}

/// A query on objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The properties; `None` for the usual ones.
    pub select: Option<Vec<&'static str>>,
    /// Which objects; `None` for all.
    pub filter: Option<Filter>,
    /// The filter as it came, for the next page's address.
    pub filter_text: Option<String>,
    /// Whether to say how many there are.
    pub count: bool,
    /// Objects on a page.
    pub top: u32,
    /// The object behind which the page begins.
    pub after: Option<Guid>,
}

/// A property of an object in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Property {
    /// A value, or null.
    Value(Option<Value>),
    /// Values within one.
    Within(Vec<(&'static str, Option<Value>)>),
    /// What a device proves itself by: the keys as base64, each of [`device::SECURITY_ID_TYPE`].
    SecurityIds(Vec<String>),
}

impl Query {
    /// Reads the query of a request for one object: there is no list that a part could be asked of.
    ///
    /// # Errors
    /// The option that is not understood.
    pub fn parse_of_one(parameters: &Parameters, kind: Kind) -> Result<Self, InvalidQuery> {
        let of_list = |option: &&str| {
            let name = option.strip_prefix('$').unwrap_or(option);
            OF_LISTS.iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        match parameters.names().find(of_list) {
            Some(option) => Err(InvalidQuery::UnknownOption(option.to_owned())),
            None => Self::parse(parameters, kind),
        }
    }

    /// Reads the query of a request for users or groups.
    ///
    /// # Errors
    /// The option that is not understood.
    pub fn parse(parameters: &Parameters, kind: Kind) -> Result<Self, InvalidQuery> {
        let mut query = Self {
            select: None,
            filter: None,
            filter_text: None,
            count: false,
            top: TOP_DEFAULT,
            after: None,
        };
        let mut seen = BTreeSet::new();
        for option in parameters.names() {
            let value = parameters.optional(option).unwrap_or_default();
            let name = option.strip_prefix('$').unwrap_or(option).to_ascii_lowercase();
            // Spelled in two ways it would come twice, and one of them would be passed over.
            if !seen.insert(name.clone()) {
                return Err(InvalidQuery::RepeatedOption(name));
            }
            match name.as_str() {
                "select" => query.select = Some(parse_select(value, kind)?),
                "top" => {
                    let top = value.parse().ok().filter(|top| (1..=TOP_MAX).contains(top));
                    query.top = top.ok_or(InvalidQuery::InvalidTop)?;
                }
                "filter" => {
                    query.filter = Some(Filter::parse(value, kind)?);
                    query.filter_text = Some(value.to_owned());
                }
                "count" => {
                    query.count = value.parse().map_err(|_| InvalidQuery::InvalidCount)?;
                }
                "skiptoken" => {
                    let after = value.parse().map_err(|_| InvalidQuery::InvalidContinuation)?;
                    query.after = Some(after);
                }
                _ => return Err(InvalidQuery::UnknownOption(option.chars().take(64).collect())),
            }
        }
        Ok(query)
    }
}

fn parse_select(text: &str, kind: Kind) -> Result<Vec<&'static str>, InvalidQuery> {
    let mut names = vec!["id"];
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let name = known_property(word, kind)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The property of a name, which is written in any case.
fn known_property(word: &str, kind: Kind) -> Result<&'static str, InvalidQuery> {
    let computed = COMPUTED.iter().copied().find(|name| name.eq_ignore_ascii_case(word));
    let attribute = || {
        let shown = |row: &&Attribute| {
            row.belongs_to(kind) && matches!(row.shown, Shown::ByDefault | Shown::WhenSelected)
        };
        let names = ATTRIBUTES.iter().filter(shown).map(|row| row.name);
        names.into_iter().find(|name| name.eq_ignore_ascii_case(word))
    };
    computed.or_else(attribute).ok_or_else(|| {
        InvalidQuery::UnknownProperty(word.chars().take(64).collect(), kind.as_str())
    })
}

/// The properties of an object that a view shows, in order.
#[must_use]
pub fn properties(
    object: &Object,
    select: Option<&[&'static str]>,
    view: View,
) -> Vec<(&'static str, Property)> {
    let usual = || {
        let rows = ATTRIBUTES.iter().filter(|row| row.is_usual(object.kind));
        let synced = (object.kind == Kind::Device).then_some("onPremisesSyncEnabled");
        let rows = rows.map(|row| row.name).chain(synced);
        std::iter::once("id").chain(rows).collect::<Vec<_>>()
    };
    let names = select.map_or_else(usual, <[_]>::to_vec);
    let shown = names.into_iter().filter(|name| view.shows(name));
    shown.map(|name| (name, property(object, name))).collect()
}

fn property(object: &Object, name: &'static str) -> Property {
    let text = |text: String| Some(Value::Text(text));
    Property::Value(match name {
        "id" => text(object.id.to_string()),
        "createdDateTime" => Some(Value::Time(object.created_at)),
        "deletedDateTime" => object.deleted_at.map(Value::Time),
        "onPremisesImmutableId" => {
            object.anchor.as_ref().and_then(|anchor| text(anchor.to_string()))
        }
        // Whether the forest is its master: one of the cloud's own may have an anchor too.
        "onPremisesSyncEnabled" => object.synchronised_at.map(|_| Value::Flag(true)),
        "onPremisesLastSyncDateTime" => object.synchronised_at.map(Value::Time),
        "onPremisesExtensionAttributes" => {
            let rows = ATTRIBUTES.iter().filter(|row| row.shown == Shown::AsExtension);
            let value = |row: &Attribute| object.attributes.value(row.name).cloned();
            return Property::Within(rows.map(|row| (row.name, value(row))).collect());
        }
        PROVISIONING_ERRORS => Some(Value::Texts(Vec::new())),
        device::SECURITY_IDS => {
            return Property::SecurityIds(match object.attributes.value(name) {
                Some(Value::Texts(keys)) => keys.clone(),
                _ => Vec::new(),
            });
        }
        // Graph gives an empty list, not null, for a list that is unset.
        _ => match (object.attributes.value(name), Attribute::named(name)) {
            (None, Some(row)) if row.shape == crate::directory::Shape::Texts => {
                Some(Value::Texts(Vec::new()))
            }
            (value, _) => value.cloned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::user;

    fn parse(pairs: &[(&str, &str)]) -> Result<Query, InvalidQuery> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Query::parse(&Parameters::from_pairs(pairs).unwrap(), Kind::User)
    }

    #[test]
    fn queries_that_are_not_understood_are_refused() {
        let select = parse(&[("$select", "displayName,ID, accountenabled")]).unwrap().select;
        assert_eq!(select.unwrap(), ["id", "displayName", "accountEnabled"]);
        assert_eq!(parse(&[("$top", "999")]).unwrap().top, 999);
        for top in ["0", "1000", "-1", "many", ""] {
            assert_eq!(parse(&[("$top", top)]), Err(InvalidQuery::InvalidTop), "{top}");
        }
        let unknown = |name: &str| Err(InvalidQuery::UnknownProperty(name.to_owned(), "user"));
        assert_eq!(parse(&[("$select", "passwordProfile")]), unknown("passwordProfile"));
        assert_eq!(parse(&[("$select", "onPremisesLockedOut")]), unknown("onPremisesLockedOut"));
        assert_eq!(parse(&[("$select", "groupTypes")]), unknown("groupTypes"));
        let order = parse(&[("$orderby", "displayName")]);
        assert_eq!(order, Err(InvalidQuery::UnknownOption("$orderby".to_owned())));
        assert_eq!(parse(&[("$filter", "id")]), Err(InvalidQuery::InvalidFilter));
        assert!(parse(&[("$filter", "id eq '1'")]).unwrap().filter.is_some());
        assert!(parse(&[("$count", "true")]).unwrap().count);
        assert_eq!(parse(&[("$count", "many")]), Err(InvalidQuery::InvalidCount));
        assert_eq!(parse(&[("$skiptoken", "x")]), Err(InvalidQuery::InvalidContinuation));
        let twice = parse(&[("$Top", "1"), ("$top", "2")]);
        assert_eq!(twice, Err(InvalidQuery::RepeatedOption("top".to_owned())));
        let mistaken = parse(&[("$$top", "1")]);
        assert_eq!(mistaken, Err(InvalidQuery::UnknownOption("$$top".to_owned())));
    }

    #[test]
    fn one_object_is_no_list() {
        let parse = |name: &str, value: &str| {
            let pairs = [(name.to_owned(), value.to_owned())];
            Query::parse_of_one(&Parameters::from_pairs(pairs).unwrap(), Kind::User)
        };
        let select = parse("$select", "mail").unwrap().select;
        assert_eq!(select.unwrap(), ["id", "mail"]);
        for (name, value) in [
            ("$top", "1"),
            ("Top", "1"),
            ("$filter", "id eq '1'"),
            ("$count", "true"),
            ("$skiptoken", "x"),
            ("$expand", "manager"),
        ] {
            let refused = Err(InvalidQuery::UnknownOption(name.to_owned()));
            assert_eq!(parse(name, value), refused);
        }
    }

    #[test]
    fn an_object_shows_the_usual_properties_or_those_selected() {
        let alice = user("alice@corp.example");
        let names: Vec<_> =
            properties(&alice, None, View::Whole).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"userPrincipalName") && !names.contains(&"accountEnabled"));
        let select = ["id", "onPremisesSyncEnabled", "proxyAddresses"];
        let selected = properties(&alice, Some(&select), View::Whole);
        assert_eq!(selected[1].1, Property::Value(Some(Value::Flag(true))));
        assert_eq!(selected[2].1, Property::Value(Some(Value::Texts(vec![]))));
    }
    #[test]
    fn a_view_shows_what_its_permission_is_for() {
        let alice = user("alice@corp.example");
        let names = |view, select: Option<&[&'static str]>| {
            properties(&alice, select, view).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(
            names(View::Basic, None),
            ["id", "displayName", "mail", "userPrincipalName", "givenName", "surname"]
        );
        assert_eq!(names(View::IdOnly, None), ["id"]);
        let select: &[_] = &["id", "mobilePhone", "onPremisesExtensionAttributes"];
        assert_eq!(names(View::Basic, Some(select)), ["id"]);
    }
}

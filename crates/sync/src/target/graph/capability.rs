//! What Graph can do for a synchronised object, and what it cannot: one table, printed by the command line,
//! written into the reference page, and looked at for each object.

use std::fmt::Write as _;

use crate::TenantKind;

/// Whether something is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// As to a tenant of ours.
    Full,
    /// With a difference.
    Partly,
    /// Not at all.
    None,
}

impl Support {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "yes",
            Self::Partly => "partly",
            Self::None => "no",
        }
    }
}

/// A row: something that synchronisation does, and what becomes of it at Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// What.
    pub what: &'static str,
    /// Whether.
    pub support: Support,
    /// How it differs, in one sentence.
    pub how: &'static str,
}

const fn row(what: &'static str, support: Support, how: &'static str) -> Capability {
    Capability { what, support, how }
}

/// Everything that is asked of a target, in the order of the reference page.
pub static CAPABILITIES: &[Capability] = &[
    row(
        "users",
        Support::Partly,
        "they become the cloud's own (`onPremisesSyncEnabled` stays null) and carry the anchor as `onPremisesImmutableId`",
    ),
    row(
        "security groups",
        Support::Partly,
        "they become the cloud's own and carry the anchor as `uniqueName`, by which they are made once",
    ),
    row(
        "members",
        Support::Full,
        "20 a request, then one by one where Graph refuses some of the 20",
    ),
    row("managers", Support::Full, "a manager who is not exported is reported"),
    row(
        "password hashes",
        Support::None,
        "Graph takes no hash: each new user gets a random password that nobody knows and must change it",
    ),
    row("contacts", Support::None, "Graph makes no organisational contacts"),
    row(
        "distribution groups",
        Support::None,
        "Graph makes no mail-enabled groups; a mail-enabled security group is exported without its mail",
    ),
    row(
        "mail addresses (`proxyAddresses`)",
        Support::None,
        "read-only: Exchange Online derives them",
    ),
    row(
        "origin in the forest (`onPremises…`, SID, distinguished name)",
        Support::None,
        "read-only: only a synchronising agent sets them",
    ),
    row("extension attributes 1 to 15", Support::Full, "of users that are the cloud's own"),
    row(
        "directory extensions (`extension_…`)",
        Support::None,
        "Graph has them, and they are not sent: an object that has one is reported; `extensionAttribute1` to `15` are there for what no property is for",
    ),
    row(
        "photos",
        Support::Partly,
        "of users, each by a request of its own when it is another one than before; what is no JPEG, PNG or GIF of at most 100 KiB (a forest has no larger ones; Graph takes 4 MB) is reported, and so is what Graph refuses; `connect confirm` does not look at them",
    ),
    row("devices", Support::None, "a device registers itself"),
    row(
        "objects that another agent synchronises",
        Support::None,
        "Graph refuses to write them; each is reported",
    ),
    row(
        "exchanged names",
        Support::Partly,
        "a user principal name passes on once its holder has another; two users who swap theirs are reported",
    ),
    row(
        "deleted objects",
        Support::Partly,
        "they stay in the recycle bin for 30 days with their anchor; a user who comes back meanwhile is taken out of it, unless `restore_deleted` of `[graph]` says otherwise, and is reported where their name has passed on; a deleted group is gone, and is made anew",
    ),
];

/// A property, as far as an exporter is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property {
    /// Graph's name.
    pub name: &'static str,
    /// The kinds that have it.
    pub kinds: &'static [TenantKind],
    /// Characters that each text may have; none in front of the value of a truth.
    pub chars_max: usize,
    /// Texts that a list may have.
    pub texts_max: usize,
}

const USER: &[TenantKind] = &[TenantKind::User];
const GROUP: &[TenantKind] = &[TenantKind::Group];
const BOTH: &[TenantKind] = &[TenantKind::User, TenantKind::Group];

const fn text(name: &'static str, kinds: &'static [TenantKind], chars_max: usize) -> Property {
    Property { name, kinds, chars_max, texts_max: 1 }
}

/// The properties that are exported; every other one is read-only at Graph or unknown to it. Limits are
/// those of Graph's [user] and [group].
///
/// [user]: https://learn.microsoft.com/graph/api/resources/user
/// [group]: https://learn.microsoft.com/graph/api/resources/group
pub static PROPERTIES: &[Property] = &[
    text("accountEnabled", USER, 0),
    text("businessPhones", USER, 64),
    text("city", USER, 128),
    text("companyName", USER, 64),
    text("country", USER, 128),
    text("department", USER, 64),
    text("description", GROUP, 1024),
    text("displayName", BOTH, 256),
    text("employeeId", USER, 16),
    text("faxNumber", USER, 64),
    text("givenName", USER, 64),
    text("jobTitle", USER, 128),
    text("mail", USER, 320),
    text("mailNickname", BOTH, 64),
    text("mobilePhone", USER, 64),
    text("officeLocation", USER, 128),
    Property { name: "otherMails", kinds: USER, chars_max: 250, texts_max: 250 },
    text("passwordPolicies", USER, 64),
    text("postalCode", USER, 40),
    text("preferredLanguage", USER, 64),
    text("securityEnabled", GROUP, 0),
    text("state", USER, 128),
    text("streetAddress", USER, 1024),
    text("surname", USER, 64),
    text("usageLocation", USER, 2),
    text("userPrincipalName", USER, 113),
    text("userType", USER, 64),
];

/// Characters that an extension attribute may have.
pub const EXTENSION_CHARS_MAX: usize = 1024;

/// How many extension attributes there are.
const EXTENSIONS: u8 = 15;

/// The property of a name that objects of a kind have.
#[must_use]
pub fn property(name: &str, kind: TenantKind) -> Option<&'static Property> {
    PROPERTIES.iter().find(|row| row.name == name && row.kinds.contains(&kind))
}

/// A name as Graph spells it: a forest may spell it otherwise, and the state has one spelling.
#[must_use]
pub fn spelled(name: &str) -> &str {
    let known = PROPERTIES.iter().map(|row| row.name).find(|own| own.eq_ignore_ascii_case(name));
    known.unwrap_or(name)
}

/// Whether a property is a list of texts, as Graph takes it.
#[must_use]
pub fn is_list(name: &str) -> bool {
    matches!(name, "businessPhones" | "otherMails")
}

/// Whether this is the name of one of the fifteen extension attributes.
#[must_use]
pub fn is_extension(name: &str) -> bool {
    let number = name.strip_prefix("extensionAttribute").and_then(|text| text.parse::<u8>().ok());
    number.is_some_and(|number| {
        (1..=EXTENSIONS).contains(&number) && name == format!("extensionAttribute{number}")
    })
}

/// Whether this is the attribute of a user's photo, which goes beside all others.
#[must_use]
pub fn is_photo(name: &str, kind: TenantKind) -> bool {
    kind == TenantKind::User && name.eq_ignore_ascii_case("thumbnailPhoto")
}

/// Whether Graph has an attribute, and this exporter does not send it.
#[must_use]
pub fn is_not_sent(name: &str) -> bool {
    crate::syntax::is_extension(name)
}

/// The reference page, as Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Microsoft Graph as a target\n\n<!-- Written by `cargo xtask docs`. -->\n\n\
         What `portolan connect` exports by Microsoft Graph, and what it cannot. \
         `portolan connect capabilities` prints the same.\n\n\
         | what | exported | how |\n|---|---|---|\n",
    );
    for Capability { what, support, how } in CAPABILITIES {
        // Writing to a String does not fail.
        let _ = writeln!(page, "| {what} | {} | {how} |", support.as_str());
    }
    page.push_str(
        "\n## Properties\n\nEvery other property is read-only at Graph, or unknown to it; an object \
         that has one is exported without it, and that is reported.\n\n\
         | property | of | characters at most |\n|---|---|---|\n",
    );
    for row in PROPERTIES {
        let kinds: Vec<_> = row.kinds.iter().map(|kind| kind.as_str()).collect();
        let chars = if row.chars_max == 0 { "–".to_owned() } else { row.chars_max.to_string() };
        let _ = writeln!(page, "| `{}` | {} | {chars} |", row.name, kinds.join(", "));
    }
    let _ = writeln!(
        page,
        "| `extensionAttribute1` to `extensionAttribute{EXTENSIONS}` | user | {EXTENSION_CHARS_MAX} |"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_attributes_are_numbered_from_one_to_fifteen() {
        for (name, expected) in [
            ("extensionAttribute1", true),
            ("extensionAttribute15", true),
            ("extensionAttribute16", false),
            ("extensionAttribute0", false),
            ("extensionAttribute01", false),
            ("extensionAttribute", false),
        ] {
            assert_eq!(is_extension(name), expected, "{name}");
        }
    }

    #[test]
    fn each_property_and_each_capability_stands_in_the_page_once() {
        let page = page();
        for row in PROPERTIES {
            assert_eq!(page.matches(&format!("| `{}` |", row.name)).count(), 1, "{}", row.name);
        }
        for row in CAPABILITIES {
            assert_eq!(page.matches(&format!("\n| {} |", row.what)).count(), 1, "{}", row.what);
        }
    }
}

//! Scopes: what an application asks for, and what the administrator gave it.

use crate::{Rule, Tenant};

/// Scopes that a request may name.
const SCOPES_MAX: usize = 50;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident, $word:literal, $sentence:literal;)+) => {
        /// A permission at Microsoft Graph's shape that an application can be given.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it permits, for a person.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

permissions! {
    /// Read the person who signed in.
    UserRead, "User.Read",
        "Read your profile";
    /// Read the basic properties of every user.
    UserReadBasicAll, "User.ReadBasic.All",
        "Read the names and addresses of everybody in the organisation";
    /// Read every user.
    UserReadAll, "User.Read.All",
        "Read the profiles of everybody in the organisation";
    /// Read every group and its members.
    GroupReadAll, "Group.Read.All",
        "Read all groups and their members";
    /// Read every group's members.
    GroupMemberReadAll, "GroupMember.Read.All",
        "Read who is in which group";
    /// Read every device.
    DeviceReadAll, "Device.Read.All",
        "Read all devices of the organisation";
    /// Change and delete devices, and say whose they are; not make one, nor set what it proves itself by.
    DeviceReadWriteAll, "Device.ReadWrite.All",
        "Change and delete the devices of the organisation";
    /// Read the organisation.
    OrganizationReadAll, "Organization.Read.All",
        "Read what the organisation is called and which domains it has";
    /// Read everything in the directory.
    DirectoryReadAll, "Directory.Read.All",
        "Read everything in the organisation's directory";
    /// Make, change and delete users.
    UserReadWriteAll, "User.ReadWrite.All",
        "Make, change and delete users";
    /// Set the passwords of users who are there already.
    UserPasswordProfileReadWriteAll, "User-PasswordProfile.ReadWrite.All",
        "Set the passwords of users";
    /// Make, change and delete groups, and say who is in them.
    GroupReadWriteAll, "Group.ReadWrite.All",
        "Make, change and delete groups and their members";
    /// Say who is in which group.
    GroupMemberReadWriteAll, "GroupMember.ReadWrite.All",
        "Say who is in which group";
    /// Write users, groups and members.
    DirectoryReadWriteAll, "Directory.ReadWrite.All",
        "Write everything in the organisation's directory";
}

impl Permission {
    /// Whether it permits to write. Such a permission is an application's own: what a person may write by
    /// an application is limited by what their role lets them, and no role lets anybody write yet.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::UserReadWriteAll
                | Self::UserPasswordProfileReadWriteAll
                | Self::GroupReadWriteAll
                | Self::GroupMemberReadWriteAll
                | Self::DeviceReadWriteAll
                | Self::DirectoryReadWriteAll
        )
    }

    /// From the word for it, without case, as Entra ID reads scopes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.as_str().eq_ignore_ascii_case(word))
    }
}

/// What a person's application asks for, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// An ID token.
    pub openid: bool,
    /// The person's name in it.
    pub profile: bool,
    /// The person's address in it.
    pub email: bool,
    /// A refresh token.
    pub offline_access: bool,
    /// What the access token permits at Graph.
    pub permissions: Vec<Permission>,
}

impl Scopes {
    /// Reads a `scope` parameter. Permissions come bare, behind Graph's address, or all at once as
    /// `https://graph.<domain>/.default`.
    ///
    /// # Errors
    /// [`Rule::InvalidScope`] for an unknown one, [`Rule::ConsentRequired`] for one that the
    /// application was not given.
    pub fn parse(text: &str, tenant: &Tenant, given: &[Permission]) -> Result<Self, Rule> {
        let graph = format!("https://{}/", tenant.graph_host());
        let mut scopes = Self::default();
        for (at, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            if at >= SCOPES_MAX {
                return Err(Rule::InvalidScope);
            }
            match word {
                "openid" => scopes.openid = true,
                "profile" => scopes.profile = true,
                "email" => scopes.email = true,
                "offline_access" => scopes.offline_access = true,
                _ => match word.strip_prefix(&graph) {
                    Some(".default") => scopes.permissions.extend(given),
                    bare => {
                        let permission = Permission::from_word(bare.unwrap_or(word))
                            .ok_or(Rule::InvalidScope)?;
                        if !given.contains(&permission) {
                            return Err(Rule::ConsentRequired);
                        }
                        scopes.permissions.push(permission);
                    }
                },
            }
        }
        scopes.permissions.sort_unstable();
        scopes.permissions.dedup();
        Ok(scopes)
    }

    /// The words for the access token: `openid` and its like, then the permissions.
    #[must_use]
    pub fn to_text(&self) -> String {
        let words = [
            (self.openid, "openid"),
            (self.profile, "profile"),
            (self.email, "email"),
            (self.offline_access, "offline_access"),
        ];
        let words = words.into_iter().filter_map(|(set, word)| set.then_some(word));
        let permissions = self.permissions.iter().map(|permission| permission.as_str());
        words.chain(permissions).collect::<Vec<_>>().join(" ")
    }

    /// The words for the `scope` of a token response. Clients look their tokens up by the words
    /// that they asked with, so each permission stands there bare and behind Graph's address.
    #[must_use]
    pub fn to_response_text(&self, tenant: &Tenant, given: &[Permission]) -> String {
        let graph = format!("https://{}/", tenant.graph_host());
        let mut text = self.clone().for_token().to_text();
        let all = given.iter().all(|permission| self.permissions.contains(permission));
        let default = (all && !given.is_empty()).then_some(".default");
        for word in self.permissions.iter().map(|permission| permission.as_str()).chain(default) {
            text.push(' ');
            text.push_str(&graph);
            text.push_str(word);
        }
        text
    }

    /// What is asked for, in sentences for a person.
    #[must_use]
    pub fn sentences(&self) -> Vec<&'static str> {
        let own = [
            (self.openid, "Know that it is you"),
            (self.profile, "Read your name"),
            (self.email, "Read your mail address"),
            (self.offline_access, "Keep this access until you sign in anew or are signed out"),
        ];
        let own = own.into_iter().filter_map(|(asked, sentence)| asked.then_some(sentence));
        own.chain(self.permissions.iter().map(|permission| permission.sentence())).collect()
    }

    /// What an access token says: the wish for a refresh token is not part of it.
    #[must_use]
    pub fn for_token(self) -> Self {
        Self { offline_access: false, ..self }
    }

    /// Whether everything in `self` is in `granted` too: a refresh may ask for less, never more.
    #[must_use]
    pub fn within(&self, granted: &Self) -> bool {
        let covered = |asked: bool, had: bool| !asked || had;
        covered(self.openid, granted.openid)
            && covered(self.profile, granted.profile)
            && covered(self.email, granted.email)
            && covered(self.offline_access, granted.offline_access)
            && self.permissions.iter().all(|permission| granted.permissions.contains(permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::tenant;

    #[test]
    fn scopes_are_read_in_every_spelling() {
        let given = [Permission::UserRead, Permission::UserReadAll];
        let check = |text: &str, expected: Result<&str, Rule>| {
            let found = Scopes::parse(text, &tenant(), &given).map(|scopes| scopes.to_text());
            assert_eq!(found, expected.map(str::to_owned), "{text}");
        };
        check("openid profile", Ok("openid profile"));
        check("User.Read openid", Ok("openid User.Read"));
        check("https://graph.cloud.example/user.read  email", Ok("email User.Read"));
        check("https://graph.cloud.example/.default", Ok("User.Read User.Read.All"));
        check("Group.Read.All", Err(Rule::ConsentRequired));
        check("https://graph.other.example/User.Read", Err(Rule::InvalidScope));
        check("https://sync.cloud.example/.default", Err(Rule::InvalidScope));
        check("Everything", Err(Rule::InvalidScope));
        check(&"openid ".repeat(51), Err(Rule::InvalidScope));
    }

    #[test]
    fn the_answer_names_permissions_in_both_spellings() {
        let given = [Permission::UserRead];
        let scopes = Scopes::parse("openid offline_access User.Read", &tenant(), &given).unwrap();
        assert_eq!(
            scopes.to_response_text(&tenant(), &given),
            "openid User.Read https://graph.cloud.example/User.Read \
             https://graph.cloud.example/.default"
        );
        assert_eq!(scopes.for_token().to_text(), "openid User.Read");
    }

    #[test]
    fn a_refresh_may_ask_for_less_but_not_for_more() {
        let given = [Permission::UserRead, Permission::UserReadAll];
        let parse = |text| Scopes::parse(text, &tenant(), &given).unwrap();
        assert!(parse("openid").within(&parse("openid User.Read")));
        assert!(!parse("User.Read.All").within(&parse("openid User.Read")));
        assert!(!parse("email").within(&parse("openid")));
    }
}

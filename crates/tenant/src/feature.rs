//! The switches of synchronisation, by the names of Graph's
//! `onPremisesDirectorySynchronization.features`. All are off until an administrator sets them.

use std::collections::BTreeSet;

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// No object of the cloud is matched by its name or its primary address.
    BlockSoftMatch,
    /// No object of the cloud is taken over by its `onPremisesImmutableId`.
    BlockCloudObjectTakeoverThroughHardMatch,
    /// A user principal name that another user has is set aside, where the user would be refused.
    QuarantineUponUpnConflict,
    /// An address that another object has is set aside, where the object would be refused.
    QuarantineUponProxyAddressesConflict,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::BlockSoftMatch,
        Self::BlockCloudObjectTakeoverThroughHardMatch,
        Self::QuarantineUponUpnConflict,
        Self::QuarantineUponProxyAddressesConflict,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlockSoftMatch => "BlockSoftMatch",
            Self::BlockCloudObjectTakeoverThroughHardMatch => {
                "BlockCloudObjectTakeoverThroughHardMatch"
            }
            Self::QuarantineUponUpnConflict => "QuarantineUponUpnConflict",
            Self::QuarantineUponProxyAddressesConflict => "QuarantineUponProxyAddressesConflict",
        }
    }

    /// From its name in any case, with or without the `Enabled` that Graph puts behind it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let word = word.strip_suffix("enabled").unwrap_or(&word);
        Self::ALL.into_iter().find(|feature| feature.as_str().to_ascii_lowercase() == word)
    }

    /// What it does when it is on, as a clause.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::BlockSoftMatch => "no object of the cloud is matched by name or primary address",
            Self::BlockCloudObjectTakeoverThroughHardMatch => {
                "no object of the cloud is taken over by its onPremisesImmutableId"
            }
            Self::QuarantineUponUpnConflict => {
                "a user principal name that is taken is set aside, and the user written without it"
            }
            Self::QuarantineUponProxyAddressesConflict => {
                "an address that is taken is set aside, and the object written without it"
            }
        }
    }
}

/// The switches that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features(BTreeSet<Feature>);

impl Features {
    /// Whether a switch is on.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_known_by_their_names_with_and_without_graphs_ending() {
        for feature in Feature::ALL {
            assert_eq!(Feature::from_word(feature.as_str()), Some(feature));
            let graph = format!("{}Enabled", feature.as_str().to_ascii_lowercase());
            assert_eq!(Feature::from_word(&graph), Some(feature));
        }
        assert_eq!(Feature::from_word("PasswordSync"), None);
    }
}

//! What is read of a forest's objects, and how its octets become values.

use portolan_store::state::State;
use portolan_sync::record::Value;
use portolan_sync::rules::Rules;
use portolan_sync::syntax::{NumberedSyntaxes, Syntax};
use portolan_sync::{AttributeId, Dictionary};

use crate::report::Failure;

/// Attributes that are no attributes of an object: they are in it otherwise, or serve the import.
const BESIDE: [&str; 7] = [
    "distinguishedname",
    "memberof",
    "objectguid",
    "parentguid",
    "objectclass",
    "instancetype",
    "isdeleted",
];

/// What is asked of a forest.
#[derive(Debug, Clone)]
pub(in super::super) struct Reading {
    names: Dictionary,
    syntaxes: NumberedSyntaxes,
    wanted: Vec<String>,
    references: Vec<(String, AttributeId)>,
}

impl Reading {
    /// What the rules in force need, with numbers for all names.
    pub(in super::super) async fn by(
        rules: &Rules,
        mut names: Dictionary,
        state: &State,
    ) -> Result<Self, Failure> {
        let wanted = rules.wanted(&names);
        for name in &wanted {
            names.intern(name).map_err(|error| Failure::because("an attribute's name", &error))?;
        }
        state.keep_dictionary(&names).await?;
        let syntaxes = rules.syntaxes().numbered(&names);
        Ok(Self::new(names, syntaxes, wanted))
    }

    fn new(names: Dictionary, syntaxes: NumberedSyntaxes, wanted: Vec<String>) -> Self {
        let reference = |name: &String| {
            let id = names.id(name)?;
            let is = syntaxes.of(id) == Some(Syntax::Reference) && is_attribute(name);
            is.then(|| (name.clone(), id))
        };
        let references = wanted.iter().filter_map(reference).collect();
        Self { names, syntaxes, wanted, references }
    }

    /// The names that are asked for.
    pub(super) fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// The attributes among them that refer to other objects.
    pub(super) fn references(&self) -> impl Iterator<Item = (&str, AttributeId)> {
        self.references.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// The number of an attribute whose values stand in an object's record.
    pub(super) fn attribute(&self, name: &str) -> Option<AttributeId> {
        let id = self.names.id(name)?;
        let is_value = self.syntaxes.of(id) != Some(Syntax::Reference) && is_attribute(name);
        is_value.then_some(id)
    }

    /// The value that octets of an attribute are.
    pub(super) fn decode(&self, attribute: AttributeId, octets: &[u8]) -> Option<Value> {
        self.syntaxes.decode(attribute, octets)
    }
}

fn is_attribute(name: &str) -> bool {
    !BESIDE.iter().any(|beside| beside.eq_ignore_ascii_case(name))
}

#[cfg(test)]
impl Reading {
    /// A reading of these attributes and of what every import asks for.
    pub(super) fn of(names: &[&str]) -> Self {
        let mut dictionary = Dictionary::default();
        for name in portolan_sync::WANTED_ATTRIBUTES.iter().chain(names) {
            dictionary.intern(name).unwrap();
        }
        let syntaxes = portolan_sync::syntax::Syntaxes::default().numbered(&dictionary);
        let wanted = dictionary.names().map(str::to_owned).collect();
        Self::new(dictionary, syntaxes, wanted)
    }

    /// The number of a name.
    pub(super) fn attribute_of(&self, name: &str) -> AttributeId {
        self.names.id(name).unwrap()
    }
}

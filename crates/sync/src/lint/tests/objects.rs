//! Staged objects as an import makes them, and the rules by which they are read.

use std::sync::LazyLock;

use portolan_model::Guid;

use crate::dictionary::Dictionary;
use crate::engine::{ConnectorId, ObjectKey, Staged};
use crate::forest::ObjectKind;
use crate::lint::{Attribute, Reading};
use crate::record::Record;
use crate::rules::{RuleFile, RuleNumbers, Rules};
use crate::syntax::decode;

const FOREST: &str = "corp.contoso.com";

/// The default rules, and the names that they and the lint have.
pub(in super::super) static RULES: LazyLock<(Rules, Dictionary)> = LazyLock::new(|| by(&[]));

pub(in super::super) fn by(overlays: &[RuleFile]) -> (Rules, Dictionary) {
    let mut names = Dictionary::default();
    for attribute in Attribute::ALL {
        names.intern(attribute.name()).unwrap();
    }
    let files = [&[RuleFile::built_in()][..], overlays].concat();
    let rules = Rules::compile(&files, &mut names, &mut RuleNumbers::default()).unwrap();
    (rules, names)
}

pub(in super::super) fn reading() -> Reading<'static> {
    static FORESTS: LazyLock<[(ConnectorId, String); 1]> =
        LazyLock::new(|| [(ConnectorId(1), FOREST.to_owned())]);
    Reading::new(&RULES.0, &RULES.1, &*FORESTS)
}

/// A staged object; its class is its kind.
pub(in super::super) fn object(kind: &str, dn: &str, attributes: &[(&str, &str)]) -> Staged {
    let octets: Vec<_> = attributes.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    staged((&RULES.0, &RULES.1), kind, dn, &octets)
}

/// A staged object as an import by these rules and names makes it.
pub(in super::super) fn staged(
    (rules, names): (&Rules, &Dictionary),
    kind: &str,
    dn: &str,
    attributes: &[(&str, &[u8])],
) -> Staged {
    let mut octets = [0; 16];
    for (at, octet) in dn.bytes().enumerate() {
        octets[at % 16] ^= octet.rotate_left(u32::try_from(at / 16).unwrap());
    }
    let guid = Guid::from_bytes_le(octets);
    let value = |(name, octets): &(&str, &[u8])| {
        let syntax = rules.syntaxes().of(name).map(|known| known.syntax);
        let values = decode(syntax, octets).into_iter().collect();
        (names.id(name).unwrap(), values)
    };
    let record: Record = attributes.iter().map(value).collect();
    Staged {
        key: ObjectKey(1),
        connector: ConnectorId(1),
        guid,
        kind: ObjectKind::of_classes([kind.as_bytes()]).unwrap(),
        dn: dn.to_owned(),
        record: record.named(dn, &guid),
        link: None,
        anchor: None,
    }
}

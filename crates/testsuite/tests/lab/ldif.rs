//! LDIF as `ldapsearch -o ldif-wrap=no` prints it (RFC 2849).

use std::collections::BTreeMap;

use base64::Engine as _;

/// The attributes of one entry by name in lower case, values in the order they came.
pub(crate) type Entry = BTreeMap<String, Vec<Vec<u8>>>;

/// All entries; comments and references are passed over.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    text.split("\n\n")
        .map(|block| {
            let mut entry = Entry::new();
            for line in block.lines().filter(|line| !line.starts_with('#')) {
                let Some((name, value)) = line.split_once(':') else { continue };
                let value = match value.strip_prefix(": ") {
                    Some(encoded) => base64::engine::general_purpose::STANDARD
                        .decode(encoded)
                        .unwrap_or_else(|error| panic!("{line}: {error}")),
                    None => value.strip_prefix(' ').unwrap_or(value).as_bytes().to_vec(),
                };
                entry.entry(name.to_ascii_lowercase()).or_default().push(value);
            }
            entry
        })
        .filter(|entry| entry.contains_key("dn"))
        .collect()
}

/// The first value of an attribute as text.
pub(crate) fn text(entry: &Entry, name: &str) -> Option<String> {
    entry.get(name)?.first().map(|value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn plain_and_encoded_values_are_read() {
    let entries =
        parse("# c\ndn: CN=a,DC=x\ncn: a\ncn:: Wm/Dqw==\n\nref: ldap://x\n\ndn: CN=b,DC=x\n");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["cn"], [b"a".to_vec(), "Zoë".as_bytes().to_vec()]);
    assert_eq!(text(&entries[1], "dn").as_deref(), Some("CN=b,DC=x"));
}

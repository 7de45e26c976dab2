//! Tokens that MIT krb5 made: ours opens them, and makes the same from the same confounder.

use portolan_gss::{
    EncryptionType, Established, Pdu, Protection, ProtocolKey, Rfc4121, Role, SecurityContext,
};
use portolan_model::Entropy;
use serde_json::Value;

/// A confounder that is known already.
struct Known(Vec<u8>);

impl Entropy for Known {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/mit.json")).unwrap()
}

fn octets(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(value[field].as_str().unwrap()).unwrap()
}

fn key(part: &Value) -> ProtocolKey {
    let octets = octets(part, "session_key");
    ProtocolKey::new(EncryptionType::Aes256CtsHmacSha1_96, &octets).unwrap()
}

/// Our context of a role, which sends next what the first token of the role was sent with.
fn context(part: &Value, role: Role, first_token: &[u8]) -> Rfc4121 {
    let first_send = u64::from_be_bytes(first_token[8..16].try_into().unwrap());
    let acceptor_subkey = first_token[2] & 4 != 0;
    let key = key(part);
    Rfc4121::new(Established { key, role, acceptor_subkey, first_send, first_receive: None })
}

/// The confounder at the start of what was sealed, and what follows it.
fn confounder(part: &Value, role: Role, mut sealed: Vec<u8>) -> Known {
    let usage = if role == Role::Initiator { 24 } else { 22 };
    key(part).derive(usage).encryption().decrypt(&mut sealed).unwrap();
    sealed.truncate(16);
    Known(sealed)
}

const SIDES: [(&str, Role, Role); 2] =
    [("initiator", Role::Initiator, Role::Acceptor), ("acceptor", Role::Acceptor, Role::Initiator)];

#[test]
fn wrap_tokens_open_and_are_made_alike() {
    let all = golden();
    let part = &all["plain"];
    for (side, sender, receiver) in SIDES {
        let rows = part[side].as_array().unwrap();
        let first = octets(&rows[0], "token");
        let mut sender_context = context(part, sender, &first);
        let mut receiver_context = context(part, receiver, &first);
        for row in rows {
            let (message, token) = (octets(row, "message"), octets(row, "token"));
            let protection = match row["sealed"].as_bool().unwrap() {
                true => Protection::Confidentiality,
                false => Protection::Integrity,
            };
            let mut known = Known(vec![0; 16]);
            if protection == Protection::Confidentiality {
                let sealed = token[16..token.len() - 12].to_vec();
                known = confounder(part, sender, sealed);
            }
            let mut ours = Vec::new();
            sender_context.wrap(protection, &message, &mut known, &mut ours).unwrap();
            assert_eq!(hex::encode(&ours), hex::encode(&token), "{side}");
            let opened = receiver_context.unwrap(&mut ours).unwrap();
            assert_eq!((opened.message, opened.protection), (message.as_slice(), protection));
        }
    }
}

#[test]
fn fragments_open_and_are_made_alike() {
    let all = golden();
    let part = &all["dce"];
    let (header, trailer) = (octets(part, "header"), octets(part, "trailer"));
    for (side, sender, receiver) in SIDES {
        let rows = part[side].as_array().unwrap();
        let first = octets(&rows[0], "auth_value");
        let mut sender_context = context(part, sender, &first);
        let mut receiver_context = context(part, receiver, &first);
        for row in rows {
            let (mut auth_value, plain) = (octets(row, "auth_value"), octets(row, "body"));
            let mut body = octets(row, "sealed");
            // In their order before the rotation: confounder, body, filler and header copy.
            let sealed = [&auth_value[60..], &body, &auth_value[16..48]].concat();
            let mut known = confounder(part, sender, sealed);
            let (mut our_body, mut our_value) = (plain.clone(), vec![0; 76]);
            let ours = Pdu {
                header: &header,
                body: &mut our_body,
                trailer: &trailer,
                auth_value: &mut our_value,
            };
            sender_context.seal_pdu(ours, &mut known).unwrap();
            let theirs = Pdu {
                header: &header,
                body: &mut body,
                trailer: &trailer,
                auth_value: &mut auth_value,
            };
            receiver_context.unseal_pdu(theirs).unwrap();
            assert_eq!(hex::encode(&body), hex::encode(&plain), "{side}");
            assert_eq!(our_value, octets(row, "auth_value"), "{side}");
            assert_eq!(our_body, octets(row, "sealed"), "{side}");
        }
    }
}

//! Tokens between two sides that share a key, and what is done to them on the way.

#![expect(clippy::unwrap_used, reason = "a peer that cannot be built fails its test")]

mod rfc4121;
mod sasl;

use portolan_gss::{EncryptionType, Established, ProtocolKey, Rfc4121, Role};
use portolan_model::Entropy;

/// A generator that repeats itself, for tests that compare octets.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for octet in out {
            self.0 = self.0.wrapping_add(1);
            *octet = self.0;
        }
    }
}

fn side(role: Role) -> Established {
    let key = std::array::from_fn::<u8, 32, _>(|index| u8::try_from(index).unwrap());
    let key = ProtocolKey::new(EncryptionType::Aes256CtsHmacSha1_96, &key).unwrap();
    Established { key, role, acceptor_subkey: true, first_send: 7000, first_receive: None }
}

fn pair() -> (Rfc4121, Rfc4121) {
    (Rfc4121::new(side(Role::Initiator)), Rfc4121::new(side(Role::Acceptor)))
}

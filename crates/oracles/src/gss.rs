//! What protects messages: nothing that the key's holder did not make is accepted.

use portolan_gss::{
    EncryptionType, Established, Pdu, Protection, ProtocolKey, Rfc4121, Role, SecurityContext, sasl,
};

use crate::bytes;
use crate::peers::Counting;

/// Where the rotation stands in a token.
const ROTATION: std::ops::Range<usize> = 6..8;

/// A context of one side; both sides have the same key.
fn context(role: Role, choice: u8) -> Option<Rfc4121> {
    let kind = match choice & 1 {
        0 => EncryptionType::from_number(18)?,
        _ => EncryptionType::from_number(17)?,
    };
    let octets = [0x2a; 32];
    let key = ProtocolKey::new(kind, octets.get(..kind.key_length())?).ok()?;
    Some(Rfc4121::new(Established {
        key,
        role,
        acceptor_subkey: choice & 2 != 0,
        first_send: 7,
        first_receive: (choice & 4 != 0).then_some(7),
    }))
}

/// Runs with both sides of a context.
fn both(choice: u8, work: impl FnOnce(Rfc4121, Rfc4121)) {
    let sides = (context(Role::Initiator, choice), context(Role::Acceptor, choice));
    assert!(sides.0.is_some() && sides.1.is_some(), "the keys are good");
    if let (Some(initiator), Some(acceptor)) = sides {
        work(initiator, acceptor);
    }
}

/// Tokens: those of strangers are refused, our own arrive whole, once.
pub(crate) fn unwrap(octets: &[u8]) {
    let (choice, message) = bytes::choice(octets);
    both(choice, |mut initiator, mut acceptor| {
        let mut stranger = message.to_vec();
        assert!(acceptor.unwrap(&mut stranger).is_err(), "a token without the key is accepted");
        let protection = match choice & 8 {
            0 => Protection::Confidentiality,
            _ => Protection::Integrity,
        };
        let mut token = Vec::new();
        let wrapped = initiator.wrap(protection, message, &mut Counting(choice), &mut token);
        assert!(wrapped.is_ok());
        assert_eq!(token.len(), message.len() + initiator.overhead(protection));
        let at = message
            .iter()
            .fold(0_usize, |sum, octet| sum.wrapping_mul(31).wrapping_add(usize::from(*octet)))
            % token.len();
        // The rotation is not protected (RFC 4121 section 4.2.5), and one by the length is none.
        if !ROTATION.contains(&at) {
            let mut altered = token.clone();
            altered[at] ^= choice | 1;
            assert!(acceptor.unwrap(&mut altered).is_err(), "octet {at} may be altered");
        }
        let mut again = token.clone();
        let unwrapped = acceptor.unwrap(&mut token);
        assert!(unwrapped.is_ok_and(|out| out.message == message && out.protection == protection));
        assert!(acceptor.unwrap(&mut again).is_err(), "a token is accepted twice");
    });
}

/// Fragments of RPC: as [`unwrap`], with header and trailer signed and not sealed.
pub(crate) fn fragment(octets: &[u8]) {
    let (choice, rest) = bytes::choice(octets);
    let (header, rest) = rest.split_at(rest.len().min(24));
    // The body of a fragment is padded to the cipher's block.
    let (body, trailer) = rest.split_at(rest.len() / 16 * 16);
    both(choice, |mut initiator, mut acceptor| {
        let (mut sealed, mut stranger) = (body.to_vec(), trailer.to_vec());
        let forged = Pdu { header, body: &mut sealed, trailer: &[], auth_value: &mut stranger };
        assert!(acceptor.unseal_pdu(forged).is_err(), "a fragment without the key is accepted");
        let mut sealed = body.to_vec();
        let mut auth_value = vec![0; initiator.auth_value_length()];
        let pdu = Pdu { header, body: &mut sealed, trailer, auth_value: &mut auth_value };
        assert!(initiator.seal_pdu(pdu, &mut Counting(choice)).is_ok());
        let (mut other, mut value) = (sealed.clone(), auth_value.clone());
        let longer = [header, &[0]].concat();
        let pdu = Pdu { header: &longer, body: &mut other, trailer, auth_value: &mut value };
        assert!(acceptor.unseal_pdu(pdu).is_err(), "the header is not signed");
        let pdu = Pdu { header, body: &mut sealed, trailer, auth_value: &mut auth_value };
        assert!(acceptor.unseal_pdu(pdu).is_ok());
        assert_eq!(sealed, body);
    });
}

/// The negotiation of the layer: any offer that the peer can sign.
pub(crate) fn layer(octets: &[u8]) {
    let (choice, offer) = bytes::choice(octets);
    both(choice, |mut initiator, mut acceptor| {
        let mut forged = offer.to_vec();
        let random = &mut Counting(choice);
        assert!(sasl::negotiate(&mut initiator, &mut forged, 65_536, random).is_err());
        let mut token = Vec::new();
        assert!(acceptor.wrap(Protection::Integrity, offer, random, &mut token).is_ok());
        match sasl::negotiate(&mut initiator, &mut token, usize::from(choice) << 17, random) {
            Ok((mut answer, layer)) => {
                assert!(offer.len() == 4 && offer[0] & 4 != 0, "an offer without a seal is taken");
                assert!(layer.send_octets_max <= sasl::RECEIVE_OCTETS_MAX);
                assert!(layer.receive_octets_max <= sasl::RECEIVE_OCTETS_MAX);
                let answer = acceptor.unwrap(&mut answer);
                assert!(answer.is_ok_and(|answer| answer.message.first() == Some(&4)));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

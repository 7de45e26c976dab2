//! `IDL_DRSGetNCChanges`.

use portolan_legacy_crypto::NtHash;
use portolan_model::Guid;
use portolan_rpc::Status;
use portolan_rpc::drsr::secret::{PayloadError, SecretError, decrypt_secret, nt_hash};
use portolan_rpc::drsr::{
    AttributeType, DsName, ExtendedOperation, GetNcChanges, Oid, PartialAttributes,
    ReplicationFlags, Reply, UpToDateCursor, UpToDateVector, UsnVector,
};
use proptest::prelude::*;

use super::handle;
use crate::check_stub;

const REPLY: &[u8] = include_bytes!("../golden/get_nc_changes-reply.bin");
const REPLY_OF_THREE: &[u8] = include_bytes!("../golden/get_nc_changes-reply-three.bin");
const SESSION_KEY: &[u8] = include_bytes!("../golden/get_nc_changes-session-key.bin");

fn domain() -> DsName {
    DsName { guid: Guid::NIL, name: "DC=corp,DC=example".to_owned() }
}

fn request(name: &DsName) -> GetNcChanges<'_> {
    GetNcChanges {
        handle: handle(),
        destination: Guid::NIL,
        source_invocation: Guid::NIL,
        name,
        from: UsnVector::default(),
        up_to_date: None,
        flags: ReplicationFlags::WRITABLE,
        objects_max: 402,
        octets_max: 1 << 20,
        operation: ExtendedOperation::ReplicateObject,
        attributes: None,
    }
}

#[test]
fn a_request_for_one_object_is_encoded_as_samba_does() {
    let name = domain();
    let golden = include_bytes!("../golden/get_nc_changes-request-object.bin");
    check_stub(&request(&name).encode(), golden, &[0x40]);
}

#[test]
fn a_request_of_a_cycle_is_encoded_as_samba_does() {
    let name = domain();
    let vector = UpToDateVector(
        [1, 2, 3]
            .map(|index| UpToDateCursor {
                invocation: Guid::from_fields(index, 0, 0, [0; 8]),
                usn: 1_000 * u64::from(index),
            })
            .to_vec(),
    );
    let attributes =
        PartialAttributes::new(&[Oid::PWD_LAST_SET, Oid::UNICODE_PWD, Oid::IS_DELETED]);
    let full = GetNcChanges {
        source_invocation: "5a5a5a5a-0102-0304-0506-0708090a0b0c".parse().unwrap(),
        from: UsnVector { object_update: 4_711, reserved: 0, property_update: 4_712 },
        up_to_date: Some(&vector),
        operation: ExtendedOperation::None,
        attributes: Some(&attributes),
        ..request(&name)
    };
    let golden = include_bytes!("../golden/get_nc_changes-request-full.bin");
    check_stub(&full.encode(), golden, &[0x40, 0x60, 0x80, 0x8c, 0x178, 0x184, 0x190]);
}

#[test]
fn the_captured_reply_is_read_whole() {
    let reply = Reply::decode(REPLY).unwrap().unwrap();
    assert_eq!((reply.more_data, reply.error, reply.extended_result), (false, Status::SUCCESS, 1));
    let objects: Vec<_> = reply.objects().collect();
    let [alice] = objects.as_slice() else { unreachable!("one object") };
    let name = alice.name().unwrap();
    assert_eq!(name.name(), "CN=alice,CN=Users,DC=corp,DC=example");
    assert_eq!(name.guid().to_string(), "b8559f48-ccf2-44f0-a046-e41d072e2989");
    assert_eq!(name.sid().unwrap().unwrap().rid(), 1_103);
    assert!(alice.parent().is_some());
    let types: Vec<_> = alice.attributes().map(|attribute| attribute.attribute_type).collect();
    assert!(types.iter().all(|attribute| reply.table.oid(*attribute).is_some()));
    let account_name = reply.table.attribute_type(&Oid::SAM_ACCOUNT_NAME).unwrap();
    let utf16: Vec<u8> = "alice".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(alice.attribute(account_name).unwrap().values, [utf16.as_slice()]);
    let user = reply.table.attribute_type(&Oid::SAM_ACCOUNT_TYPE).unwrap();
    let user = alice.attribute(user).unwrap().values[0];
    assert_eq!(user, 0x3000_0000u32.to_le_bytes());
}

#[test]
fn the_password_hash_of_the_captured_reply_is_the_passwords() {
    let reply = Reply::decode(REPLY).unwrap().unwrap();
    let password = reply.table.attribute_type(&Oid::UNICODE_PWD).unwrap();
    let alice = reply.objects().next().unwrap();
    let value = alice.attribute(password).unwrap().values[0];
    // The value stands behind its size, where the notes of the capture say: nothing was copied.
    assert_eq!(value.as_ptr(), REPLY[4_248 + 4..].as_ptr());
    assert_eq!(value.len(), 36);
    let opened = decrypt_secret(SESSION_KEY, value).unwrap();
    assert_eq!(hex::encode(&*opened), "572fa98102eb07dfead7e86ec7590822");
    let hash = nt_hash(SESSION_KEY, value, 1_103).unwrap();
    assert_eq!(hex::encode(hash.expose()), "ca0fe125324eac33b55c2e60b5509492");
    assert_eq!(hash, NtHash::from_password("Al1ce-Pass!"));
}

#[test]
fn a_secret_that_does_not_open_says_why() {
    let reply = Reply::decode(REPLY).unwrap().unwrap();
    let password = reply.table.attribute_type(&Oid::UNICODE_PWD).unwrap();
    let alice = reply.objects().next().unwrap();
    let value = alice.attribute(password).unwrap().values[0];
    let mismatch = SecretError::Payload(PayloadError::ChecksumMismatch);
    assert_eq!(nt_hash(&SESSION_KEY[..16], value, 1_103), Err(mismatch));
    let short = SecretError::Payload(PayloadError::TooShort(4));
    assert_eq!(nt_hash(SESSION_KEY, &value[..4], 1_103), Err(short));
    let supplemental: Oid = "1.2.840.113556.1.4.125".parse().unwrap();
    let supplemental = reply.table.attribute_type(&supplemental).unwrap();
    let long = alice.attribute(supplemental).unwrap().values[0];
    let refused = nt_hash(SESSION_KEY, long, 1_103);
    assert_eq!(refused, Err(SecretError::Length(long.len() - 20)));
}

#[test]
fn a_list_of_objects_is_read_in_its_order() {
    let reply = Reply::decode(REPLY_OF_THREE).unwrap().unwrap();
    assert!(reply.more_data);
    let read: Vec<_> = reply
        .objects()
        .map(|object| {
            let name = object.name().unwrap();
            let attributes: Vec<_> = object
                .attributes()
                .map(|attribute| (attribute.attribute_type.0, attribute.values.to_vec()))
                .collect();
            (name.name(), name.sid().unwrap().unwrap().rid(), attributes)
        })
        .collect();
    type Attributes = Vec<(u32, Vec<&'static [u8]>)>;
    let expected: [(String, u32, Attributes); 3] = [
        (
            "CN=first,DC=corp,DC=example".to_owned(),
            2_001,
            vec![(0x0009_005a, vec![b"1st"]), (0x0009_0060, vec![b"abcdefgh"])],
        ),
        ("CN=second,DC=corp,DC=example".to_owned(), 2_002, vec![(0x0009_005a, vec![])]),
        (
            "CN=thírd,DC=corp,DC=example".to_owned(),
            2_003,
            vec![(0x0009_0008, vec![b"xxxxx", b"y", b""])],
        ),
    ];
    assert_eq!(read, expected);
}

#[test]
fn the_cursor_of_a_reply_goes_into_the_next_request() {
    let reply = Reply::decode(REPLY_OF_THREE).unwrap().unwrap();
    let expected = UsnVector { object_update: 4_711, reserved: 0, property_update: 4_712 };
    assert_eq!(reply.to, expected);
    let cursors = [1, 2].map(|index| UpToDateCursor {
        invocation: Guid::from_fields(index, 0, 0, [0; 8]),
        usn: 1_000 * u64::from(index),
    });
    assert_eq!(reply.up_to_date, Some(UpToDateVector(cursors.to_vec())));
    let parent: Guid = "bbbbbbbb-0000-0000-0000-000000000000".parse().unwrap();
    assert!(reply.objects().all(|object| object.parent() == Some(parent)));
}

/// The vector that an independent implementation (impacket) opened: relative identifier 1112.
#[test]
fn both_layers_of_a_secret_come_off() {
    let session_key: [u8; 32] = std::array::from_fn(|index| 0x10 + u8::try_from(index).unwrap());
    let value = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf85a9bf8c93cf7a1b0685c0f1da0fffd948b8bd4a";
    let hash = nt_hash(&session_key, &hex::decode(value).unwrap(), 1_112).unwrap();
    assert_eq!(hash, NtHash::from_password("Password1"));
    let short = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf9e011105784ca914f7295945a4391966a2f2f544";
    let hash = nt_hash(&session_key[..16], &hex::decode(short).unwrap(), 1_112).unwrap();
    assert_eq!(hash, NtHash::from_password("Password1"));
}

#[test]
fn a_failed_call_is_a_status() {
    // Version 6 with nothing in it, and the return value of a caller without the right.
    let mut failed = vec![6, 0, 0, 0, 6, 0, 0, 0];
    failed.extend([0; 140]);
    failed.extend(Status::DRA_ACCESS_DENIED.0.to_le_bytes());
    assert_eq!(Reply::decode(&failed).unwrap().unwrap_err(), Status::DRA_ACCESS_DENIED);
}

#[test]
fn every_shortened_reply_is_refused() {
    for reply in [REPLY, REPLY_OF_THREE] {
        for length in 0..reply.len() {
            assert!(Reply::decode(&reply[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn a_count_that_the_reply_cannot_hold_is_refused() {
    let mut wild = REPLY.to_vec();
    wild[0x64..0x68].fill(0xff);
    assert!(Reply::decode(&wild).is_err());
}

#[test]
fn an_attribute_has_a_number_only_in_a_table_with_its_prefix() {
    let reply = Reply::decode(REPLY).unwrap().unwrap();
    let number = reply.table.attribute_type(&Oid::UNICODE_PWD).unwrap();
    assert_eq!(number, AttributeType(0x0009_005a));
    assert_eq!(reply.table.oid(number).unwrap(), Oid::UNICODE_PWD);
    assert_eq!(reply.table.attribute_type(&"1.3.6.1.4.1.99999.1".parse().unwrap()), None);
    assert_eq!(reply.table.oid(AttributeType(0x7fff_0001)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn altered_replies_never_panic(
        changes in proptest::collection::vec((0..REPLY_OF_THREE.len(), any::<u8>()), 1..4),
    ) {
        let mut altered = REPLY_OF_THREE.to_vec();
        for (index, octet) in changes {
            altered[index] = octet;
        }
        if let Ok(Ok(reply)) = Reply::decode(&altered) {
            for object in reply.objects() {
                let _name = object.name().map(|name| (name.name(), name.sid()));
                prop_assert!(object.attributes().count() <= altered.len());
            }
        }
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut stub = vec![6, 0, 0, 0, 6, 0, 0, 0];
        stub.extend(octets);
        let _read = Reply::decode(&stub);
    }
}

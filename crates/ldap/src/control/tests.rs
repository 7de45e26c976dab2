//! Values against the notation of their specifications, and back.

use super::*;

#[test]
fn request_controls_have_the_octets_of_their_specification() {
    let check = |control: Control, oid: &str, value: Option<&[u8]>| {
        assert_eq!(control.oid, oid);
        assert!(control.critical, "{oid}");
        assert_eq!(control.value.as_deref(), value, "{oid}");
    };
    check(show_deleted(), "1.2.840.113556.1.4.417", None);
    check(show_deactivated_link(), "1.2.840.113556.1.4.2065", None);
    check(extended_dn(), "1.2.840.113556.1.4.529", Some(&[0x30, 3, 2, 1, 1]));
    let parts =
        SecurityInformation::OWNER.and(SecurityInformation::GROUP).and(SecurityInformation::DACL);
    check(sd_flags(parts), "1.2.840.113556.1.4.801", Some(&[0x30, 3, 2, 1, 7]));
    let paged = PagedResults { size: 1000, cookie: b"ab".to_vec() };
    let octets = [0x30, 8, 2, 2, 0x03, 0xe8, 4, 2, b'a', b'b'];
    check(paged.control(), "1.2.840.113556.1.4.319", Some(&octets));
    let flags = DirSyncFlags::INCREMENTAL_VALUES.and(DirSyncFlags::ANCESTORS_FIRST);
    let sync = DirSync { flags, octets_max: 0x0010_0000, cookie: Vec::new() };
    let octets = [0x30, 13, 2, 4, 0x80, 0, 8, 0, 2, 3, 0x10, 0, 0, 4, 0];
    check(sync.control(), "1.2.840.113556.1.4.841", Some(&octets));
}

#[test]
fn response_controls_return() {
    let paged = PagedResults { size: 7, cookie: vec![1; 300] };
    let reply = DirSyncReply { more: true, cookie: vec![2; 300] };
    let controls = [paged.control(), reply.control()];
    assert_eq!(find::<PagedResults>(&controls).unwrap(), Some(paged));
    assert_eq!(find::<DirSyncReply>(&controls).unwrap(), Some(reply));
    assert_eq!(find::<PagedResults>(&[]).unwrap(), None);
}

#[test]
fn a_response_control_that_is_doubled_or_broken_is_refused() {
    let check = |controls: &[Control], text: &str| {
        assert_eq!(find::<DirSyncReply>(controls).unwrap_err().to_string(), text);
    };
    let reply = DirSyncReply { more: false, cookie: Vec::new() }.control();
    check(
        &[reply.clone(), reply.clone()],
        "controlType at offset 0: the same control stands only once in a response",
    );
    check(
        &[Control { value: None, ..reply.clone() }],
        "DirSyncResponseValue at offset 0: needs 1 octets, 0 are left",
    );
    let cookie = vec![0; COOKIE_OCTETS_MAX + 1];
    check(
        &[DirSyncReply { more: false, cookie }.control()],
        "CookieServer at offset 11: 1048577 is above the limit of 1048576",
    );
}

/// RFC 4511 section 4.1.11: criticality stands in requests; in a response it is ignored.
#[test]
fn an_unknown_critical_control_of_a_response_changes_nothing() {
    let unknown = Control::critical("1.2.3.4.5", Some(vec![9]));
    let paged = PagedResults::first(0);
    let controls = [unknown.clone(), paged.control()];
    assert_eq!(find::<PagedResults>(&controls).unwrap(), Some(paged));

    let mut encoder = Encoder::new();
    encode_controls(&mut encoder, &controls);
    let octets = encoder.into_vec();
    let decoded = decode_controls(Decoder::new(&octets)).unwrap();
    assert_eq!(decoded, controls);
}

#[test]
fn more_controls_than_the_limit_are_refused() {
    let mut encoder = Encoder::new();
    encode_controls(&mut encoder, &vec![show_deleted(); CONTROLS_MAX + 1]);
    let octets = encoder.into_vec();
    let error = decode_controls(Decoder::new(&octets)).unwrap_err();
    assert_eq!(error.fault, Fault::AboveLimit { found: 33, limit: 32 });
}

/// The form that MS-ADTS section 3.1.1.3.4.1.5 prints.
#[test]
fn extended_names_are_taken_apart() {
    let text = "<GUID=b3d4bfbd-3c45-4ee4-b1c4-2d6ee8b1a1e5>;\
                <SID=S-1-5-21-1-2-3-500>;CN=Smith\\, <x>;y,DC=corp,DC=example";
    let name = ExtendedDn::parse(text).unwrap();
    assert_eq!(name.guid.to_string(), "b3d4bfbd-3c45-4ee4-b1c4-2d6ee8b1a1e5");
    assert_eq!(name.sid, Some("S-1-5-21-1-2-3-500"));
    assert_eq!(name.dn, "CN=Smith\\, <x>;y,DC=corp,DC=example");
    let without = "<GUID=b3d4bfbd-3c45-4ee4-b1c4-2d6ee8b1a1e5>;OU=Staff,DC=corp,DC=example";
    assert_eq!(ExtendedDn::parse(without).unwrap().sid, None);
    for text in ["", "CN=x", "<GUID=zz>;CN=x", "<GUID=b3d4bfbd-3c45-4ee4-b1c4-2d6ee8b1a1e5>;"] {
        assert!(ExtendedDn::parse(text).is_err(), "{text}");
    }
}

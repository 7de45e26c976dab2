//! What the checks of the chart read of protocols that nothing else here speaks.

use portolan_probe::Verdict;
use portolan_probe::probes::adws;
use portolan_probe::probes::smb::negotiate::{Answer, frame_octets};

/// A server's answer to the negotiation of a dialect, and its frame.
pub(crate) fn smb(octets: &[u8]) {
    if let Ok(Some(length)) = frame_octets(octets) {
        assert!((4..=4 + 0x00ff_ffff).contains(&length), "a length of three octets");
        let message = octets.get(4..length).unwrap_or_default();
        let _ = Answer::decode(message);
    }
    match Answer::decode(octets) {
        Ok(_) => assert_eq!(octets.get(1..4), Some(&b"SMB"[..])),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A record of message framing: a judgement, once there is one, is not changed by what comes behind.
pub(crate) fn adws(octets: &[u8]) {
    let Some(outcome) = adws::judge(octets) else { return };
    let more = adws::judge(&[octets, &[0; 16]].concat());
    let verdict = more.map(|outcome| outcome.verdict.name());
    assert_eq!(verdict, Some(outcome.verdict.name()));
    if let Verdict::Faulty(defects) = outcome.verdict {
        let shown = defects.iter().all(|defect| !defect.text.chars().any(char::is_control));
        assert!(shown, "a fault's name reaches a terminal");
    }
}

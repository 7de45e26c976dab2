//! Recording both networks whole, and reading the recordings up to now.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::capture::Recording;
use crate::error::LabError;
use crate::network::BRIDGE;
use crate::plan::{Host, Network};
use crate::process::{self, Program};
use crate::state::{Directory, Namespace};

/// The largest recording that is read into memory, in octets.
const RECORDING_OCTETS_MAX: u64 = 1 << 30;
/// How long a frame may take from the wire into the recording.
const FENCE_TIME_MAX: Duration = Duration::from_secs(5);
/// How often the recording is looked at meanwhile.
const FENCE_INTERVAL: Duration = Duration::from_millis(10);

/// Starts to record a network at its switch, and waits until the recorder listens.
pub(crate) fn start(
    switch: &Namespace,
    network: Network,
    directory: &Directory,
) -> Result<(), LabError> {
    let log = directory.log(&format!("tcpdump-{}", network.name()));
    let failed = |source| LabError::Io { doing: "start tcpdump".to_owned(), source };
    let mut child = switch
        .daemon("tcpdump", &log)?
        // As root, because the state directory is root's alone; each frame at once, whole.
        .args(["-Z", "root", "--immediate-mode", "-U", "-i", BRIDGE, "-w"])
        .arg(directory.recording(network))
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let lines = child.stderr.take().map(BufReader::new);
    let listening = lines.is_some_and(|lines| {
        lines.lines().map_while(Result::ok).any(|line| line.contains("listening on"))
    });
    // What is waited for is the starter: the recorder itself stays.
    let status = child.wait().map_err(failed)?;
    if listening {
        return Ok(());
    }
    Err(LabError::Program {
        program: "tcpdump".to_owned(),
        status: status.to_string(),
        output: String::new(),
    })
}

/// Reads both recordings, up to and with everything that was on the wire when this was called.
///
/// The router asks on each network for an address that nobody has; frames before that question are
/// in the recording when the question is.
pub(crate) fn read(
    router: (&Host, &Namespace),
    directory: &Directory,
) -> Result<Vec<Recording>, LabError> {
    let (host, namespace) = router;
    let mut recordings = Vec::new();
    for link in &host.links {
        let path = directory.recording(link.network);
        let parse = || {
            let octets = process::read_limited(&path, RECORDING_OCTETS_MAX)?;
            Recording::parse(link.network, octets)
                .map_err(|source| LabError::Capture { path: path.clone(), source })
        };
        let marker = link.network.address(MARKER).v4;
        let count = |recording: &Recording| questions(recording, marker);
        let before = count(&parse()?);
        neighbour(namespace, "replace", marker, link.interface)
            // A neighbour whose state is `probe` is asked whether it is still there.
            .args(["lladdr", "02:00:00:00:00:fe", "nud", "probe"])
            .run()?;
        let start = Instant::now();
        let recording = loop {
            let recording = parse()?;
            if count(&recording) > before {
                break recording;
            }
            if start.elapsed() > FENCE_TIME_MAX {
                return Err(LabError::NotReady {
                    what: format!("tcpdump records nothing on {}", link.network.name()),
                    seconds: FENCE_TIME_MAX.as_secs(),
                    log: directory.log(&format!("tcpdump-{}", link.network.name())),
                });
            }
            std::thread::sleep(FENCE_INTERVAL);
        };
        // Not asked again, lest a later reading take the question for its own. The kernel may have
        // forgotten the neighbour by itself.
        let _ = neighbour(namespace, "delete", marker, link.interface).run();
        recordings.push(recording);
    }
    Ok(recordings)
}

/// The number that no host has.
const MARKER: u8 = 254;

/// A change to what the kernel knows of a neighbour.
fn neighbour(namespace: &Namespace, verb: &str, address: Ipv4Addr, interface: &str) -> Program {
    let program = namespace.program("ip").args(["neighbour", verb, &address.to_string()]);
    program.args(["dev", interface])
}

/// How often a recording holds the question for an address.
fn questions(recording: &Recording, address: Ipv4Addr) -> usize {
    recording.frames().filter(|frame| frame.asks_for(address)).count()
}

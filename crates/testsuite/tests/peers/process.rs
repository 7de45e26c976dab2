//! A foreign server as a child process, on a port of loopback.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where all of this happens.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How long a server may take until it accepts connections: a broker takes some, beside other tests.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A server that is ended with the test.
pub(crate) struct Server(Child);

impl Server {
    /// Starts a server that stays in the foreground, and waits until the port is open.
    pub(crate) async fn start(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = Self(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")));
        let begun = Instant::now();
        while tokio::net::TcpStream::connect((LOOPBACK, port)).await.is_err() {
            if let Some(status) = server.0.try_wait().unwrap() {
                let said = std::io::read_to_string(server.0.stderr.take().unwrap()).unwrap();
                panic!("{command:?} ended with {status}: {said}");
            }
            assert!(begun.elapsed() < START_TIME_MAX, "{command:?} does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    /// Starts a server that one connection without a word would hold up, and waits until it says into
    /// this file that it listens.
    pub(crate) fn start_unasked(mut command: Command, log: &std::path::Path, words: &str) -> Self {
        command.stdin(Stdio::null());
        let server = Self(crate::stage::spawn(&mut command, log));
        crate::stage::wait_for(log, words);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end, which must be a success.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program of the system administrator's, whose folders are not on everyone's path.
pub(crate) fn program(name: &str) -> Command {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let found = folders.iter().map(|folder| std::path::Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is missing: run `cargo xtask setup`")))
}

/// Lets a program see another time, as libfaketime writes it: `+10m`.
pub(crate) fn skew(command: &mut Command, by: &str) {
    let machines = ["x86_64", "aarch64"];
    let library = |machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1");
    let found = machines.map(library).into_iter().find(|path| std::path::Path::new(path).exists());
    let library =
        found.unwrap_or_else(|| panic!("libfaketime is missing: run `cargo xtask setup`"));
    command.env("FAKETIME", by).env("LD_PRELOAD", library);
}

/// A port of loopback that nobody holds, by TCP and by UDP, and that nobody was given before.
pub(crate) async fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let stream = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = stream.local_addr().unwrap().port();
        if tokio::net::UdpSocket::bind((LOOPBACK, port)).await.is_ok()
            && GIVEN.lock().unwrap().insert(port)
        {
            return port;
        }
    }
}

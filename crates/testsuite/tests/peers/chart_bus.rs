//! The check of the bus, against RabbitMQ with AMQP 1.0, and the listener of Qpid Proton, which is the engine
//! of Apache's own brokers. Those (ActiveMQ, Artemis) are in no archive that the tests take from, or are
//! there without AMQP.

use std::path::{Path, PathBuf};

use portolan_chart::{Role, flow};

use crate::authority::Authority;
use crate::checked::{Checked, limits, said};
use crate::process::{LOOPBACK, Server, free_port, program};

const BUS: &str = "bus.tenant.example";

/// RabbitMQ, and Erlang's port mapper, which it would leave behind.
struct Broker {
    port: u16,
    _server: Server,
    _mapper: Server,
}

impl Broker {
    async fn up(folder: &Path, authority: &Authority) -> Self {
        let (mapper_port, port) = (free_port().await, free_port().await);
        let [certificate, key] = certified(folder, authority);
        let config = format!(
            "listeners.tcp = none\nlisteners.ssl.1 = {LOOPBACK}:{port}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.versions.1 = tlsv1.3\n\
             ssl_options.versions.2 = tlsv1.2\n",
            certificate.display(),
            key.display()
        );
        std::fs::write(folder.join("rabbitmq.conf"), config).unwrap();
        std::fs::write(folder.join("plugins"), "[rabbitmq_amqp1_0].").unwrap();
        let mut mapper = program("epmd");
        mapper.args(["-port", &mapper_port.to_string(), "-address", &LOOPBACK.to_string()]);
        let mapper = Server::start(mapper, mapper_port).await;
        // The program on the path first becomes a user of its own.
        let mut server = std::process::Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        server
            .env("HOME", folder)
            .env("ERL_EPMD_PORT", mapper_port.to_string())
            .env("RABBITMQ_NODENAME", format!("check{port}@localhost"))
            .env("RABBITMQ_DIST_PORT", free_port().await.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            // As under a service manager, the broker takes the place of its script, which would leave it
            // behind when it is killed.
            .env("NOTIFY_SOCKET", folder.join("nobody"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"));
        let server = Server::start(server, port).await;
        Self { port, _server: server, _mapper: mapper }
    }
}

/// What the check says of a bus on this port.
async fn check(port: u16, authority: &Authority) -> String {
    let ports = [(flow::HEALTH_TENANT_BUS, port), (flow::CONNECT_TENANT_CRL, authority.port)];
    let checked = Checked {
        edition: "2017-02-15",
        flow: flow::HEALTH_TENANT_BUS,
        to: Role::Tenant,
        host: BUS,
        ports: &ports,
        trusted: vec![authority.der()],
        limits: limits(),
        idle: false,
    };
    said(&checked.outcome().await)
}

/// Writes a certificate for the bus, and its key.
fn certified(folder: &Path, authority: &Authority) -> [PathBuf; 2] {
    let issued = authority.issue(BUS);
    let files = [folder.join("bus.pem"), folder.join("bus.key")];
    std::fs::write(&files[0], issued.certificate).unwrap();
    std::fs::write(&files[1], issued.key).unwrap();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_the_bus_with_its_plug_in_for_amqp_1_0() {
    let authority = Authority::up().await;
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::up(folder.path(), &authority).await;
    let found = check(broker.port, &authority).await;
    assert!(found.starts_with("open: "), "{found}");
    assert!(found.contains("AMQP 1.0, SASL "), "{found}");
    assert!(found.contains("PLAIN"), "{found}");
    assert!(found.contains("issued by CN=Forest CA"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn qpid_proton_s_listener_is_a_bus_that_still_speaks_old_versions_of_tls() {
    let authority = Authority::up().await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().await;
    // Debian's binding is built for Debian's interpreter.
    let mut listener = program("python3");
    listener.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/amqp_listener.py"));
    listener.arg(format!("{LOOPBACK}:{port}")).args(certified(folder.path(), &authority));
    let _listener = Server::start(listener, port).await;
    let found = check(port, &authority).await;
    // As it comes it switches them on, whatever the machine's OpenSSL is configured to.
    let weak = "faulty: weak: it still speaks TLS 1.1 and TLS 1.0 [";
    assert!(found.starts_with(weak), "{found}");
    assert!(found.contains("AMQP 1.0, SASL "), "{found}");
    assert!(found.contains("ANONYMOUS"), "{found}");
    assert!(found.contains("issued by CN=Forest CA"), "{found}");
}

//! The check of the bus, against RabbitMQ with AMQP 1.0.

use std::path::Path;

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
        let issued = authority.issue(BUS);
        let (certificate, key) = (folder.join("bus.pem"), folder.join("bus.key"));
        std::fs::write(&certificate, issued.certificate).unwrap();
        std::fs::write(&key, issued.key).unwrap();
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

    async fn check(&self, authority: &Authority) -> String {
        let ports =
            [(flow::HEALTH_TENANT_BUS, self.port), (flow::CONNECT_TENANT_CRL, authority.port)];
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
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_the_bus_with_its_plug_in_for_amqp_1_0() {
    let authority = Authority::up().await;
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::up(folder.path(), &authority).await;
    let found = broker.check(&authority).await;
    assert!(found.starts_with("open: "), "{found}");
    assert!(found.contains("AMQP 1.0, SASL "), "{found}");
    assert!(found.contains("PLAIN"), "{found}");
    assert!(found.contains("issued by CN=Forest CA"), "{found}");
}

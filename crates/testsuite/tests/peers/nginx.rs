//! nginx with as many sites as a test wants, each on a port of its own.

use std::fmt::Write as _;
use std::path::Path;

use crate::authority::Issued;
use crate::process::{LOOPBACK, Server, free_port, program};

/// A site: what stands in its server block beside the port, and its certificate.
pub(crate) struct Site {
    pub(crate) port: u16,
    block: String,
}

impl Site {
    /// One inside TLS, with more directives.
    pub(crate) async fn tls(folder: &Path, issued: &Issued, directives: &str) -> Self {
        let port = free_port().await;
        let (certificate, key) =
            (folder.join(format!("{port}.pem")), folder.join(format!("{port}.key")));
        std::fs::write(&certificate, &issued.certificate).unwrap();
        std::fs::write(&key, &issued.key).unwrap();
        // This version's own default ends at 1.2.
        let versions = match directives.contains("ssl_protocols") {
            true => "",
            false => "ssl_protocols TLSv1.2 TLSv1.3;",
        };
        let block = format!(
            "listen {LOOPBACK}:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
             {versions}\n{directives}",
            certificate.display(),
            key.display()
        );
        Self { port, block }
    }

    /// One in clear.
    pub(crate) async fn clear(directives: &str) -> Self {
        let port = free_port().await;
        Self { port, block: format!("listen {LOOPBACK}:{port};\n{directives}") }
    }
}

/// Serves them until it is dropped.
pub(crate) async fn serve(folder: &Path, sites: &[&Site]) -> Server {
    let mut config = String::from(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n\
         access_log off;\n",
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(config, "{kind}_temp_path {kind};");
    }
    for site in sites {
        let _ = writeln!(config, "server {{\n{}\nroot {};\n}}", site.block, folder.display());
    }
    config.push('}');
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = program("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(&file).args(["-e", "stderr"]);
    let last = sites.last().unwrap();
    Server::start(command, last.port).await
}

//! One exchange with a KDC ([RFC 4120 section 7.2.2]), by TCP alone.
//!
//! A KDC's refusal is not authenticated, and one of the account is remembered for good. A datagram is
//! forged by anybody who guesses a port and an address, a stream only by whoever is on the path.
//!
//! [RFC 4120 section 7.2.2]: https://www.rfc-editor.org/rfc/rfc4120#section-7.2.2

use std::io;
use std::time::Duration;

use portolan_chart::flow;
use portolan_model::DnsName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::KerberosError;
use crate::network::{Connection, DialError, Fault, Network, within};

/// Octets of an answer.
const REPLY_OCTETS_MAX: usize = 1024 * 1024;
/// How long a KDC may take for one answer.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);

/// A domain controller's KDC.
pub(super) struct Kdc {
    network: Network,
    host: DnsName,
}

impl Kdc {
    pub(super) const fn new(network: Network, host: DnsName) -> Self {
        Self { network, host }
    }

    pub(super) const fn host(&self) -> &DnsName {
        &self.host
    }

    /// The answer to a request, both without a length. A request is sent once: it may carry a proof of
    /// the password, and each failed one counts towards the account's lockout.
    pub(super) async fn ask(&self, request: &[u8]) -> Result<Vec<u8>, KerberosError> {
        let connection = self.network.dial(flow::CONNECT_AD_KERBEROS, &self.host).await?;
        let link = connection.link.clone();
        let fault = match within(REPLY_TIME_MAX, converse(connection, request)).await {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => Fault::ReplyTooLong,
            Err(fault) => fault,
        };
        Err(DialError { link, fault }.into())
    }
}

/// Both messages with four octets of length before them; nothing when the answer is too long.
async fn converse(connection: Connection, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut stream = connection.stream;
    let length = u32::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > REPLY_OCTETS_MAX {
        return Ok(None);
    }
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).await?;
    Ok(Some(reply))
}

//! One exchange with a KDC ([RFC 4120 section 7.2]): by UDP first, by TCP when the answer is too long
//! or UDP fails.
//!
//! [RFC 4120 section 7.2]: https://www.rfc-editor.org/rfc/rfc4120#section-7.2

use std::io;
use std::time::Duration;

use portolan_chart::flow;
use portolan_gss::krb_error::{ErrorCode, KrbError, is_error};
use portolan_model::DnsName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::KerberosError;
use crate::network::{Connection, DatagramLimits, DialError, Fault, Network, within};

/// Requests above this go by TCP at once: a longer datagram would be fragmented on most networks.
const DATAGRAM_OCTETS_MAX: usize = 1400;
/// Octets of an answer by TCP.
const REPLY_OCTETS_MAX: usize = 1024 * 1024;
/// How long a KDC may take for one answer.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// A question is asked by UDP once: it may carry a proof of the password, and each failed one counts
/// towards the account's lockout.
const DATAGRAM: DatagramLimits = DatagramLimits {
    attempt_time_max: Duration::from_secs(1),
    attempts_max: 1,
    reply_octets_max: u16::MAX as usize,
};

/// A domain controller's KDC, and what was learnt of the way to it.
pub(super) struct Kdc {
    network: Network,
    host: DnsName,
    datagrams: bool,
}

impl Kdc {
    pub(super) const fn new(network: Network, host: DnsName) -> Self {
        Self { network, host, datagrams: true }
    }

    pub(super) const fn host(&self) -> &DnsName {
        &self.host
    }

    /// The answer to a request, both without a length.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, KerberosError> {
        if self.datagrams && request.len() <= DATAGRAM_OCTETS_MAX {
            match self.by_datagram(request).await {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(error) => {
                    // It is not tried again: each trial costs its time-out.
                    self.datagrams = false;
                    tracing::debug!(%error, "Asking the KDC by TCP instead");
                }
            }
        }
        self.by_stream(request).await
    }

    /// Nothing when the answer is too long for a datagram, or when the KDC failed.
    async fn by_datagram(&self, request: &[u8]) -> Result<Option<Vec<u8>>, DialError> {
        let flow = flow::CONNECT_AD_KERBEROS;
        let reply = self.network.exchange(flow, &self.host, request, DATAGRAM).await?;
        let over = is_error(&reply)
            && KrbError::decode(&reply).is_ok_and(|error| goes_by_stream(error.code));
        Ok((!over).then_some(reply))
    }

    async fn by_stream(&self, request: &[u8]) -> Result<Vec<u8>, KerberosError> {
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

/// Whether an error by UDP is answered by asking again by TCP. Samba's KDC says of some answers at the
/// limit of a datagram that it failed ("Reply packet too large", as KRB_ERR_GENERIC). Neither error judged the
/// password, so nothing counts towards a lockout.
fn goes_by_stream(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ResponseTooBig | ErrorCode::Generic)
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

//! The bind operation ([RFC 4511] section 4.2).
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.2

use portolan_codec::{DecodeError, Fault};
use portolan_model::SecretString;

use super::result::LdapResult;
use crate::ber::{Decoder, Encoder, Tag, utf8};

/// The one version this speaks.
const VERSION: i64 = 3;
const SIMPLE: Tag = Tag::context(0);
const SASL: Tag = Tag::context_constructed(3);
const SERVER_SASL_CREDENTIALS: Tag = Tag::context(7);

/// BindRequest.
#[derive(Debug, Clone)]
pub struct BindRequest {
    /// The name to bind as; empty with SASL, where the mechanism names the account.
    pub name: String,
    /// How the name is proven.
    pub authentication: Authentication,
}

/// AuthenticationChoice.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// A password in clear: only ever sent under TLS.
    Simple(
        /// The password.
        SecretString,
    ),
    /// One step of a SASL exchange.
    Sasl {
        /// The mechanism, such as `GSSAPI`.
        mechanism: String,
        /// The token of this step.
        credentials: Option<Vec<u8>>,
    },
}

impl BindRequest {
    /// A simple bind.
    #[must_use]
    pub fn simple(name: impl Into<String>, password: SecretString) -> Self {
        Self { name: name.into(), authentication: Authentication::Simple(password) }
    }

    /// A step of a SASL exchange.
    #[must_use]
    pub fn sasl(mechanism: impl Into<String>, credentials: Option<Vec<u8>>) -> Self {
        let mechanism = mechanism.into();
        Self {
            name: String::new(),
            authentication: Authentication::Sasl { mechanism, credentials },
        }
    }

    /// Octets that encoding takes at most, headers aside.
    pub(crate) fn octets_hint(&self) -> usize {
        let credentials = match &self.authentication {
            Authentication::Simple(password) => password.expose().len(),
            Authentication::Sasl { mechanism, credentials } => {
                mechanism.len() + credentials.as_ref().map_or(0, Vec::len)
            }
        };
        self.name.len() + credentials
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.integer(Tag::INTEGER, VERSION);
        encoder.text(&self.name);
        match &self.authentication {
            Authentication::Simple(password) => {
                encoder.primitive(SIMPLE, password.expose().as_bytes());
            }
            Authentication::Sasl { mechanism, credentials } => encoder.constructed(SASL, |sasl| {
                sasl.text(mechanism);
                if let Some(credentials) = credentials {
                    sasl.octets(credentials);
                }
            }),
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        decoder.integer(VERSION..=VERSION, "version")?;
        let name = decoder.text("name")?.to_owned();
        let authentication = match decoder.peek() {
            Some(SIMPLE) => {
                let offset = decoder.offset();
                let password = decoder.primitive(SIMPLE, "simple")?;
                let password = utf8(password, offset, "simple")?.to_owned();
                Authentication::Simple(SecretString::new(password))
            }
            Some(SASL) => {
                let mut sasl = decoder.constructed(SASL, "sasl")?;
                let mechanism = sasl.text("mechanism")?.to_owned();
                let credentials = sasl.optional(Tag::OCTET_STRING, "credentials")?;
                sasl.skip_extensions("sasl")?;
                Authentication::Sasl { mechanism, credentials: credentials.map(<[u8]>::to_vec) }
            }
            found => {
                let expected = "simple or sasl";
                let found = found.map_or(0, |tag| tag.octet().into());
                return Err(decoder.fault("authentication", Fault::Unexpected { expected, found }));
            }
        };
        Ok(Self { name, authentication })
    }
}

/// BindResponse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindResponse {
    /// Success, `saslBindInProgress` or the refusal.
    pub result: LdapResult,
    /// The server's token of this step.
    pub server_sasl_credentials: Option<Vec<u8>>,
}

impl BindResponse {
    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        self.result.encode(encoder);
        if let Some(credentials) = &self.server_sasl_credentials {
            encoder.primitive(SERVER_SASL_CREDENTIALS, credentials);
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let result = LdapResult::decode(decoder)?;
        let credentials = decoder.optional(SERVER_SASL_CREDENTIALS, "serverSaslCreds")?;
        Ok(Self { result, server_sasl_credentials: credentials.map(<[u8]>::to_vec) })
    }
}

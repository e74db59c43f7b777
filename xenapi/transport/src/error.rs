//! Why a request got no response.

use crate::Fingerprint;

/// Why a request got no response, or a response broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The host could not be reached; nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The host's certificate is not trusted; nothing was sent.
    #[error(transparent)]
    Untrusted(Box<UntrustedCertificate>),
    /// The connection broke after something was sent: the server may have acted.
    #[error("{0}")]
    Broken(String),
}

/// A certificate that the connection's trust does not cover.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificate of {host} is not trusted ({reason}); its SHA-256 fingerprint is {fingerprint}: compare it \
         with the host's and pin it"
)]
pub struct UntrustedCertificate {
    pub(crate) host: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) reason: String,
}

impl UntrustedCertificate {
    /// The host, with its port where that is not 443.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What to pin, once it is known to be the host's.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Why a connection cannot be set up as it is described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

//! The self-signed certificate of a host.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::BuildError;

/// A certificate, its key, and what clients pin.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    config: Arc<ServerConfig>,
    fingerprint: String,
    pem: String,
}

impl Certificate {
    /// Makes one for these names.
    pub(crate) fn generate(names: &[String]) -> Result<Self, BuildError> {
        let pair = rcgen::generate_simple_self_signed(names.to_vec()).map_err(BuildError::certificate)?;
        let pem = pair.cert.pem();
        let der = CertificateDer::from(pair.cert);
        let digest = ring::digest::digest(&ring::digest::SHA256, &der);
        let hex: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).map_err(BuildError::certificate)?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BuildError::certificate)?
            .with_no_client_auth()
            .with_single_cert(vec![der], key)
            .map_err(BuildError::certificate)?;
        Ok(Self {
            config: Arc::new(config),
            fingerprint: hex.join(":"),
            pem,
        })
    }

    /// SHA-256 of the certificate: 32 lower-case hexadecimal bytes with colons between them.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate as `host.get_server_certificate` answers.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

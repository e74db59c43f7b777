//! Which server certificates are accepted.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{Error, public_key};

/// Which server is the right one.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    is_pinned: bool,
}

impl Trust {
    /// Exactly the certificate in `pem` (of several, any), as `VDI.get_nbd_info` gives it. Neither its name nor its
    /// dates matter then.
    ///
    /// # Errors
    /// Where `pem` holds no certificate.
    pub fn pinned(pem: &str) -> Result<Self, Error> {
        let purpose = "a pin";
        let pins = certificates(pem, purpose)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Pinned {
            pins,
            provider: provider.clone(),
        };
        Self::new(provider, Arc::new(verifier), true, purpose)
    }

    /// Certificates that the authorities in `pem` signed, for the name by which the server is connected to or which is
    /// [given](super::Target::server_name).
    ///
    /// # Errors
    /// Where `pem` holds no certificate that can sign others.
    pub fn authorities(pem: &str) -> Result<Self, Error> {
        let purpose = "an authority";
        let bad = |error: &dyn fmt::Display| Error::BadCertificate {
            purpose,
            reason: error.to_string(),
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, purpose)? {
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = verifier.build().map_err(|error| bad(&error))?;
        Self::new(provider, verifier, false, purpose)
    }

    fn new(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
        is_pinned: bool,
        purpose: &'static str,
    ) -> Result<Self, Error> {
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::BadCertificate {
                purpose,
                reason: error.to_string(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let config = Arc::new(config);
        Ok(Self { config, is_pinned })
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.is_pinned
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_pinned {
            "Trust(pinned)"
        } else {
            "Trust(authorities)"
        })
    }
}

fn certificates(pem: &str, purpose: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bad = |reason: String| Error::BadCertificate { purpose, reason };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| bad(format!("{error:?}")))?;
    match found.is_empty() {
        true => Err(bad("there is none in the PEM text".to_owned())),
        false => Ok(found),
    }
}

/// Accepts what it knows.
#[derive(Debug)]
struct Pinned {
    pins: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    /// Old hosts have certificates of X.509 version 1, which webpki does not parse. The handshake must be signed with
    /// their key all the same: anybody can show a copy of one.
    fn verify_old(
        &self,
        error: rustls::Error,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::BadEncoding) => {
                let algorithms = &self.provider.signature_verification_algorithms;
                public_key::verify(message, certificate, signature, algorithms)
                    .map(|()| HandshakeSignatureValid::assertion())
            }
            error => Err(error),
        }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.pins.iter().any(|pin| pin == shown) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
            .or_else(|error| self.verify_old(error, message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
            .or_else(|error| self.verify_old(error, message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

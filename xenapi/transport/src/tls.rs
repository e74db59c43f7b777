//! The certificate verifier behind [`Trust`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

use super::endpoint::Endpoint;
use super::rule::{Rule, Shown};
use super::{Fingerprint, Trust, public_key};
use crate::{ConfigError, UntrustedCertificate};

impl Fingerprint {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

/// Which certificates are accepted.
#[derive(Debug)]
pub(super) struct Certificates {
    rule: Rule,
    /// By host without a port: a pool's hosts vouch for each other by address.
    vouched: RwLock<HashMap<String, HashSet<Fingerprint>>>,
    provider: Arc<CryptoProvider>,
}

impl Certificates {
    /// `host` is the one whose certificate a pin was taken from.
    pub(super) fn new(trust: &Trust, host: &str) -> Result<Self, ConfigError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(Self {
            rule: Rule::new(trust, host, &provider)?,
            vouched: RwLock::default(),
            provider,
        })
    }

    /// The configuration of connections to this port: rustls tells a verifier the host, but not the port.
    pub(super) fn configure(self: &Arc<Self>, port: u16) -> Result<ClientConfig, ConfigError> {
        let verifier = Verifier {
            certificates: self.clone(),
            port,
        };
        Ok(ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }

    /// Accepts this certificate from this host from now on.
    pub(super) fn vouch(&self, host: &str, fingerprint: Fingerprint) {
        let Some(endpoint) = Endpoint::parse(host) else {
            return;
        };
        let mut vouched = self.vouched.write().unwrap_or_else(|poison| poison.into_inner());
        vouched
            .entry(endpoint.host().to_owned())
            .or_default()
            .insert(fingerprint);
    }

    fn is_vouched(&self, endpoint: &Endpoint, fingerprint: Fingerprint) -> bool {
        let vouched = self.vouched.read().unwrap_or_else(|poison| poison.into_inner());
        vouched
            .get(endpoint.host())
            .is_some_and(|known| known.contains(&fingerprint))
    }
}

/// What rustls asks at each handshake.
#[derive(Debug)]
struct Verifier {
    certificates: Arc<Certificates>,
    port: u16,
}

impl Verifier {
    /// The second way for certificates whose version webpki refuses; any other error stands.
    fn verify_old(
        &self,
        error: rustls::Error,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::BadEncoding) => {
                let algorithms = &self.certificates.provider.signature_verification_algorithms;
                public_key::verify(message, certificate, signature, algorithms)
                    .map(|()| HandshakeSignatureValid::assertion())
            }
            error => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let endpoint = Endpoint::parse(&name.to_str())
            .ok_or(rustls::Error::UnsupportedNameType)?
            .at(self.port);
        let shown = Shown {
            certificate,
            intermediates,
            fingerprint: Fingerprint::of(certificate),
        };
        if self.certificates.is_vouched(&endpoint, shown.fingerprint) {
            return Ok(ServerCertVerified::assertion());
        }
        self.certificates
            .rule
            .judge(shown, name, &endpoint, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|reason| {
                let refusal = UntrustedCertificate {
                    host: endpoint.to_string(),
                    fingerprint: shown.fingerprint,
                    reason,
                };
                CertificateError::Other(OtherError(Arc::new(refusal))).into()
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.certificates.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
            .or_else(|error| self.verify_old(error, message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.certificates.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
            .or_else(|error| self.verify_old(error, message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.certificates
            .provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The refusal in what rustls made of it, however deeply I/O errors wrap that.
pub(super) fn refusal<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a UntrustedCertificate> {
    if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(refusal)))) = error.downcast_ref()
    {
        return refusal.downcast_ref();
    }
    // An I/O error names as its source not what it wraps, but the source of that.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(|error| error.get_ref())
        .and_then(|wrapped| refusal(wrapped));
    wrapped.or_else(|| error.source().and_then(refusal))
}

#[cfg(test)]
mod tests;

//! The certificate verifier behind [`Trust`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::known_hosts::{KnownHosts, Meeting};
use super::{Fingerprint, Trust, public_key};
use crate::{Error, UntrustedCertificate};

/// What certificates are accepted, and what was refused last.
#[derive(Debug)]
pub(super) struct Verifier {
    rule: Rule,
    vouched: RwLock<HashMap<String, HashSet<Fingerprint>>>,
    refused: RwLock<HashMap<String, UntrustedCertificate>>,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Rule {
    Authorities(Arc<dyn ServerCertVerifier>, RootCertStore),
    Pin { host: String, pin: Fingerprint },
    OnFirstUse(KnownHosts),
    Any,
}

impl Fingerprint {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

/// A verifier and the configuration that uses it; a pin counts for `host` only.
pub(super) fn configure(trust: &Trust, host: &str) -> Result<(Arc<Verifier>, ClientConfig), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier {
        rule: Rule::new(trust, host, &provider)?,
        vouched: RwLock::default(),
        refused: RwLock::default(),
        algorithms: provider.signature_verification_algorithms,
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    Ok((verifier, config))
}

impl Rule {
    fn new(trust: &Trust, host: &str, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        Ok(match trust {
            Trust::System => {
                let verifier = rustls_platform_verifier::Verifier::new(provider.clone())
                    .map_err(|error| Error::config(format!("the system's certificates cannot be used: {error}")))?;
                Self::Authorities(Arc::new(verifier), RootCertStore::empty())
            }
            Trust::CaPem(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate =
                        certificate.map_err(|error| Error::config(format!("the CA file is no PEM: {error:?}")))?;
                    roots
                        .add(certificate)
                        .map_err(|error| Error::config(format!("a CA certificate cannot be used: {error}")))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider.clone())
                    .build()
                    .map_err(|error| Error::config(format!("the CA file holds no usable certificate: {error}")))?;
                Self::Authorities(verifier, roots)
            }
            Trust::Pin(pin) => Self::Pin {
                host: host.to_owned(),
                pin: *pin,
            },
            Trust::OnFirstUse(path) => Self::OnFirstUse(KnownHosts::open(path).map_err(Error::config)?),
            Trust::DangerAcceptAny => Self::Any,
        })
    }
}

impl Verifier {
    /// Accepts this certificate from this host from now on.
    pub(super) fn vouch(&self, host: &str, fingerprint: Fingerprint) {
        let mut vouched = self.vouched.write().unwrap_or_else(|poison| poison.into_inner());
        vouched.entry(bare(host).to_owned()).or_default().insert(fingerprint);
    }

    /// What was refused from this host last, to explain a connection that failed.
    pub(super) fn refused(&self, host: &str) -> Option<UntrustedCertificate> {
        let refused = self.refused.read().unwrap_or_else(|poison| poison.into_inner());
        refused.get(bare(host)).cloned()
    }

    fn is_vouched(&self, host: &str, fingerprint: Fingerprint) -> bool {
        let vouched = self.vouched.read().unwrap_or_else(|poison| poison.into_inner());
        vouched.get(host).is_some_and(|known| known.contains(&fingerprint))
    }

    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        host: &str,
        shown: Fingerprint,
        now: UnixTime,
    ) -> Result<(), String> {
        if self.is_vouched(host, shown) {
            return Ok(());
        }
        match &self.rule {
            Rule::Authorities(verifier, roots) => {
                match verifier.verify_server_cert(certificate, intermediates, name, &[], now) {
                    Ok(_) => Ok(()),
                    Err(error) => is_own_authority(&error, certificate, roots, name)
                        .then_some(())
                        .ok_or_else(|| error.to_string()),
                }
            }
            Rule::Pin { pin, .. } if *pin == shown => Ok(()),
            Rule::Pin { host: pinned, pin } if pinned == host => Err(format!("the pinned one is {pin}")),
            Rule::Pin { host: pinned, .. } => Err(format!("only {pinned} is pinned")),
            Rule::OnFirstUse(hosts) => match hosts.meet(host, shown) {
                Meeting::Known => Ok(()),
                Meeting::Changed(known) => Err(format!("at first use it showed {known}")),
                Meeting::Unwritable(error) => Err(format!("it cannot be remembered: {error}")),
            },
            Rule::Any => Ok(()),
        }
    }
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
                public_key::verify(message, certificate, signature, &self.algorithms)
                    .map(|()| HandshakeSignatureValid::assertion())
            }
            error => Err(error),
        }
    }
}

/// Old hosts make certificates that are authority and server in one, which webpki refuses as a server's.
fn is_own_authority(
    error: &rustls::Error,
    certificate: &CertificateDer<'_>,
    roots: &RootCertStore,
    name: &ServerName<'_>,
) -> bool {
    let used_as_end_entity = matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(_)));
    let is_root = || {
        webpki_subject(certificate).is_some_and(|(subject, key)| {
            roots
                .roots
                .iter()
                .any(|root| root.subject.as_ref() == subject && root.subject_public_key_info.as_ref() == key)
        })
    };
    let names_host =
        || ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok());
    used_as_end_entity && is_root() && names_host()
}

/// Subject and key of a certificate in the form in which a root store keeps them.
fn webpki_subject(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut own = RootCertStore::empty();
    own.add(certificate.clone().into_owned()).ok()?;
    let root = own.roots.first()?;
    Some((root.subject.to_vec(), root.subject_public_key_info.to_vec()))
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
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
        let host = name.to_str().into_owned();
        let shown = Fingerprint::of(certificate);
        self.refused
            .write()
            .unwrap_or_else(|poison| poison.into_inner())
            .remove(&host);
        self.judge(certificate, intermediates, name, &host, shown, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|reason| {
                let refusal = UntrustedCertificate {
                    host: host.clone(),
                    fingerprint: shown,
                    reason,
                };
                self.refused
                    .write()
                    .unwrap_or_else(|poison| poison.into_inner())
                    .insert(host, refusal);
                rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
            .or_else(|error| self.verify_old(error, message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
            .or_else(|error| self.verify_old(error, message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

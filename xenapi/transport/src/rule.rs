//! What each kind of [`Trust`] accepts.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};

use super::endpoint::Endpoint;
use super::known_hosts::KnownHosts;
use super::{Fingerprint, Trust};
use crate::ConfigError;

#[derive(Debug)]
pub(super) enum Rule {
    Authorities(Arc<dyn ServerCertVerifier>, RootCertStore),
    Pin { host: String, pin: Fingerprint },
    OnFirstUse(KnownHosts),
    Any,
}

/// A certificate as a host shows it.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) fingerprint: Fingerprint,
}

impl Rule {
    /// `host` is the one whose certificate a pin was taken from.
    pub(super) fn new(trust: &Trust, host: &str, provider: &Arc<CryptoProvider>) -> Result<Self, ConfigError> {
        Ok(match trust {
            Trust::System => {
                let verifier = rustls_platform_verifier::Verifier::new(provider.clone())
                    .map_err(|error| ConfigError(format!("the system's certificates cannot be used: {error}")))?;
                Self::Authorities(Arc::new(verifier), RootCertStore::empty())
            }
            Trust::CaPem(pem) => Self::authorities(pem, provider)?,
            Trust::Pin(pin) => Self::Pin {
                host: Endpoint::parse(host).map_or_else(|| host.to_owned(), |endpoint| endpoint.host().to_owned()),
                pin: *pin,
            },
            Trust::OnFirstUse(path) => {
                let known = KnownHosts::open(path).map_err(|error| ConfigError(error.to_string()))?;
                Self::OnFirstUse(known)
            }
            Trust::DangerAcceptAny => Self::Any,
        })
    }

    fn authorities(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| ConfigError(format!("the CA file is no PEM: {error:?}")))?;
            roots
                .add(certificate)
                .map_err(|error| ConfigError(format!("a CA certificate cannot be used: {error}")))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider.clone())
            .build()
            .map_err(|error| ConfigError(format!("the CA file holds no usable certificate: {error}")))?;
        Ok(Self::Authorities(verifier, roots))
    }

    /// The error says why not, in words for a person.
    pub(super) fn judge(
        &self,
        shown: Shown<'_>,
        name: &ServerName<'_>,
        endpoint: &Endpoint,
        now: UnixTime,
    ) -> Result<(), String> {
        match self {
            Self::Authorities(verifier, roots) => {
                match verifier.verify_server_cert(shown.certificate, shown.intermediates, name, &[], now) {
                    Ok(_) => Ok(()),
                    Err(error) => is_own_authority(&error, shown.certificate, roots, name)
                        .then_some(())
                        .ok_or_else(|| error.to_string()),
                }
            }
            Self::Pin { pin, .. } if *pin == shown.fingerprint => Ok(()),
            Self::Pin { host, pin } if host == endpoint.host() => Err(format!("the pinned one is {pin}")),
            Self::Pin { host, .. } => Err(format!("only {host} is pinned")),
            Self::OnFirstUse(hosts) => hosts
                .meet(endpoint, shown.fingerprint)
                .map_err(|error| error.to_string()),
            Self::Any => Ok(()),
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

//! The self-signed certificate of a host.

use std::net::IpAddr;
use std::sync::Arc;

use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use xenapi::{DateTime, ToValue, Value};

use crate::BuildError;

/// Year, month and day.
type Date = (i32, u8, u8);

/// From when to when the certificates are valid.
const FROM: Date = (2020, 1, 1);
const UNTIL: Date = (2050, 1, 1);

/// A certificate, its key, and what clients pin.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    config: Arc<ServerConfig>,
    fingerprint: String,
    fingerprint_sha1: String,
    pem: String,
    subject: String,
}

impl Certificate {
    /// Makes one for these names and addresses; those that cannot stand in one are left out.
    pub(crate) fn generate(mut names: Vec<String>) -> Result<Self, BuildError> {
        names.retain(|name| is_address(name) || is_host_name(name));
        let subject = names.iter().find(|name| !is_address(name)).cloned().unwrap_or_default();
        let mut params = rcgen::CertificateParams::new(names).map_err(BuildError::certificate)?;
        params.not_before = rcgen::date_time_ymd(FROM.0, FROM.1, FROM.2);
        params.not_after = rcgen::date_time_ymd(UNTIL.0, UNTIL.1, UNTIL.2);
        let key = rcgen::KeyPair::generate().map_err(BuildError::certificate)?;
        let certificate = params.self_signed(&key).map_err(BuildError::certificate)?;
        let pem = certificate.pem();
        let der = CertificateDer::from(certificate);
        let fingerprint = fingerprint_of(&SHA256, &der);
        let fingerprint_sha1 = fingerprint_of(&SHA1_FOR_LEGACY_USE_ONLY, &der);
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(BuildError::certificate)?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BuildError::certificate)?
            .with_no_client_auth()
            .with_single_cert(vec![der], key)
            .map_err(BuildError::certificate)?;
        Ok(Self {
            config: Arc::new(config),
            fingerprint,
            fingerprint_sha1,
            pem,
            subject,
        })
    }

    /// SHA-256 of the certificate: 32 lower-case hexadecimal bytes with colons between them.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The fields of the object in the database that stands for it.
    pub(crate) fn fields(&self, host: &str) -> Vec<(&'static str, Value)> {
        let date = |(year, month, day): Date| {
            format!("{year:04}{month:02}{day:02}T00:00:00Z")
                .parse()
                .map_or(Value::DateTime(DateTime::NEVER), Value::DateTime)
        };
        vec![
            ("type", "host".to_value()),
            ("host", host.to_value()),
            ("not_before", date(FROM)),
            ("not_after", date(UNTIL)),
            ("fingerprint", self.fingerprint.to_value()),
            ("fingerprint_sha256", self.fingerprint.to_value()),
            ("fingerprint_sha1", self.fingerprint_sha1.to_value()),
        ]
    }

    /// The certificate as `host.get_server_certificate` answers.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The first name in it that is no address.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn is_host_name(name: &str) -> bool {
    name.len() < 254
        && name.split('.').all(|label| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..64).contains(&label.len()) && label.bytes().all(is_plain)
        })
}

/// The digest of a certificate: lower-case hexadecimal bytes with colons between them.
fn fingerprint_of(algorithm: &'static Algorithm, der: &[u8]) -> String {
    let digest = digest(algorithm, der);
    let bytes: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_are_left_out() {
        let named = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            Certificate::generate(names).unwrap().subject().to_owned()
        };
        assert_eq!(
            named(&["10.0.0.1", "fd00::1", "xen-1.example.org", "localhost"]),
            "xen-1.example.org"
        );
        assert_eq!(named(&["", "a..b", "müller", "two words", "localhost"]), "localhost");
        assert_eq!(named(&["10.0.0.1"]), "");
    }
}

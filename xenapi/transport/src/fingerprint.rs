//! SHA-256 fingerprints of certificates.

use std::fmt;
use std::str::FromStr;

/// The SHA-256 fingerprint of a certificate (of its DER form), as `openssl x509 -fingerprint -sha256` prints it.
///
/// ```
/// use xenapi_transport::Fingerprint;
///
/// let pin: Fingerprint = "3F9A0011223344556677 8899aabbccddeeff00112233445566778899aabbccdd".replace(' ', "").parse()?;
/// assert!(pin.to_string().starts_with("3f:9a:00:11:"));
/// # Ok::<(), xenapi_transport::FingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of the first certificate in a PEM text; `None` where there is none.
    ///
    /// Needs the feature `http`, for its hash; without it the answer is always `None`.
    pub fn of_pem(pem: &str) -> Option<Self> {
        #[cfg(feature = "http")]
        {
            use rustls::pki_types::{CertificateDer, pem::PemObject};
            CertificateDer::from_pem_slice(pem.as_bytes())
                .ok()
                .map(|certificate| Self::of(&certificate))
        }
        #[cfg(not(feature = "http"))]
        {
            let _ = pem;
            None
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no SHA-256 fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256 fingerprint: expected 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError(String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Takes upper and lower case, with and without colons, and a leading `sha256:` or `SHA256 Fingerprint=`.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let refused = || FingerprintError(text.chars().take(120).collect());
        let digits = text.trim().rsplit_once('=').map_or(text.trim(), |(_, digits)| digits);
        let digits = digits
            .strip_prefix("sha256:")
            .or_else(|| digits.strip_prefix("SHA256:"))
            .unwrap_or(digits);
        let nibbles: Option<Vec<u8>> = digits
            .chars()
            .filter(|&digit| digit != ':')
            .map(|digit| digit.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok()))
            .collect();
        let bytes: Vec<u8> = nibbles
            .filter(|nibbles| nibbles.len() == 64)
            .ok_or_else(refused)?
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        bytes.try_into().map(Self).map_err(|_| refused())
    }
}

//! Handshake signatures of certificates that webpki will not parse.
//!
//! Old hosts made X.509 version 1 certificates. A pin is enough to trust one, but the handshake must still be signed
//! with its key: otherwise anybody could show a copy of it.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, DigitallySignedStruct, Error};

/// Verifies a handshake signature with the certificate's bare public key.
pub(super) fn verify(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let key = PublicKey::of(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    supported
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signature.scheme)
        .flat_map(|(_, algorithms)| algorithms.iter())
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
        .any(|algorithm| {
            algorithm
                .verify_signature(key.bits, message, signature.signature())
                .is_ok()
        })
        .then_some(())
        .ok_or(Error::InvalidCertificate(CertificateError::BadSignature))
}

struct PublicKey<'a> {
    /// The content of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    bits: &'a [u8],
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

impl<'a> PublicKey<'a> {
    /// Walks RFC 5280's Certificate down to subjectPublicKeyInfo.
    fn of(certificate: &'a [u8]) -> Option<Self> {
        let (outer, _) = element(certificate, SEQUENCE)?;
        let (mut fields, _) = element(outer, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            fields = element(fields, VERSION)?.1;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            fields = element(fields, tag)?.1;
        }
        let (info, _) = element(fields, SEQUENCE)?;
        let (algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        let (&unused, bits) = bits.split_first()?;
        (unused == 0).then_some(Self { algorithm, bits })
    }
}

/// The content of the DER element that `der` begins with, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (
                bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)),
                rest,
            )
        }
        _ => return None,
    };
    (found == tag).then_some(())?;
    rest.split_at_checked(length)
}

//! Certificates as servers want them: in a folder.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// An authority, and a server's certificate that it signed.
pub(crate) struct Certificates {
    /// `ca-cert.pem`, `server-cert.pem` and `server-key.pem`, as qemu-nbd and nbdkit look for them.
    pub(crate) folder: TempDir,
    pub(crate) authority: String,
    pub(crate) server: String,
    pub(crate) key: KeyPair,
    pub(crate) server_der: rustls::pki_types::CertificateDer<'static>,
}

/// For a server of this name.
pub(crate) fn certificates(name: &str) -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "tests' authority");
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let server = params.signed_by(&key, &issuer).unwrap();

    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    file("ca-cert.pem", authority.pem());
    file("server-cert.pem", server.pem());
    file("server-key.pem", key.serialize_pem());
    Certificates {
        folder,
        authority: authority.pem(),
        server: server.pem(),
        key,
        server_der: server.der().clone(),
    }
}

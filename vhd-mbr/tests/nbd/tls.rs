//! TLS with real servers.

use vhd_mbr::nbd::{Error, Nbd, Target, Trust};

use crate::certificates::{Certificates, certificates};
use crate::reading::assert_reads;
use crate::servers::{Server, have, image, nbdkit, qemu_nbd_tcp, whole};

fn folder(certificates: &Certificates) -> String {
    certificates.folder.path().to_str().unwrap().to_owned()
}

fn nbdkit_over_tls(certificates: &Certificates, rest: &[&str]) -> Server {
    let folder = format!("--tls-certificates={}", folder(certificates));
    nbdkit(["--tls=require", &folder].into_iter().chain(rest.iter().copied()))
}

#[test]
fn a_pinned_certificate_is_enough() {
    if !have("qemu-nbd") {
        return;
    }
    let image = image(6 << 20, &[(0, 5000), (1 << 20, 4 << 20)]);
    let certificates = certificates("host.example");
    let object = format!(
        "tls-creds-x509,id=tls,endpoint=server,verify-peer=off,dir={}",
        folder(&certificates)
    );
    let args = ["--read-only", "--object", &object, "--tls-creds=tls"];
    let server = qemu_nbd_tcp(&args, image.path());
    let target = server.target("");

    let trust = Trust::pinned(&certificates.server).unwrap();
    let disk = Nbd::connect(&target.clone().trust(trust.clone()).server_name("no name: of any kind")).unwrap();
    assert_reads(&disk, &whole(image.as_file()).unwrap());
    let disk = Nbd::connect(&target.clone().trust_or_plain(trust)).unwrap();
    assert_reads(&disk, &whole(image.as_file()).unwrap());

    let error = Nbd::connect(&target).unwrap_err();
    assert!(matches!(error, Error::TlsRequired), "{error}");
}

#[test]
fn another_certificate_is_refused() {
    if !have("nbdkit") {
        return;
    }
    let own = certificates("localhost");
    let server = nbdkit_over_tls(&own, &["memory", "1M"]);
    let target = server.target("");
    // The same name, but neither the same key nor the same authority.
    let other = certificates("localhost");
    for trust in [
        Trust::pinned(&other.server).unwrap(),
        // Who signed the certificate is not the certificate.
        Trust::pinned(&own.authority).unwrap(),
    ] {
        for target in [
            target.clone().trust(trust.clone()),
            target.clone().trust_or_plain(trust),
        ] {
            let error = Nbd::connect(&target).unwrap_err();
            assert!(matches!(error, Error::WrongCertificate), "{error:?}");
        }
    }
    let error = Nbd::connect(&target.clone().trust(Trust::authorities(&other.authority).unwrap())).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    // One of several pins.
    let both = format!("{}{}", other.server, own.server);
    Nbd::connect(&target.clone().trust(Trust::pinned(&both).unwrap())).unwrap();
}

#[test]
fn an_authority_vouches_for_a_name() {
    if !have("nbdkit") {
        return;
    }
    let image = image(3 << 20, &[(5000, 1 << 20)]);
    let certificates = certificates("host.example");
    let server = nbdkit_over_tls(&certificates, &["file", image.path().to_str().unwrap()]);
    let trust = Trust::authorities(&certificates.authority).unwrap();
    let target = server.target("").trust(trust);
    let disk = Nbd::connect(&target.clone().server_name("host.example")).unwrap();
    assert_reads(&disk, &whole(image.as_file()).unwrap());
    for wrong in ["other.example", "no name: of any kind"] {
        let error = Nbd::connect(&target.clone().server_name(wrong)).unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    }
}

#[test]
fn a_certificate_of_version_1_can_be_pinned() {
    if !have("nbdkit") || !have("openssl") {
        return;
    }
    let certificates = certificates("localhost");
    let make = "openssl req -newkey rsa:2048 -nodes -keyout server-key.pem -subj /CN=host -out request.pem && \
                openssl x509 -req -in request.pem -signkey server-key.pem -days 2 -out server-cert.pem";
    let made = std::process::Command::new("sh")
        .args(["-c", make])
        .current_dir(certificates.folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pem = std::fs::read_to_string(certificates.folder.path().join("server-cert.pem")).unwrap();
    let server = nbdkit_over_tls(&certificates, &["memory", "1M"]);
    Nbd::connect(&server.target("").trust(Trust::pinned(&pem).unwrap())).unwrap();
}

#[test]
fn a_server_without_tls_is_refused_unless_that_is_allowed() {
    if !have("nbdkit") {
        return;
    }
    let server = nbdkit(["memory", "1M"]);
    let trust = Trust::pinned(&certificates("localhost").server).unwrap();
    let error = Nbd::connect(&server.target("").trust(trust.clone())).unwrap_err();
    assert!(matches!(error, Error::TlsRefused { .. }), "{error:?}");
    Nbd::connect(&server.target("").trust_or_plain(trust)).unwrap();
}

#[test]
fn tls_needs_something_to_trust() {
    let error = Nbd::connect(&"nbds://localhost/".parse::<Target>().unwrap()).unwrap_err();
    assert!(matches!(error, Error::NoTrust), "{error:?}");
    for trust in [
        Trust::pinned(""),
        Trust::pinned("-----BEGIN CERTIFICATE-----"),
        Trust::authorities("x"),
    ] {
        assert!(matches!(trust.unwrap_err(), Error::BadCertificate { .. }));
    }
}

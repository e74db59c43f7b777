use std::time::Duration;

use rustls::pki_types::pem::PemObject;

use super::*;

const VALID: u64 = 1_800_000_000;
const EXPIRED: u64 = 1_900_000_000;

const WILDCARD: &[u8] = include_bytes!("../../tests/fixtures/certificates/wildcard.pem");
const OWN_AUTHORITY: &[u8] = include_bytes!("../../tests/fixtures/certificates/own_authority.pem");
const NAMELESS: &[u8] = include_bytes!("../../tests/fixtures/certificates/nameless.pem");

fn fingerprint(pem: &[u8]) -> Fingerprint {
    Fingerprint::of(&CertificateDer::from_pem_slice(pem).unwrap())
}

/// A host, its port, and what it shows when.
struct Host {
    name: &'static str,
    port: u16,
    time: u64,
}

const fn host(name: &'static str) -> Host {
    Host {
        name,
        port: 443,
        time: VALID,
    }
}

impl Host {
    fn shows(&self, pem: &[u8], certificates: &Arc<Certificates>) -> Result<(), UntrustedCertificate> {
        let verifier = Verifier {
            certificates: certificates.clone(),
            port: self.port,
        };
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let name = ServerName::try_from(self.name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(self.time));
        match verifier.verify_server_cert(&certificate, &[], &name, &[], now) {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = std::io::Error::other(error);
                Err(refusal(&error).expect("a refusal").clone())
            }
        }
    }
}

fn trusting(trust: &Trust, host: &str) -> Arc<Certificates> {
    Arc::new(Certificates::new(trust, host).unwrap())
}

#[test]
fn a_voucher_counts_for_all_spellings_of_the_host() {
    let pin = Trust::Pin(Fingerprint([0; 32]));
    for spelling in ["XEN1.Lab.Example", "xen1.lab.example.", "xen1.lab.example:443"] {
        let certificates = trusting(&pin, "other");
        certificates.vouch(spelling, fingerprint(WILDCARD));
        for name in ["xen1.lab.example", "XEN1.lab.example", "xen1.lab.example."] {
            host(name).shows(WILDCARD, &certificates).unwrap();
        }
        host("xen2.lab.example").shows(WILDCARD, &certificates).unwrap_err();
    }
    let certificates = trusting(&pin, "other");
    certificates.vouch("[FD00:0::1]:443", fingerprint(WILDCARD));
    host("fd00::1").shows(WILDCARD, &certificates).unwrap();
}

#[test]
fn a_voucher_counts_for_one_certificate() {
    let certificates = trusting(&Trust::Pin(Fingerprint([0; 32])), "xen1.lab.example");
    certificates.vouch("xen1.lab.example", fingerprint(WILDCARD));
    host("xen1.lab.example").shows(NAMELESS, &certificates).unwrap_err();
}

#[test]
fn a_wrong_pin_is_told_apart_from_another_host() {
    for (addressed, shown) in [("[FD00::0:1]", "fd00::1"), ("XEN1.lab.example.", "xen1.lab.example")] {
        let certificates = trusting(&Trust::Pin(fingerprint(NAMELESS)), addressed);
        host(shown).shows(NAMELESS, &certificates).unwrap();
        let refused = host(shown).shows(WILDCARD, &certificates).unwrap_err();
        assert!(refused.to_string().contains("the pinned one is"), "{refused}");
        assert_eq!(refused.fingerprint(), fingerprint(WILDCARD));
        let refused = host("10.0.0.9").shows(WILDCARD, &certificates).unwrap_err();
        assert!(
            refused.to_string().contains(&format!("only {shown} is pinned")),
            "{refused}"
        );
    }
}

#[test]
fn an_authority_covers_names_wildcards_and_addresses() {
    let certificates = trusting(&Trust::CaPem(WILDCARD.to_vec()), "");
    for name in [
        "xen1.lab.example",
        "XEN1.lab.example",
        "xen1.lab.example.",
        "10.0.0.1",
        "fd00::1",
    ] {
        host(name).shows(WILDCARD, &certificates).unwrap();
    }
    for name in ["lab.example", "a.xen1.lab.example", "10.0.0.2", "fd00::2"] {
        host(name).shows(WILDCARD, &certificates).unwrap_err();
    }
    host("xen1.lab.example").shows(NAMELESS, &certificates).unwrap_err();
}

#[test]
fn a_certificate_that_is_its_own_authority_still_needs_a_name_and_a_date() {
    let certificates = trusting(&Trust::CaPem(OWN_AUTHORITY.to_vec()), "");
    host("xen1.lab.example").shows(OWN_AUTHORITY, &certificates).unwrap();
    host("10.0.0.1").shows(OWN_AUTHORITY, &certificates).unwrap();
    host("xen2.lab.example")
        .shows(OWN_AUTHORITY, &certificates)
        .unwrap_err();
    let late = Host {
        time: EXPIRED,
        ..host("xen1.lab.example")
    };
    late.shows(OWN_AUTHORITY, &certificates).unwrap_err();
}

#[test]
fn a_name_in_the_subject_alone_is_none_but_can_be_pinned() {
    let certificates = trusting(&Trust::CaPem(NAMELESS.to_vec()), "");
    let refused = host("xen1.lab.example").shows(NAMELESS, &certificates).unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");
    let certificates = trusting(&Trust::Pin(refused.fingerprint()), "xen1.lab.example");
    host("xen1.lab.example").shows(NAMELESS, &certificates).unwrap();
}

#[test]
fn what_is_met_first_is_told_apart_by_port_but_not_by_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = trusting(&Trust::OnFirstUse(folder.path().join("known_hosts")), "");
    host("XEN1.lab.example.").shows(WILDCARD, &certificates).unwrap();
    let refused = host("xen1.lab.example").shows(NAMELESS, &certificates).unwrap_err();
    assert!(refused.to_string().contains("at first use"), "{refused}");
    let forwarded = Host {
        port: 8443,
        ..host("xen1.lab.example")
    };
    forwarded.shows(NAMELESS, &certificates).unwrap();
    assert_eq!(
        forwarded.shows(WILDCARD, &certificates).unwrap_err().host(),
        "xen1.lab.example:8443"
    );
}

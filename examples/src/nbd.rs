//! The disks of a pool, read over NBD.

use std::num::NonZeroUsize;

use anyhow::{Context, bail};
use vhd_mbr::nbd::{Nbd, Options, Target, Trust};
use xenapi::{Client, Ref, Vdi, VdiNbdServerInfoRecord};

use crate::vdi::waiting;

/// Connections for each disk: xapi-nbd answers one request at a time on each, and all clients of a host share 16.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// What to do with a host that speaks NBD without TLS, as on networks of the purpose `insecure_nbd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutTls {
    /// Refuse: whoever is on the way could read the disk and take over the session.
    Refuse,
    /// Read all the same.
    Allow,
}

/// Opens a disk of a pool, a snapshot or one that no running VM uses, at the first of its addresses that answers.
///
/// # Errors
/// Where the pool offers the disk nowhere, and where none of the addresses answers as it should.
pub async fn open_nbd(pool: &Client, vdi: Ref<Vdi>, without_tls: WithoutTls) -> anyhow::Result<Nbd> {
    let offers = pool.vdi(vdi).nbd_info().await.context("cannot ask where the disk is")?;
    let options = Nbd::options().connections(CONNECTIONS);
    waiting(move || connect_nbd(&offers, &options, without_tls)).await
}

/// Connects to the first of the offered addresses that answers; blocks meanwhile.
///
/// # Errors
/// Where nothing is offered, and where none of the addresses answers as it should; all of them are named.
pub fn connect_nbd(
    offers: &[VdiNbdServerInfoRecord],
    options: &Options,
    without_tls: WithoutTls,
) -> anyhow::Result<Nbd> {
    let mut failed = Vec::new();
    for offer in offers {
        match target(offer, without_tls).and_then(|target| Ok(options.connect(&target)?)) {
            Ok(disk) => return Ok(disk),
            Err(error) => {
                let hint = match error.downcast_ref() {
                    Some(vhd_mbr::nbd::Error::TlsRefused { .. }) => "; --via insecure-nbd takes that risk",
                    _ => "",
                };
                failed.push(format!("{} port {}: {error:#}{hint}", offer.address, offer.port));
            }
        }
    }
    if failed.is_empty() {
        bail!("the pool offers the disk nowhere: set the purpose of one of its networks to `nbd`");
    }
    bail!(
        "the disk can be read at none of the addresses offered:\n{}",
        failed.join("\n")
    )
}

fn target(offer: &VdiNbdServerInfoRecord, without_tls: WithoutTls) -> anyhow::Result<Target> {
    let port = u16::try_from(offer.port).context("the port is none")?;
    let target = Target::tcp(&offer.address, port, offer.exportname.as_str()).server_name(&offer.subject);
    let trust = Trust::pinned(&offer.cert);
    Ok(match (trust, without_tls) {
        (Ok(trust), WithoutTls::Refuse) => target.trust(trust),
        (Ok(trust), WithoutTls::Allow) => target.trust_or_plain(trust),
        (Err(_), WithoutTls::Allow) if offer.cert.trim().is_empty() => target,
        (Err(error), _) => return Err(error.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(address: &str, port: i64, cert: &str) -> VdiNbdServerInfoRecord {
        let mut offer = VdiNbdServerInfoRecord::default();
        offer.exportname = "/disk?session_id=OpaqueRef:secret".to_owned();
        offer.address = address.to_owned();
        offer.port = port;
        offer.cert = cert.to_owned();
        offer
    }

    #[test]
    fn each_address_is_named_but_not_the_session() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i64::from(closed.local_addr().unwrap().port());
        drop(closed);
        let offers = [offer("127.0.0.1", port, ""), offer("::1", 70_000, "no PEM")];
        for without_tls in [WithoutTls::Refuse, WithoutTls::Allow] {
            let error = connect_nbd(&offers, &Nbd::options(), without_tls).unwrap_err();
            let error = format!("{error:?}");
            assert!(
                error.contains("127.0.0.1") && error.contains("::1 port 70000"),
                "{error}"
            );
            assert!(!error.contains("OpaqueRef"), "{error}");
        }
    }

    #[test]
    fn nothing_offered_is_explained() {
        let error = connect_nbd(&[], &Nbd::options(), WithoutTls::Refuse).unwrap_err();
        assert!(error.to_string().contains("purpose"), "{error}");
    }
}

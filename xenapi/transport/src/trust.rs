//! Which certificates a connection accepts.

use std::path::PathBuf;

use super::Fingerprint;

/// Which certificates a connection accepts.
///
/// XenServer hosts come with self-signed certificates, so the system's authorities seldom know them. A pin is as
/// good: it accepts exactly the certificate that you have compared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Trust {
    /// What the operating system trusts.
    #[default]
    System,
    /// These authorities only, in PEM; a self-signed host certificate is its own authority.
    CaPem(Vec<u8>),
    /// Exactly this certificate, whatever its names, dates or issuer, and whatever address shows it.
    Pin(Fingerprint),
    /// Whatever certificate the host shows first, written into this file; another one later is refused.
    ///
    /// A line holds `host fingerprint`, or `host:port fingerprint` for another port than 443. Delete the line of a host
    /// whose certificate was renewed. Programs may share the file, which is locked while it is read or written; two lines
    /// that contradict each other are an error.
    OnFirstUse(PathBuf),
    /// Any certificate at all: everybody on the way can read the password.
    DangerAcceptAny,
}

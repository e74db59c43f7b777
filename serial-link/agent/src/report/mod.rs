//! What the system is.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix::system;
#[cfg(windows)]
use self::windows::system;

use serial_link_protocol::{Address, Report};

/// What can be found out.
pub(crate) fn report() -> Report {
    Report {
        agent: env!("CARGO_PKG_VERSION").into(),
        architecture: std::env::consts::ARCH.into(),
        addresses: addresses(),
        ..system()
    }
}

fn addresses() -> Vec<Address> {
    let mut addresses: Vec<_> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(|interface| !interface.is_loopback())
        .map(|interface| Address {
            address: interface.ip(),
            interface: interface.name,
        })
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

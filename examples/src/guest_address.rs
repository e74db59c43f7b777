//! Where a guest is reached.

use std::net::IpAddr;

use xenapi::Map;

/// Of the addresses that an agent tells, that of the first device that has one that leads anywhere, IPv4 first: `0/ip`, `0/ipv4/0`, `0/ipv6/0`.
pub fn guest_address(networks: &Map<String, String>) -> Option<IpAddr> {
    let found = networks.iter().filter_map(|(key, value)| {
        let device: u32 = key.split('/').next()?.parse().ok()?;
        let address: IpAddr = value.parse().ok()?;
        let leads = match address {
            IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
            IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
        };
        leads.then_some((address.is_ipv6(), device, address))
    });
    found.min().map(|(.., address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_that_leads_anywhere() {
        let networks = [
            ("0/ip", "169.254.3.4"),
            ("0/ipv6/0", "fd00::1"),
            ("10/ip", "10.0.0.10"),
            ("2/ip", "10.0.0.2"),
        ];
        let networks = networks.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            guest_address(&networks.into_iter().collect()),
            Some("10.0.0.2".parse().unwrap())
        );
        let only: Map<_, _> = [("0/ipv6/1".to_owned(), "fd00::2".to_owned())].into_iter().collect();
        assert_eq!(guest_address(&only), Some("fd00::2".parse().unwrap()));
    }
}

//! How hosts are told apart.

use std::fmt;
use std::net::Ipv6Addr;

use reqwest::Url;

/// The port of a host that names none.
const HTTPS: u16 = 443;

/// A host and its port: equal for all spellings of one address.
///
/// Case, a dot at the end, brackets and the ways to write an IP address make no difference, and neither does naming
/// the usual port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Reads `host`, `host:port` or an IPv6 address with or without brackets; `None` for what no URL could name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::of_ipv6(address, HTTPS));
        }
        if text.contains(['/', '\\', '?', '#', '@']) || text.contains(char::is_whitespace) {
            return None;
        }
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        let port = url.port().unwrap_or(HTTPS);
        let host = url.host_str()?;
        let host = match bracketed(host) {
            Some(address) => return Some(Self::of_ipv6(address, port)),
            None => host.strip_suffix('.').unwrap_or(host),
        };
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// An IPv4 address in IPv6's clothes is that IPv4 address.
    fn of_ipv6(address: Ipv6Addr, port: u16) -> Self {
        Self {
            host: address.to_canonical().to_string(),
            port,
        }
    }

    /// The same host at another port.
    pub(super) fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The host alone, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

fn bracketed(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

impl fmt::Display for Endpoint {
    /// Without the usual port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { host, port: HTTPS } => f.write_str(host),
            Self { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[track_caller]
    fn reads(text: &str, shown: &str) {
        let endpoint = Endpoint::parse(text).map(|endpoint| endpoint.to_string());
        assert_eq!(endpoint.as_deref(), Some(shown), "{text}");
    }

    #[test]
    fn all_spellings_of_a_host_are_one() {
        for text in ["xen1.lab", "XEN1.Lab", "xen1.lab.", "XEN1.LAB.:443", "xen1.lab:"] {
            reads(text, "xen1.lab");
        }
        for text in ["fd00::1", "[FD00:0::0:1]", "fd00:0:0:0:0:0:0:1", "[fd00::1]:443"] {
            reads(text, "fd00::1");
        }
        for text in ["10.0.0.1", "10.0.0.1.", "10.1", "::ffff:10.0.0.1", "[::ffff:a00:1]:443"] {
            reads(text, "10.0.0.1");
        }
    }

    #[test]
    fn a_port_of_its_own_counts() {
        reads("XEN1.lab.:8443", "xen1.lab:8443");
        reads("[FD00::1]:8443", "[fd00::1]:8443");
        assert_eq!(
            Endpoint::parse("xen1").unwrap().at(8443),
            Endpoint::parse("xen1:8443").unwrap()
        );
    }

    #[test]
    fn what_no_url_could_name_is_none() {
        for text in [
            "",
            ".",
            "[::1",
            "::1]",
            "a b",
            "a/b",
            "a?b",
            "user@a",
            "a:99999",
            "10.0.0.256",
            "[::1]x",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}

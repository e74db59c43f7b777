//! Where a disk is, and how to know that server.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Error, ExportName, Trust};

/// The port that servers listen on by default.
pub const DEFAULT_PORT: u16 = 10809;

/// A disk on a server.
///
/// With [`trust`](Self::trust), or parsed from a URI that begins with `nbds`, TLS is made before the export's name is
/// sent. `Debug` and `Display` do not show the part of the name that can be a secret.
///
/// ```
/// use vhd_mbr::nbd::Target;
///
/// let target = Target::tcp("10.0.0.2", 10809, "/0f3c?session_id=OpaqueRef:77");
/// assert_eq!(target.to_string(), "10.0.0.2:10809, export /0f3c?…");
/// let target: Target = "nbd://[fd00::2]/disk".parse()?;
/// assert_eq!(target.to_string(), "[fd00::2]:10809, export disk");
/// # Ok::<(), vhd_mbr::nbd::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) address: Address,
    pub(super) export: ExportName,
    pub(super) security: Security,
    pub(super) server_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg_attr(not(unix), allow(dead_code, reason = "refused where it is connected to"))]
    Unix(PathBuf),
}

#[derive(Clone, Debug)]
pub(super) enum Security {
    Plain,
    /// A URI asks for TLS, and nothing says yet whom to trust.
    Undecided,
    Tls(Trust),
    /// Plain where the server has no TLS.
    TlsIfOffered(Trust),
}

impl Target {
    /// A disk on a TCP port of a host: a name, or an address with or without brackets.
    pub fn tcp(host: &str, port: u16, export: impl Into<ExportName>) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        Self::new(Address::Tcp { host, port }, export.into())
    }

    /// A disk on a Unix socket.
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>, export: impl Into<ExportName>) -> Self {
        Self::new(Address::Unix(path.into()), export.into())
    }

    fn new(address: Address, export: ExportName) -> Self {
        Self {
            address,
            export,
            security: Security::Plain,
            server_name: None,
        }
    }

    /// Only over TLS, with this server.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.security = Security::Tls(trust);
        self
    }

    /// Over TLS where the server has it, and without where it says that it has none. Whoever is on the way can say so
    /// in its place, and then reads the disk and the secret in the export's name.
    #[must_use]
    pub fn trust_or_plain(mut self, trust: Trust) -> Self {
        self.security = Security::TlsIfOffered(trust);
        self
    }

    /// The name that the certificate must be for; otherwise it is the host's. It matters for authorities, not for pins.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned()).filter(|name| !name.is_empty());
        self
    }

    /// The export's name.
    pub fn export(&self) -> &ExportName {
        &self.export
    }

    /// The server's address: a host and a port, or a path.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Target {
    /// The address, and the export without its secret part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        match self.export.expose() {
            "" => Ok(()),
            _ => write!(f, ", export {}", self.export),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    /// Reads an [NBD URI](https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md). For those with `nbds`,
    /// say afterwards whom to [trust](Self::trust).
    fn from_str(uri: &str) -> Result<Self, Error> {
        let bad = |reason| Error::BadUri { reason };
        let (scheme, rest) = uri.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, export) = rest.split_once('/').unwrap_or((rest, ""));
        let export = decoded(export)?;
        let (address, is_tls) = match scheme {
            "nbd" | "nbds" => (tcp(authority)?, scheme == "nbds"),
            "nbd+unix" | "nbds+unix" if !authority.is_empty() => return Err(bad("a Unix socket has no host")),
            "nbd+unix" | "nbds+unix" => (unix(query)?, scheme == "nbds+unix"),
            _ => return Err(bad("the scheme is not one of nbd, nbds, nbd+unix and nbds+unix")),
        };
        let mut target = Self::new(address, ExportName::new(export));
        if is_tls {
            target.security = Security::Undecided;
        }
        Ok(target)
    }
}

fn tcp(authority: &str) -> Result<Address, Error> {
    let bad = |reason| Error::BadUri { reason };
    if authority.contains('@') {
        return Err(bad("user names are not used here"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(address) => address
            .split_once(']')
            .ok_or_else(|| bad("the bracket is not closed"))?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => DEFAULT_PORT,
        port => port
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| bad("the port is no number up to 65535"))?,
    };
    match host {
        "" => Err(bad("it has no host")),
        host => Ok(Address::Tcp {
            host: decoded(host)?,
            port,
        }),
    }
}

fn unix(query: &str) -> Result<Address, Error> {
    let socket = query.split('&').find_map(|part| part.strip_prefix("socket="));
    let socket = socket.ok_or(Error::BadUri {
        reason: "it names no socket",
    })?;
    Ok(Address::Unix(decoded(socket)?.into()))
}

fn decoded(text: &str) -> Result<String, Error> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Error::BadUri {
        reason: "the bytes that it encodes are no text",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(uri: &str) -> (String, String) {
        let target: Target = uri.parse().unwrap();
        (target.address(), target.export().expose().to_owned())
    }

    #[test]
    fn uris_are_read() {
        let pair = |address: &str, export: &str| (address.to_owned(), export.to_owned());
        assert_eq!(parsed("nbd://host"), pair("host:10809", ""));
        assert_eq!(parsed("nbd://host:1/"), pair("host:1", ""));
        assert_eq!(parsed("nbds://host:1//a/b"), pair("host:1", "/a/b"));
        assert_eq!(
            parsed("nbd://10.0.0.1/%2Fu%3Fsession_id%3DR"),
            pair("10.0.0.1:10809", "/u?session_id=R")
        );
        assert_eq!(parsed("nbd://[::1]:7/x"), pair("[::1]:7", "x"));
        assert_eq!(parsed("nbd+unix:///d?socket=/a%20b"), pair("/a b", "d"));
    }

    #[test]
    fn what_is_no_uri_is_not_repeated() {
        let secret = "OpaqueRef:9";
        for uri in [
            "",
            "host/OpaqueRef:9",
            "http://host/OpaqueRef:9",
            "nbd:///OpaqueRef:9",
            "nbd://h:x/OpaqueRef:9",
            "nbd://h:99999/OpaqueRef:9",
            "nbd://[::1/OpaqueRef:9",
            "nbd://me@h/OpaqueRef:9",
            "nbd+unix://h/OpaqueRef:9?socket=/a",
            "nbd+unix:///OpaqueRef:9",
            "nbd://h/%ffOpaqueRef:9",
        ] {
            let error = uri.parse::<Target>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains(secret), "{uri}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let target = Target::tcp("h", 1, "/u?session_id=OpaqueRef:9");
        assert!(!format!("{target} {target:?} {target:#?}").contains("OpaqueRef"));
    }
}

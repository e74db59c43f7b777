use std::fmt;

use super::form::{Address, Form, LONGEST_PATH, Protocol, Reconnect, Role, Socket};

/// Something about a form that bites later.
///
/// [`Display`](fmt::Display) says what happens, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trap {
    /// `server` without `nowait`.
    WaitsForConnection,
    /// QEMU connects once, when the VM starts.
    ConnectsOnce {
        /// Where to.
        address: Address,
    },
    /// The path has no room in an address.
    PathTooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It has to be there before the VM starts.
    HasToBeThere {
        /// What.
        path: String,
    },
    /// Nothing defines it on XenServer and XCP-ng, where one option is all that can be set.
    Undefined {
        /// The id.
        id: String,
    },
    /// `reconnect=`, which newer QEMUs give up, or `reconnect-ms=`, which older ones do not know.
    ReconnectSpelling(Reconnect),
    /// Everybody who reaches the host reaches the port.
    OpenToNetwork {
        /// The address it listens on; empty for all.
        host: String,
    },
    /// XenServer and XCP-ng run QEMU without a network, except for a value that begins with `tcp`.
    NoNetwork,
    /// Telnet as QEMU speaks it: what the guest sends is not escaped.
    LosesBytes,
    /// A file stops to grow.
    FileLimit {
        /// The file.
        path: String,
    },
    /// The path depends on the folder that QEMU runs in.
    RelativePath {
        /// The path.
        path: String,
    },
    /// One reader, and nothing is kept for him.
    Exclusive,
    /// Whoever reaches the port commands QEMU.
    Monitor,
}

/// A form that would keep a VM from starting, or freeze it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not set: {trap}")]
pub struct Refused {
    /// The worst that is wrong with it.
    pub trap: Trap,
}

impl Trap {
    /// Whether it can keep a VM from starting or freeze it, so that the form should be refused.
    pub fn stops_the_vm(&self) -> bool {
        matches!(
            self,
            Self::WaitsForConnection
                | Self::ConnectsOnce { .. }
                | Self::PathTooLong { .. }
                | Self::HasToBeThere { .. }
                | Self::Undefined { .. }
        )
    }
}

impl Form {
    /// What is wrong with it, the worst first.
    pub fn traps(&self) -> Vec<Trap> {
        let mut traps = match self {
            Self::Socket(socket) => socket.traps(),
            Self::Udp(_) => vec![Trap::NoNetwork],
            Self::Pty => vec![Trap::Exclusive],
            Self::Pipe { path } | Self::Device { path } => vec![Trap::HasToBeThere { path: path.clone() }],
            Self::Chardev { id } => vec![Trap::Undefined { id: id.clone() }],
            Self::File { path } => relative(path),
            Self::Monitor(form) => [form.traps(), vec![Trap::Monitor]].concat(),
            Self::None | Self::Null | Self::Stdio | Self::Console { .. } | Self::Emulated(_) => Vec::new(),
        };
        traps.sort_by_key(|trap| !trap.stops_the_vm());
        traps
    }

    /// The warnings, for a form that is safe to set; the reason, for one that is not.
    ///
    /// Who knows better sets it without asking.
    pub fn check(&self) -> Result<Vec<Trap>, Refused> {
        let traps = self.traps();
        match traps.first().filter(|trap| trap.stops_the_vm()) {
            Some(trap) => Err(Refused { trap: trap.clone() }),
            None => Ok(traps),
        }
    }
}

fn relative(path: &str) -> Vec<Trap> {
    match path.starts_with('/') {
        true => Vec::new(),
        false => vec![Trap::RelativePath { path: path.into() }],
    }
}

impl Socket {
    fn traps(&self) -> Vec<Trap> {
        let mut traps = match &self.address {
            Address::Unix { path } if path.len() > LONGEST_PATH => vec![Trap::PathTooLong { bytes: path.len() }],
            Address::Unix { path } => relative(path),
            Address::Tcp { .. } if self.begins_with_protocol => vec![Trap::NoNetwork],
            Address::Tcp { host, .. } => match self.role {
                Role::Server { .. } if !is_loopback(host) => vec![Trap::OpenToNetwork { host: host.clone() }],
                _ => Vec::new(),
            },
        };
        match self.role {
            Role::Server { wait: true } => traps.push(Trap::WaitsForConnection),
            Role::Server { wait: false } => {}
            Role::Client { reconnect: None } => traps.push(Trap::ConnectsOnce {
                address: self.address.clone(),
            }),
            Role::Client {
                reconnect: Some(reconnect),
            } => traps.push(Trap::ReconnectSpelling(reconnect)),
        }
        if matches!(self.protocol, Protocol::Telnet | Protocol::Tn3270) {
            traps.push(Trap::LosesBytes);
        }
        if let Some((_, path)) = self.more.iter().find(|(name, _)| name == "logfile") {
            traps.push(Trap::FileLimit { path: path.clone() });
        }
        traps
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitsForConnection => f.write_str(
                "`server` without `nowait` freezes the VM at its start until somebody connects: add `,nowait`",
            ),
            Self::ConnectsOnce { address } => write!(
                f,
                "QEMU connects to {address} once, when the VM starts: where the connection is refused the VM does not start, \
                 where nothing answers it freezes for minutes and ends, and a connection that breaks never comes back. \
                 Let QEMU be the server (`server,nowait`), or add `,reconnect=1`"
            ),
            Self::PathTooLong { bytes } => write!(
                f,
                "the socket's path has {bytes} bytes, and QEMU ends where there are more than {LONGEST_PATH}: shorten it"
            ),
            Self::HasToBeThere { path } => {
                write!(f, "QEMU ends, and the VM does not start, on a host without {path}")
            }
            Self::Undefined { id } => write!(f, "nothing defines the device {id:?}, so the VM does not start"),
            Self::ReconnectSpelling(Reconnect::Seconds(_)) => f.write_str(
                "`reconnect=` is on its way out since QEMU 9.2, which has `reconnect-ms=`: the VM will not start on a host \
                 that has lost it. What the guest sends before the connection is there is lost",
            ),
            Self::ReconnectSpelling(Reconnect::Millis(_)) => f.write_str(
                "`reconnect-ms=` is known since QEMU 9.2 only: on older hosts, XCP-ng 8.3 among them, the VM does not start",
            ),
            Self::OpenToNetwork { host } => {
                let host = if host.is_empty() { "every address of the host" } else { host };
                write!(
                    f,
                    "QEMU listens on {host} and asks nobody for a password: use a unix socket or 127.0.0.1, through SSH"
                )
            }
            Self::NoNetwork => f.write_str(
                "XenServer and XCP-ng run QEMU without a network, except where the value begins with `tcp`: nobody reaches \
                 this one (telnet works as `tcp:…,telnet`)",
            ),
            Self::LosesBytes => f.write_str(
                "QEMU does not escape the bytes of 255 that the guest sends, so that a telnet client loses them and what is \
                 behind: good for text, not for a debugger or for files",
            ),
            Self::FileLimit { path } => write!(f, "{path} stops to grow at 1 MiB on XenServer and XCP-ng; the VM goes on"),
            Self::RelativePath { path } => write!(f, "{path:?} is not absolute: it lies in whatever folder QEMU runs in"),
            Self::Exclusive => f.write_str(
                "what the guest sends while nobody reads the terminal is lost, and two readers share its bytes between them",
            ),
            Self::Monitor => f.write_str("whoever reaches the port can command QEMU itself"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path } => f.write_str(path),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Trap {
        text.parse::<Form>().unwrap().check().unwrap_err().trap
    }

    fn warned(text: &str) -> Vec<Trap> {
        text.parse::<Form>().unwrap().check().unwrap()
    }

    #[test]
    fn what_stops_a_vm_is_refused() {
        assert_eq!(refused("tcp:127.0.0.1:1,server"), Trap::WaitsForConnection);
        assert_eq!(refused("unix:/run/x,server"), Trap::WaitsForConnection);
        assert_eq!(refused("tcp::1,server"), Trap::WaitsForConnection);
        assert!(matches!(refused("tcp:10.0.0.5:7000"), Trap::ConnectsOnce { .. }));
        assert!(matches!(refused("unix:/run/x"), Trap::ConnectsOnce { .. }));
        assert!(matches!(refused("mon:tcp:10.0.0.5:7000"), Trap::ConnectsOnce { .. }));
        assert!(matches!(refused("pipe:/run/x"), Trap::HasToBeThere { .. }));
        assert!(matches!(refused("chardev:x"), Trap::Undefined { .. }));
        let long = format!("unix:/{},server,nowait", "x".repeat(107));
        assert_eq!(refused(&long), Trap::PathTooLong { bytes: 108 });
        assert!(Form::recommended("/", &"x".repeat(99)).is_ok());
        assert!(Form::recommended("/", &"x".repeat(100)).is_err());
    }

    #[test]
    fn what_only_surprises_is_told() {
        assert_eq!(warned("unix:/run/x,server,nowait"), []);
        assert_eq!(warned("tcp:127.0.0.1:1,server,nowait"), []);
        assert_eq!(
            warned("tcp::1,server,nowait"),
            [Trap::OpenToNetwork { host: String::new() }]
        );
        assert_eq!(warned("pty"), [Trap::Exclusive]);
        assert_eq!(
            warned("telnet:127.0.0.1:1,server,nowait"),
            [Trap::NoNetwork, Trap::LosesBytes]
        );
        assert_eq!(
            warned("tcp:10.0.0.5:1,reconnect=1"),
            [Trap::ReconnectSpelling(Reconnect::Seconds(1))]
        );
        assert_eq!(warned("tcp:127.0.0.1:1,telnet,server,nowait"), [Trap::LosesBytes]);
        assert_eq!(warned("none"), []);
    }
}

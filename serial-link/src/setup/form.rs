use std::fmt;
use std::time::Duration;

/// Where QEMU lets a serial port go: the value of `hvm_serial`.
///
/// It is read with [`str::parse`] and written with [`ToString::to_string`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// `pty`: a pseudo terminal, whose name is in xenstore. What VMs have without any setting.
    Pty,
    /// `none`: the VM has no such port.
    None,
    /// `null`: what the guest sends is thrown away.
    Null,
    /// `stdio`: QEMU's own input and output.
    Stdio,
    /// `vc`: a text console in QEMU's window.
    Console {
        /// The size, as in `80Cx24C`, if it was given.
        size: Option<String>,
    },
    /// A stream socket: `unix:`, `tcp:`, `telnet:`, `tn3270:` or `websocket:`.
    Socket(Socket),
    /// `udp:`: a datagram for what the guest sends.
    Udp(Udp),
    /// `file:`: what the guest sends goes into a file of the control domain.
    File {
        /// The file. Everything behind the colon is part of it, commas too.
        path: String,
    },
    /// `pipe:`: a pair of named pipes, PATH`.in` and PATH`.out`.
    Pipe {
        /// The path without the endings.
        path: String,
    },
    /// A device of the control domain: `/dev/…`, or `COM…` on Windows.
    Device {
        /// Its path.
        path: String,
    },
    /// `mon:`: QEMU's monitor and the port in one.
    Monitor(Box<Self>),
    /// `chardev:`: one that another option of QEMU's defines.
    Chardev {
        /// Its id.
        id: String,
    },
    /// An emulated device: `msmouse`, `wctablet`, `braille` or `testdev`.
    Emulated(&'static str),
}

/// A stream socket of QEMU's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Socket {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether the value begins with the protocol's name (`telnet:`), and not with `tcp:` and an option (`,telnet`).
    pub begins_with_protocol: bool,
    /// Where it is.
    pub address: Address,
    /// Which side of the connection QEMU is.
    pub role: Role,
    /// Whether small pieces are sent at once (`nodelay`, TCP only).
    pub no_delay: bool,
    /// What else was given, such as `logfile`, in its order.
    pub more: Vec<(String, String)>,
}

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The port's bytes and nothing else.
    Raw,
    /// Telnet: negotiation at the start, and bytes of 255 doubled.
    Telnet,
    /// Telnet for IBM terminals.
    Tn3270,
    /// Messages of a web socket.
    WebSocket,
}

impl Protocol {
    /// As QEMU names it; the bytes alone have no name.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Raw => None,
            Self::Telnet => Some("telnet"),
            Self::Tn3270 => Some("tn3270"),
            Self::WebSocket => Some("websocket"),
        }
    }
}

/// The address of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A file of the control domain.
    Unix {
        /// Its path.
        path: String,
    },
    /// A port. QEMU's short form has no way to write an IPv6 address.
    Tcp {
        /// A name or an IPv4 address; empty for every address of the host.
        host: String,
        /// A number or the name of a service.
        port: String,
    },
}

/// Which side of the connection QEMU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It listens, for one connection at a time.
    Server {
        /// Whether the VM stands still until somebody connects.
        wait: bool,
    },
    /// It connects, when the VM starts.
    Client {
        /// Whether it tries again.
        reconnect: Option<Reconnect>,
    },
}

/// How long QEMU waits before it connects again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reconnect {
    /// `reconnect=`, up to QEMU 9 and for a while after it.
    Seconds(u32),
    /// `reconnect-ms=`, since QEMU 9.2.
    Millis(u32),
}

impl Reconnect {
    /// As a duration.
    pub fn duration(self) -> Duration {
        match self {
            Self::Seconds(seconds) => Duration::from_secs(seconds.into()),
            Self::Millis(millis) => Duration::from_millis(millis.into()),
        }
    }
}

/// Two ends of datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Udp {
    /// Where they are sent to; an empty host is this one.
    pub remote: (String, String),
    /// Where they are received, if that was given.
    pub local: Option<(String, String)>,
}

/// A folder or a name that no socket can lie under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no socket for {name:?} under {folder:?}: the path has to begin with a slash and have at most 107 bytes")]
pub struct BadFolder {
    /// The folder.
    pub folder: String,
    /// The VM.
    pub name: String,
}

/// Room in `sockaddr_un` without the zero at its end.
pub(super) const LONGEST_PATH: usize = 107;

impl Form {
    /// The form without traps: a socket of the host that QEMU serves without waiting for anybody.
    ///
    /// `folder` is one that every host has right after it has started, such as `/run`; `vm` is the VM's UUID, because a
    /// copy of the VM copies the setting, and two VMs cannot have the same socket.
    pub fn recommended(folder: &str, vm: &str) -> Result<Self, BadFolder> {
        let path = format!("{}/serial-{vm}", folder.trim_end_matches('/'));
        if !path.starts_with('/') || path.len() > LONGEST_PATH || path.contains('\0') || vm.contains('/') {
            return Err(BadFolder {
                folder: folder.into(),
                name: vm.into(),
            });
        }
        Ok(Self::Socket(Socket::unix(path, Role::Server { wait: false })))
    }
}

impl Socket {
    /// A unix socket.
    pub fn unix(path: impl Into<String>, role: Role) -> Self {
        Self::new(Address::Unix { path: path.into() }, role)
    }

    /// A TCP socket.
    pub fn tcp(host: impl Into<String>, port: u16, role: Role) -> Self {
        let address = Address::Tcp {
            host: host.into(),
            port: port.to_string(),
        };
        Self::new(address, role)
    }

    fn new(address: Address, role: Role) -> Self {
        Self {
            protocol: Protocol::Raw,
            begins_with_protocol: false,
            address,
            role,
            no_delay: false,
            more: Vec::new(),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pty => f.write_str("pty"),
            Self::None => f.write_str("none"),
            Self::Null => f.write_str("null"),
            Self::Stdio => f.write_str("stdio"),
            Self::Console { size: None } => f.write_str("vc"),
            Self::Console { size: Some(size) } => write!(f, "vc:{size}"),
            Self::Socket(socket) => socket.fmt(f),
            Self::Udp(udp) => udp.fmt(f),
            Self::File { path } => write!(f, "file:{path}"),
            Self::Pipe { path } => write!(f, "pipe:{path}"),
            Self::Device { path } => f.write_str(path),
            Self::Monitor(form) => write!(f, "mon:{form}"),
            Self::Chardev { id } => write!(f, "chardev:{id}"),
            Self::Emulated(name) => f.write_str(name),
        }
    }
}

/// The short spelling of options, which every QEMU reads.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.name();
        match (&self.address, protocol) {
            (Address::Unix { path }, _) => {
                // What is behind the colon is an option too: its commas are doubled, and an equals sign would end a name.
                let name = if path.contains('=') { "path=" } else { "" };
                write!(f, "unix:{name}{}", path.replace(',', ",,"))?;
            }
            (Address::Tcp { host, port }, Some(protocol)) if self.begins_with_protocol => {
                write!(f, "{protocol}:{host}:{port}")?;
            }
            (Address::Tcp { host, port }, _) => write!(f, "tcp:{host}:{port}")?,
        }
        if let Some(protocol) = protocol.filter(|_| !self.begins_with_protocol) {
            write!(f, ",{protocol}")?;
        }
        match self.role {
            Role::Server { wait: true } => f.write_str(",server")?,
            Role::Server { wait: false } => f.write_str(",server,nowait")?,
            Role::Client { reconnect: None } => {}
            Role::Client {
                reconnect: Some(Reconnect::Seconds(seconds)),
            } => write!(f, ",reconnect={seconds}")?,
            Role::Client {
                reconnect: Some(Reconnect::Millis(millis)),
            } => write!(f, ",reconnect-ms={millis}")?,
        }
        if self.no_delay {
            f.write_str(",nodelay")?;
        }
        for (name, value) in &self.more {
            write!(f, ",{name}={}", value.replace(',', ",,"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "udp:{}:{}", self.remote.0, self.remote.1)?;
        match &self.local {
            Some((host, port)) => write!(f, "@{host}:{port}"),
            None => Ok(()),
        }
    }
}

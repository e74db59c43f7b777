use std::str::FromStr;

use super::form::{Address, Form, Protocol, Reconnect, Role, Socket, Udp};
use super::options::{self, Written};

/// A text that QEMU refuses, so that a VM with it does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("QEMU does not take {text:?}, and the VM would not start: {reason}")]
pub struct ParseFormError {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// More than any option needs, and less than a command line has room for.
const LONGEST: usize = 4096;

impl FromStr for Form {
    type Err = ParseFormError;

    fn from_str(text: &str) -> Result<Self, ParseFormError> {
        parse(text).map_err(|reason| ParseFormError {
            text: text.chars().take(200).collect(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Form, String> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    if text.contains('\0') {
        return Err("it has a zero byte".into());
    }
    for (name, form) in [
        ("pty", Form::Pty),
        ("none", Form::None),
        ("null", Form::Null),
        ("stdio", Form::Stdio),
        ("vc", Form::Console { size: None }),
    ] {
        if text == name {
            return Ok(form);
        }
    }
    for name in ["msmouse", "wctablet", "braille", "testdev"] {
        if text == name {
            return Ok(Form::Emulated(name));
        }
    }
    if text.starts_with("/dev/") || text.starts_with("COM") {
        return Ok(Form::Device { path: text.into() });
    }
    let (kind, rest) = text.split_once(':').ok_or("no such kind is known")?;
    let protocol = match kind {
        "vc" => {
            return Ok(Form::Console {
                size: Some(rest.into()),
            });
        }
        "file" => return Ok(Form::File { path: some(rest)? }),
        "pipe" => return Ok(Form::Pipe { path: some(rest)? }),
        "chardev" => return Ok(Form::Chardev { id: some(rest)? }),
        "mon" => return monitor(rest),
        "udp" => return udp(rest),
        "unix" => return unix(rest),
        "tcp" => Protocol::Raw,
        "telnet" => Protocol::Telnet,
        "tn3270" => Protocol::Tn3270,
        "websocket" => Protocol::WebSocket,
        _ => return Err("no such kind is known".into()),
    };
    tcp(rest, protocol)
}

fn some(text: &str) -> Result<String, String> {
    match text {
        "" => Err("nothing stands behind the colon".into()),
        text => Ok(text.into()),
    }
}

/// One monitor in another is nothing, and would be read without end.
fn monitor(rest: &str) -> Result<Form, String> {
    if rest.starts_with("mon:") || rest == "none" {
        return Err("a monitor needs something to talk to".into());
    }
    parse(rest).map(|form| Form::Monitor(Box::new(form)))
}

fn unix(rest: &str) -> Result<Form, String> {
    let written = options::split(rest, Some("path"));
    let mut path = String::new();
    let others = written
        .into_iter()
        .filter_map(|option| match option.name.as_str() {
            "path" => {
                path = option.value;
                None
            }
            _ => Some(option),
        })
        .collect();
    if path.is_empty() {
        return Err("there is no path".into());
    }
    socket(Protocol::Raw, Address::Unix { path }, others)
}

/// `HOST:PORT,OPTIONS`, of which the host may be empty. QEMU ends it at the first colon.
fn tcp(rest: &str, protocol: Protocol) -> Result<Form, String> {
    let (address, more) = rest.split_once(',').unwrap_or((rest, ""));
    let (host, port) = host_and_port(address)?;
    socket(protocol, Address::Tcp { host, port }, options::split(more, None))
}

fn udp(rest: &str) -> Result<Form, String> {
    let (remote, local) = match rest.split_once('@') {
        Some((remote, local)) => (remote, Some(host_and_port(local)?)),
        None => (rest, None),
    };
    Ok(Form::Udp(Udp {
        remote: host_and_port(remote)?,
        local,
    }))
}

fn host_and_port(address: &str) -> Result<(String, String), String> {
    let (host, port) = address.split_once(':').ok_or("it needs HOST:PORT")?;
    if port.contains(':') || host.starts_with('[') {
        return Err("this form has no room for an IPv6 address; use a name".into());
    }
    if host.len() > 64 || port.len() > 32 {
        return Err("the host or the port is too long".into());
    }
    if port.is_empty() || port.contains([',', '@']) {
        return Err("there is no port".into());
    }
    let number = port.bytes().all(|byte| byte.is_ascii_digit());
    if number && port.parse::<u16>().is_err() {
        return Err("ports end at 65535".into());
    }
    Ok((host.into(), port.into()))
}

/// Options that change nothing of what this crate tells about.
const OTHERS: [&str; 14] = [
    "to",
    "ipv4",
    "ipv6",
    "tls-creds",
    "tls-authz",
    "mux",
    "signal",
    "logfile",
    "logappend",
    "append",
    "abstract",
    "tight",
    "name",
    "debug",
];

fn socket(protocol: Protocol, address: Address, written: Vec<Written>) -> Result<Form, String> {
    let mut socket = Socket {
        protocol,
        begins_with_protocol: protocol != Protocol::Raw,
        address,
        role: Role::Client { reconnect: None },
        no_delay: false,
        more: Vec::new(),
    };
    let (mut server, mut wait, mut reconnect) = (false, None, None);
    for Written { name, value } in written {
        let switch = || options::switch(&value).ok_or_else(|| format!("{name} is on or off, not {value:?}"));
        let number = || value.parse().map_err(|_| format!("{name} is a number, not {value:?}"));
        match name.as_str() {
            "server" => server = switch()?,
            "wait" => wait = Some(switch()?),
            "nodelay" => socket.no_delay = switch()?,
            "delay" => socket.no_delay = !switch()?,
            "reconnect" => reconnect = Some(Reconnect::Seconds(number()?)),
            "reconnect-ms" => reconnect = Some(Reconnect::Millis(number()?)),
            "telnet" | "tn3270" | "websocket" => {
                let asked = match name.as_str() {
                    "telnet" => Protocol::Telnet,
                    "tn3270" => Protocol::Tn3270,
                    _ => Protocol::WebSocket,
                };
                // The name in front is an option as well, and the last of several counts.
                let on = switch()?;
                if !on && socket.protocol == asked {
                    socket.protocol = Protocol::Raw;
                } else if on && socket.protocol != asked {
                    socket.protocol = asked;
                    socket.begins_with_protocol = false;
                }
            }
            name if OTHERS.contains(&name) => socket.more.push((name.into(), value)),
            name => return Err(format!("{name:?} is no option of it")),
        }
    }
    socket.begins_with_protocol &= socket.protocol != Protocol::Raw;
    let reconnect = reconnect.filter(|reconnect| !reconnect.duration().is_zero());
    socket.role = match (server, wait, reconnect) {
        (true, _, Some(_)) => return Err("a server has nobody to reconnect to".into()),
        (false, Some(_), _) => return Err("only a server can wait".into()),
        (true, wait, None) => Role::Server {
            wait: wait.unwrap_or(true),
        },
        (false, None, reconnect) => Role::Client { reconnect },
    };
    if socket.protocol == Protocol::WebSocket && !server {
        return Err("a web socket is served, by `server`".into());
    }
    Ok(Form::Socket(socket))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(text: &str) -> Form {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Each was given to QEMU 7.2.22, which took it.
    #[test]
    fn forms_that_qemu_takes() {
        let recommended = Form::recommended("/run/", "7").unwrap();
        for same in [
            "unix:/run/serial-7,server,nowait",
            "unix:/run/serial-7,server=on,wait=off",
            "unix:path=/run/serial-7,wait=no,server=yes",
        ] {
            assert_eq!(form(same), recommended, "{same}");
        }
        let Form::Socket(comma) = form("unix:/a,,b,server=on,wait=off") else {
            panic!()
        };
        assert_eq!(comma.address, Address::Unix { path: "/a,b".into() });
        assert_eq!(
            form("tcp::7000,server,nodelay,nowait").to_string(),
            "tcp::7000,server,nowait,nodelay"
        );
        assert_eq!(
            form("file:/tmp/f2,append=on"),
            Form::File {
                path: "/tmp/f2,append=on".into()
            }
        );
        assert_eq!(
            form("tcp:127.0.0.1:1,reconnect=1,telnet").to_string(),
            "tcp:127.0.0.1:1,telnet,reconnect=1"
        );
        let Form::Socket(logged) = form("tcp:127.0.0.1:1,server,nowait,logfile=/l,logappend=on") else {
            panic!()
        };
        assert_eq!(logged.more.len(), 2);
        for text in [
            "pty",
            "none",
            "null",
            "stdio",
            "vc",
            "vc:80Cx24C",
            "telnet::1,server,nowait",
            "tcp::1,telnet,server,nowait",
            "mon:stdio",
            "/dev/ttyS0",
            "testdev",
            "udp::1@127.0.0.1:2",
        ] {
            assert_eq!(form(text).to_string(), text);
        }
        assert_eq!(
            form("unix:/a"),
            Form::Socket(Socket::unix("/a", Role::Client { reconnect: None }))
        );
        assert_eq!(form("tcp:a:1,reconnect=0"), form("tcp:a:1"));
    }

    /// Each was given to QEMU 7.2.22, which ended at once with a complaint of this kind.
    #[test]
    fn forms_that_qemu_refuses() {
        for (text, reason) in [
            ("tcp:[::1]:7777,server,nowait", "IPv6"),
            ("tcp:::7778,server,nowait", "IPv6"),
            ("tcp:127.0.0.1:7779,nowait", "only a server"),
            ("unix:server,nowait", "only a server"),
            ("tcp:127.0.0.1:7779,server,nowait,reconnect=1", "reconnect"),
            ("tcp::7780,server,nowait,bogus", "bogus"),
            ("tcp:127.0.0.1:7785,server=maybe", "on or off"),
            ("tcp:localhost", "HOST:PORT"),
            ("null,logfile=/x", "no such kind"),
            ("", "no such kind"),
        ] {
            let error = text.parse::<Form>().unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(format!("{}pty", "mon:".repeat(1000)).parse::<Form>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(unix|tcp|telnet|udp|file|mon|vc|)[:,]?[a-z=,:@0-9/-]{0,40}|.{0,40}") {
            if let Ok(form) = text.parse::<Form>() {
                let printed = form.to_string();
                prop_assert_eq!(printed.parse::<Form>(), Ok(form));
            }
        }
    }
}

use std::fmt;
use std::str::FromStr;

/// Where a control domain is, and as whom: `[user@]host[:port]`, `root` and 22 where they are left out.
///
/// ```
/// let host: dom0::Host = "10.0.0.2".parse()?;
/// assert_eq!((host.user(), host.name(), host.port()), ("root", "10.0.0.2", 22));
/// let host: dom0::Host = "me@[fd00::2]:2222".parse()?;
/// assert_eq!((host.user(), host.name(), host.port()), ("me", "fd00::2", 2222));
/// # Ok::<(), dom0::ParseHostError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    user: String,
    name: String,
    port: u16,
}

impl Host {
    /// The user `root` at port 22 of a name or an address.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            user: "root".into(),
            name: name.into(),
            port: 22,
        }
    }

    /// Logs in as somebody else.
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Connects to another port.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The name or the address, without brackets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.user)?;
        match (self.name.contains(':'), self.port) {
            (false, 22) => f.write_str(&self.name),
            (true, 22) => write!(f, "[{}]", self.name),
            (false, port) => write!(f, "{}:{port}", self.name),
            (true, port) => write!(f, "[{}]:{port}", self.name),
        }
    }
}

/// The text is no `[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not [user@]host[:port]: {reason}")]
pub struct ParseHostError {
    text: String,
    reason: &'static str,
}

impl ParseHostError {
    pub(crate) fn new(text: &str, reason: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            reason,
        }
    }
}

impl FromStr for Host {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason| ParseHostError::new(text, reason);
        let (user, place) = text.rsplit_once('@').unwrap_or(("root", text));
        let (name, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (name, after) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
                let port = match after {
                    "" => None,
                    _ => Some(
                        after
                            .strip_prefix(':')
                            .ok_or_else(|| wrong("after the bracket comes a colon"))?,
                    ),
                };
                (name, port)
            }
            // Two colons or more are an IPv6 address without a port.
            None if place.matches(':').count() > 1 => (place, None),
            None => place
                .split_once(':')
                .map_or((place, None), |(name, port)| (name, Some(port))),
        };
        let port = match port {
            None => 22,
            Some(digits) => match digits.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(wrong("the port is a number from 1 to 65535")),
            },
        };
        if user.is_empty() || name.is_empty() {
            return Err(wrong("a part is empty"));
        }
        // Such names are options to the ssh program, or break lines of known_hosts.
        let odd = |part: &str| part.starts_with('-') || part.chars().any(|c| c.is_whitespace() || c.is_control());
        if odd(user) || odd(name) || name.contains(',') {
            return Err(wrong("names have no blanks or commas and do not begin with a minus"));
        }
        Ok(Self {
            user: user.into(),
            name: name.into(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for text in ["root@xs1", "root@10.0.0.2:2222", "me@[fd00::2]", "a@b@[fd00::2]:22022"] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
        assert_eq!("fd00::2".parse::<Host>().unwrap(), Host::new("fd00::2"));
    }

    #[test]
    fn refuses_what_is_no_host() {
        for text in [
            "",
            "@xs1",
            "root@",
            "xs1:",
            "xs1:0",
            "xs1:65536",
            "[fd00::2",
            "[fd00::2]22",
            "-oProxyCommand=x",
            "a b",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }
}

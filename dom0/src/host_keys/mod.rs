mod known_hosts;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::{Algorithm, HashAlg, PublicKey};

use crate::{Error, Host};

/// Which keys of hosts are trusted.
///
/// A key that differs from the known one is always refused, with the file and the line of the known one. Of hosts that
/// are not known yet, this decides:
///
/// ```
/// use dom0::{Decision, HostKeys};
///
/// let strict = HostKeys::known_hosts("/home/me/.ssh/known_hosts");
/// let trusting = HostKeys::known_hosts("/home/me/.ssh/known_hosts").accept_new();
/// let asking = HostKeys::known_hosts("/home/me/.ssh/known_hosts").ask(|key| {
///     eprintln!("{} shows {}. Is that right?", key.host, key.fingerprint);
///     Decision::Refuse
/// });
/// let one = HostKeys::pinned("SHA256:Xh0SOHNHOiGmwSFHTvHBkDMIBfnTwJCoYJwDCl2FSWo");
/// ```
#[derive(Clone)]
pub struct HostKeys(Trust);

#[derive(Clone)]
enum Trust {
    File { file: PathBuf, unknown: Unknown },
    Pinned(String),
}

type Question = Arc<dyn Fn(&UnknownKey) -> Decision + Send + Sync>;

#[derive(Clone)]
enum Unknown {
    Refuse,
    Remember,
    Ask(Question),
}

/// A key nobody has vouched for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnknownKey {
    /// Who shows it.
    pub host: Host,
    /// `SHA256:…`, as `ssh-keygen -lf` prints it.
    pub fingerprint: String,
    /// Its type, for example `ssh-ed25519`.
    pub algorithm: String,
}

/// What becomes of an unknown key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// No session.
    Refuse,
    /// Trusted by this session only.
    Once,
    /// Trusted, and added to the file.
    Remember,
}

impl HostKeys {
    /// Trusts the keys in a file of OpenSSH's format, and refuses the hosts that are not in it.
    ///
    /// A file that does not exist has no hosts in it.
    pub fn known_hosts(file: impl Into<PathBuf>) -> Self {
        Self(Trust::File {
            file: file.into(),
            unknown: Unknown::Refuse,
        })
    }

    /// Trusts one key, by its fingerprint `SHA256:…`.
    pub fn pinned(fingerprint: impl Into<String>) -> Self {
        Self(Trust::Pinned(fingerprint.into()))
    }

    /// Trusts every host at its first visit, and adds it to the file.
    pub fn accept_new(self) -> Self {
        self.on_unknown(Unknown::Remember)
    }

    /// Has somebody decide about unknown keys. The connection waits as long as that takes, on a thread of its own.
    pub fn ask(self, question: impl Fn(&UnknownKey) -> Decision + Send + Sync + 'static) -> Self {
        self.on_unknown(Unknown::Ask(Arc::new(question)))
    }

    fn on_unknown(self, unknown: Unknown) -> Self {
        match self.0 {
            Trust::File { file, .. } => Self(Trust::File { file, unknown }),
            pinned @ Trust::Pinned(_) => Self(pinned),
        }
    }

    /// The types of the keys known of a host, which are what to ask it for first.
    pub(crate) fn algorithms(&self, host: &Host) -> Result<Vec<Algorithm>, Error> {
        match &self.0 {
            Trust::Pinned(_) => Ok(Vec::new()),
            Trust::File { file, .. } => {
                let text = read(file)?;
                let known = known_hosts::of_host(&text, host.name(), host.port());
                Ok(known
                    .into_iter()
                    .filter(|known| !known.revoked)
                    .map(|known| known.key.algorithm())
                    .collect())
            }
        }
    }

    /// Whether a key is trusted; false says that it is unknown.
    pub(crate) fn check(&self, host: &Host, key: &PublicKey) -> Result<bool, Error> {
        let found = fingerprint(key);
        match &self.0 {
            Trust::Pinned(expected) if *expected == found => Ok(true),
            Trust::Pinned(expected) => Err(Error::WrongHostKey {
                host: host.to_string(),
                expected: expected.clone(),
                found,
            }),
            Trust::File { file, .. } => {
                let text = read(file)?;
                let known = known_hosts::of_host(&text, host.name(), host.port());
                let same = |known: &&known_hosts::Known| known.key.key_data() == key.key_data();
                if let Some(line) = known
                    .iter()
                    .filter(same)
                    .find(|known| known.revoked)
                    .map(|known| known.line)
                {
                    let (host, file) = (host.to_string(), file.clone());
                    return Err(Error::RevokedHostKey {
                        host,
                        fingerprint: found,
                        file,
                        line,
                    });
                }
                if known.iter().any(|known| same(&known)) {
                    return Ok(true);
                }
                // Of another type is changed as well: the known types were asked for first.
                match known.iter().find(|known| !known.revoked) {
                    None => Ok(false),
                    Some(known) => Err(Error::ChangedHostKey {
                        host: host.to_string(),
                        fingerprint: Some(found),
                        file: file.clone(),
                        line: known.line,
                    }),
                }
            }
        }
    }

    /// What becomes of an unknown key.
    pub(crate) async fn decide(&self, host: &Host, key: &PublicKey) -> Result<Decision, Error> {
        let Trust::File { unknown, .. } = &self.0 else {
            return Ok(Decision::Refuse);
        };
        match unknown {
            Unknown::Refuse => Ok(Decision::Refuse),
            Unknown::Remember => Ok(Decision::Remember),
            Unknown::Ask(question) => {
                let question = question.clone();
                let key = UnknownKey {
                    host: host.clone(),
                    fingerprint: fingerprint(key),
                    algorithm: key.algorithm().to_string(),
                };
                // A question that panics is not answered with yes.
                let answer = tokio::task::spawn_blocking(move || question(&key)).await;
                Ok(answer.unwrap_or(Decision::Refuse))
            }
        }
    }

    /// Adds a key to the file.
    pub(crate) fn remember(&self, host: &Host, key: &PublicKey) -> Result<(), Error> {
        let Trust::File { file, .. } = &self.0 else {
            return Ok(());
        };
        let name = known_hosts::name_of(host.name(), host.port());
        let line = key
            .to_openssh()
            .map_err(io::Error::other)
            .map(|key| format!("{name} {key}\n"));
        line.and_then(|line| append(file, &line))
            .map_err(|source| Error::KnownHosts {
                file: file.clone(),
                doing: "written",
                source,
            })
    }
}

/// The user's own `~/.ssh/known_hosts`; hosts that are not in it are refused.
impl Default for HostKeys {
    fn default() -> Self {
        Self::known_hosts(crate::home::ssh_file("known_hosts"))
    }
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Trust::Pinned(fingerprint) => write!(f, "HostKeys({fingerprint})"),
            Trust::File { file, unknown } => {
                let unknown = match unknown {
                    Unknown::Refuse => "refuse",
                    Unknown::Remember => "remember",
                    Unknown::Ask(_) => "ask",
                };
                write!(f, "HostKeys({}, unknown: {unknown})", file.display())
            }
        }
    }
}

pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn read(file: &Path) -> Result<String, Error> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(Error::KnownHosts {
            file: file.to_owned(),
            doing: "read",
            source,
        }),
    }
}

fn append(file: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(file)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    let gap = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{gap}{line}").as_bytes())
}

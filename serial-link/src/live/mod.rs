//! Moving the serial port of a VM that runs, without starting it again. For experts.
//!
//! QEMU is asked over QMP to let go of what it has and to serve a unix socket of the control domain instead
//! (`chardev-change`). **There is no way back** until the VM is shut down and started: QEMU has given up what it needs to
//! make a terminal. What `hvm_serial` says stays as it is, and so does the terminal's name in xenstore, which is wrong then.
//!
//! Tried with QEMU 7.2, here also in the tests; not with the QEMU of every host. So [`probe`] first.

use serde::Deserialize;

/// What is asked of python3 in the control domain: everything in one go, because QEMU serves one QMP client at a time, and
/// the toolstack is another.
const SCRIPT: &str = include_str!("change.py");

/// QEMU's name for the first serial port.
const PORT: &str = "serial0";

/// A serial port as QEMU tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Live {
    /// QEMU's version.
    pub version: (u32, u32, u32),
    /// Where the port goes, as QEMU says it: `pty:/dev/pts/3`, `disconnected:unix:/run/x,server=on`.
    pub port: String,
}

/// A port that was not looked at, or not moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The new socket's path.
    #[error("no socket at {path:?}: the path has to begin with a slash and have at most 107 bytes")]
    Path {
        /// The path.
        path: String,
    },
    /// This QEMU cannot do it.
    #[error("QEMU {}.{}.{} cannot move a port while the VM runs: it has no {}", version.0, version.1, version.2, missing.join(" and no "))]
    Unable {
        /// Its version.
        version: (u32, u32, u32),
        /// The commands of QMP that it lacks.
        missing: Vec<String>,
    },
    /// The VM has no serial port.
    #[error("the VM has no serial port that QEMU could move")]
    NoPort,
    /// QEMU or the system said no.
    #[error("the port is where it was: {reason}")]
    Refused {
        /// What was said.
        reason: String,
    },
    /// The script did not run to its end.
    #[error("the control domain said something else than an answer: {said:?}")]
    Answer {
        /// The start of it.
        said: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    version: (u32, u32, u32),
    #[serde(default)]
    missing: Vec<String>,
    port: Option<String>,
    error: Option<String>,
    #[serde(default)]
    changed: bool,
}

/// The QMP socket of a domain on XenServer and XCP-ng.
pub fn qmp_socket(domain: u32) -> String {
    format!("/var/run/xen/qmp-libxl-{domain}")
}

/// The words of a command that looks at the port, for the control domain.
pub fn probe(qmp_socket: &str) -> Vec<String> {
    words(qmp_socket, "")
}

/// The words of a command that moves the port to a unix socket, which it makes. There is no way back until the VM starts
/// again.
pub fn change(qmp_socket: &str, path: &str) -> Result<Vec<String>, LiveError> {
    match path.starts_with('/') && path.len() <= 107 && !path.contains('\0') {
        true => Ok(words(qmp_socket, path)),
        false => Err(LiveError::Path { path: path.into() }),
    }
}

fn words(qmp_socket: &str, path: &str) -> Vec<String> {
    ["python3", "-c", SCRIPT, qmp_socket, path, PORT].map(Into::into).into()
}

/// Reads what [`probe`]'s command printed.
pub fn probed(printed: &[u8]) -> Result<Live, LiveError> {
    read(printed).map(|(live, _)| live)
}

/// Reads what [`change`]'s command printed.
pub fn changed(printed: &[u8]) -> Result<Live, LiveError> {
    match read(printed)? {
        (live, true) => Ok(live),
        (_, false) => Err(LiveError::Answer {
            said: start_of(printed),
        }),
    }
}

fn start_of(printed: &[u8]) -> String {
    String::from_utf8_lossy(printed).chars().take(200).collect()
}

fn read(printed: &[u8]) -> Result<(Live, bool), LiveError> {
    let answer: Answer = serde_json::from_slice(printed).map_err(|_| LiveError::Answer {
        said: start_of(printed),
    })?;
    if let Some(reason) = answer.error {
        return Err(LiveError::Refused { reason });
    }
    if !answer.missing.is_empty() {
        return Err(LiveError::Unable {
            version: answer.version,
            missing: answer.missing,
        });
    }
    let live = Live {
        version: answer.version,
        port: answer.port.ok_or(LiveError::NoPort)?,
    };
    Ok((live, answer.changed))
}

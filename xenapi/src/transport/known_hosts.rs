//! The file that remembers which certificate a host showed first.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Fingerprint;

#[derive(Debug)]
pub(super) struct KnownHosts {
    path: PathBuf,
    hosts: Mutex<HashMap<String, Fingerprint>>,
}

pub(super) enum Meeting {
    Known,
    Changed(Fingerprint),
    Unwritable(std::io::Error),
}

impl KnownHosts {
    /// Reads the file; one that does not exist yet is empty.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read the known hosts in {}: {error}", path.display())),
        };
        let mut hosts = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let entry = line
                .split_once(' ')
                .and_then(|(host, pin)| Some((host.to_owned(), pin.parse().ok()?)));
            let (host, pin) = entry.ok_or_else(|| {
                format!(
                    "line {} of {} is not `host fingerprint`: mend or delete it",
                    number + 1,
                    path.display()
                )
            })?;
            hosts.insert(host, pin);
        }
        Ok(Self {
            path: path.to_owned(),
            hosts: Mutex::new(hosts),
        })
    }

    /// Compares with what the host showed before, or remembers what it shows now.
    pub(super) fn meet(&self, host: &str, shown: Fingerprint) -> Meeting {
        let mut hosts = self.hosts.lock().unwrap_or_else(|poison| poison.into_inner());
        match hosts.get(host) {
            Some(&known) if known == shown => Meeting::Known,
            Some(&known) => Meeting::Changed(known),
            None => match self.append(host, shown) {
                Ok(()) => {
                    hosts.insert(host.to_owned(), shown);
                    Meeting::Known
                }
                Err(error) => Meeting::Unwritable(error),
            },
        }
    }

    fn append(&self, host: &str, shown: Fingerprint) -> std::io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.map_or(Ok(()), std::fs::create_dir_all)?;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
        writeln!(file, "{host} {shown}")
    }
}

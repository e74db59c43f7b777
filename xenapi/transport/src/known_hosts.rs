//! The file that remembers which certificate a host showed first.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Fingerprint;
use super::endpoint::Endpoint;

/// The file is read again for each new connection: other programs add to it, and people delete lines.
#[derive(Debug)]
pub(super) struct KnownHosts {
    path: PathBuf,
}

/// Why a certificate cannot be compared with the file, or differs from it.
#[derive(Debug, thiserror::Error)]
pub(super) enum KnownHostsError {
    #[error("cannot read the known hosts in {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("line {line} of {} is not `host fingerprint`: mend or delete it", path.display())]
    Malformed { path: PathBuf, line: usize },
    #[error(
        "lines {first} and {second} of {} name different certificates of {host}: delete the wrong one",
        path.display()
    )]
    Contradiction {
        path: PathBuf,
        host: Endpoint,
        first: usize,
        second: usize,
    },
    #[error(
        "at first use it showed {known}; if it was renewed, delete line {line} of {}",
        path.display()
    )]
    Changed {
        path: PathBuf,
        known: Fingerprint,
        line: usize,
    },
    #[error("it cannot be remembered in {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// What the file says of a host, and in which line.
type Entries = HashMap<Endpoint, (Fingerprint, usize)>;

impl KnownHosts {
    /// Looks whether the file can be used; one that does not exist yet is empty.
    pub(super) fn open(path: &Path) -> Result<Self, KnownHostsError> {
        let known = Self { path: path.to_owned() };
        known.entries()?;
        Ok(known)
    }

    /// Compares with what the host showed before, or remembers what it shows now.
    pub(super) fn meet(&self, host: &Endpoint, shown: Fingerprint) -> Result<(), KnownHostsError> {
        match self.compare(&self.entries()?, host, shown) {
            Some(met) => met,
            None => self.remember(host, shown),
        }
    }

    fn compare(&self, entries: &Entries, host: &Endpoint, shown: Fingerprint) -> Option<Result<(), KnownHostsError>> {
        let &(known, line) = entries.get(host)?;
        Some(if known == shown {
            Ok(())
        } else {
            Err(KnownHostsError::Changed {
                path: self.path.clone(),
                known,
                line,
            })
        })
    }

    /// Adds a line, unless another program has meanwhile added one for this host.
    fn remember(&self, host: &Endpoint, shown: Fingerprint) -> Result<(), KnownHostsError> {
        let unwritable = |source| KnownHostsError::Unwritable {
            path: self.path.clone(),
            source,
        };
        let mut file = self.open_to_append().map_err(unwritable)?;
        let text = read(&mut file).map_err(|source| self.unreadable(source))?;
        if let Some(met) = self.compare(&self.parse(&text)?, host, shown) {
            return met;
        }
        let end_of_last = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        file.write_all(format!("{end_of_last}{host} {shown}\n").as_bytes())
            .map_err(unwritable)
    }

    /// The file, locked against every other program until it is dropped.
    fn open_to_append(&self) -> io::Result<File> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.map_or(Ok(()), std::fs::create_dir_all)?;
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&self.path)?;
        lock(&file, File::try_lock)?;
        Ok(file)
    }

    fn entries(&self) -> Result<Entries, KnownHostsError> {
        let text = File::open(&self.path).and_then(|mut file| {
            lock(&file, File::try_lock_shared)?;
            read(&mut file)
        });
        match text {
            Ok(text) => self.parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Entries::new()),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    fn unreadable(&self, source: io::Error) -> KnownHostsError {
        KnownHostsError::Unreadable {
            path: self.path.clone(),
            source,
        }
    }

    fn parse(&self, text: &str) -> Result<Entries, KnownHostsError> {
        let mut entries = Entries::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let (host, pin) = entry(line).ok_or_else(|| KnownHostsError::Malformed {
                path: self.path.clone(),
                line: number,
            })?;
            match entries.get(&host) {
                None => {
                    entries.insert(host, (pin, number));
                }
                Some(&(first_pin, _)) if first_pin == pin => {}
                Some(&(_, first)) => {
                    return Err(KnownHostsError::Contradiction {
                        path: self.path.clone(),
                        host,
                        first,
                        second: number,
                    });
                }
            }
        }
        Ok(entries)
    }
}

fn entry(line: &str) -> Option<(Endpoint, Fingerprint)> {
    let (host, pin) = line.trim().split_once(char::is_whitespace)?;
    Some((Endpoint::parse(host)?, pin.parse().ok()?))
}

fn read(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text).map(|_| text)
}

/// Others hold the lock for as long as a line takes to write, so this seldom waits, and never for long.
fn lock(file: &File, attempt: fn(&File) -> Result<(), TryLockError>) -> io::Result<()> {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match attempt(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "another program keeps it locked",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const TWO: Fingerprint = Fingerprint([2; 32]);

    struct Scene {
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new(text: &str) -> Self {
            let scene = Self {
                folder: tempfile::tempdir().unwrap(),
            };
            std::fs::write(scene.path(), text).unwrap();
            scene
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("known_hosts")
        }

        fn open(&self) -> KnownHosts {
            KnownHosts::open(&self.path()).unwrap()
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.path()).unwrap()
        }
    }

    fn host(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn lines_that_contradict_each_other_are_refused_and_both_named() {
        let scene = Scene::new(&format!("xen1 {ONE}\n\nxen2 {TWO}\nXEN1. {TWO}\n"));
        let error = KnownHosts::open(&scene.path()).unwrap_err().to_string();
        assert!(
            error.starts_with("lines 1 and 4 of") && error.contains("of xen1:"),
            "{error}"
        );
        let scene = Scene::new(&format!("xen1 {ONE}\r\nXen1:443  {ONE}\r\n"));
        scene.open().meet(&host("xen1"), ONE).unwrap();
        let error = scene.open().meet(&host("xen1"), TWO).unwrap_err();
        assert!(matches!(error, KnownHostsError::Changed { line: 1, .. }), "{error}");
    }

    #[test]
    fn a_line_that_says_nothing_is_named() {
        let scene = Scene::new(&format!("xen1 {ONE}\nxen2\n"));
        let error = KnownHosts::open(&scene.path()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of"), "{error}");
    }

    #[test]
    fn what_another_program_remembered_meanwhile_counts() {
        let scene = Scene::new("");
        let (mine, other) = (scene.open(), scene.open());
        other.meet(&host("xen1"), ONE).unwrap();
        let error = mine.meet(&host("xen1"), TWO).unwrap_err();
        assert!(matches!(error, KnownHostsError::Changed { known: ONE, .. }), "{error}");
        mine.meet(&host("xen1"), ONE).unwrap();
        assert_eq!(scene.text(), format!("xen1 {ONE}\n"));
    }

    #[test]
    fn of_many_that_meet_a_host_at_once_only_one_decides() {
        let scene = Scene::new("");
        let accepted = std::thread::scope(|scope| {
            let meetings: Vec<_> = (0..8)
                .map(|byte| {
                    let known = scene.open();
                    scope.spawn(move || known.meet(&host("xen1"), Fingerprint([byte; 32])).is_ok())
                })
                .collect();
            meetings
                .into_iter()
                .filter_map(|meeting| meeting.join().ok())
                .filter(|&met| met)
                .count()
        });
        assert_eq!((accepted, scene.text().lines().count()), (1, 1));
    }

    #[test]
    fn a_deleted_line_is_forgotten_at_once() {
        let scene = Scene::new(&format!("xen1 {ONE}\n"));
        let known = scene.open();
        known.meet(&host("xen1"), TWO).unwrap_err();
        std::fs::write(scene.path(), "").unwrap();
        known.meet(&host("xen1"), TWO).unwrap();
        assert_eq!(scene.text(), format!("xen1 {TWO}\n"));
    }

    #[test]
    fn a_last_line_without_its_end_stays_whole() {
        let scene = Scene::new(&format!("xen1 {ONE}"));
        scene.open().meet(&host("xen2"), TWO).unwrap();
        assert_eq!(scene.text(), format!("xen1 {ONE}\nxen2 {TWO}\n"));
    }

    #[test]
    fn two_ports_of_one_address_are_two_hosts() {
        let scene = Scene::new("");
        scene.open().meet(&host("nat:8441"), ONE).unwrap();
        scene.open().meet(&host("nat:8442"), TWO).unwrap();
        scene.open().meet(&host("nat:8441"), TWO).unwrap_err();
        assert_eq!(scene.text(), format!("nat:8441 {ONE}\nnat:8442 {TWO}\n"));
    }

    #[test]
    fn a_file_that_somebody_keeps_locked_is_an_error() {
        let scene = Scene::new("");
        let known = scene.open();
        let held = File::open(scene.path()).unwrap();
        held.lock().unwrap();
        let error = known.meet(&host("xen1"), ONE).unwrap_err().to_string();
        assert!(error.contains("another program keeps it locked"), "{error}");
        held.unlock().unwrap();
        known.meet(&host("xen1"), ONE).unwrap();
    }
}

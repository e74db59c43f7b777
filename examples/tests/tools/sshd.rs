//! A host's SSH server, on the loopback address.

use std::fs;
use std::net::{TcpListener as PortFinder, TcpStream as Probe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::harness::{Folder, said};

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.exists())
}

/// A host's SSH server with keys of its own, and the file that knows it.
pub(crate) struct Sshd {
    folder: Folder,
    port: u16,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sshd {
    /// `None`, with the reason printed, where there is no OpenSSH.
    pub(crate) fn start() -> Option<Self> {
        if find("sshd").is_none() || find("ssh-keygen").is_none() {
            assert!(std::env::var_os("CI").is_none(), "OpenSSH is not installed");
            eprintln!("skipped: OpenSSH is not installed");
            return None;
        }
        let folder = Folder(tempdir().unwrap());
        for name in ["host", "id"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.path(name));
            assert!(keygen.status().unwrap().success());
        }
        let at = folder.0.path().display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/id.pub\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nLogLevel ERROR\nSetEnv HOME={at}\n"
        );
        fs::write(folder.path("sshd_config"), config).unwrap();
        // Where a server of root separates its privileges to; only root needs it and can make it.
        let _ = fs::create_dir_all("/run/sshd");
        // A port may be taken between being found and being used.
        for _ in 0..5 {
            let port = PortFinder::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(process) = Self::spawn(&folder.path("sshd_config"), port) {
                let key = fs::read_to_string(folder.path("host.pub")).unwrap();
                fs::write(folder.path("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
                return Some(Self { folder, port, process });
            }
        }
        panic!("sshd does not start");
    }

    /// `None`: it ended at once.
    fn spawn(config: &Path, port: u16) -> Option<Child> {
        let mut sshd = Command::new(find("sshd").unwrap());
        sshd.args(["-D", "-e", "-p", &port.to_string(), "-f"]).arg(config);
        let mut process = sshd.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && process.try_wait().unwrap().is_none() {
            if Probe::connect(("127.0.0.1", port)).is_ok() {
                return Some(process);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Ends the sessions, as a host that restarts its SSH server does; the server goes on.
    #[cfg(target_os = "linux")]
    pub(crate) fn end_sessions(&self) {
        let id = self.process.id();
        let sessions = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        for session in sessions.split_whitespace() {
            assert!(
                Command::new("kill")
                    .args(["-KILL", session])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }

    pub(crate) fn flags(&self, user: &str) -> Vec<String> {
        let path = |name| self.folder.path(name).display().to_string();
        let flags = ["--ssh-user", user, "--ssh-port", &self.port.to_string(), "--ssh-key"];
        let mut flags: Vec<_> = flags.map(str::to_owned).into();
        flags.extend([path("id"), "--ssh-known-hosts".to_owned(), path("known_hosts")]);
        flags
    }
}

pub(crate) fn user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    said(&id).trim().to_owned()
}

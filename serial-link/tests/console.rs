//! A terminal of the control domain, read over a real SSH server.
#![cfg(target_os = "linux")]

#[path = "../../dom0/tests/common/mod.rs"]
mod common;

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use common::{Sshd, needs};
use dom0::Dom0;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serial_link::reach::{ConnectError, Console, HostLine, Line};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// What QEMU and xenstore have: one end of a terminal, and the name of the other.
struct Guest {
    port: File,
    tty: String,
    _xenstore: TempDir,
    _sshd: Sshd,
    dom0: Dom0,
}

impl Guest {
    async fn start() -> Option<Self> {
        if !needs(&["sshd", "ssh-keygen", "find"]) {
            return None;
        }
        let port = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&port).unwrap();
        unlockpt(&port).unwrap();
        let tty = ptsname(&port, Vec::new()).unwrap().into_string().unwrap();
        let xenstore = tempfile::tempdir().unwrap();
        let program = xenstore.path().join("xenstore-read");
        fs::write(&program, format!("#!/bin/sh\necho {tty}\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let sshd = Sshd::with(&format!("SetEnv PATH={}:/usr/bin:/bin", xenstore.path().display()));
        let dom0 = sshd.builtin().await.unwrap();
        Some(Self {
            port: port.into(),
            tty,
            _xenstore: xenstore,
            _sshd: sshd,
            dom0,
        })
    }

    fn line(&self, share: bool) -> HostLine {
        let dom0 = self.dom0.clone();
        HostLine::console(7, Console::Serial, share, move || std::future::ready(Ok(dom0.clone())))
    }

    fn open(&self, tty: &str) -> File {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(tty, flags, Mode::empty()).unwrap().into()
    }

    /// Waits until no process has the terminal open.
    async fn is_let_go_of(&self) {
        let start = Instant::now();
        while !holders(&self.tty).is_empty() {
            assert!(
                start.elapsed() < PATIENCE,
                "{} is held by {:?}",
                self.tty,
                holders(&self.tty)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn holders(tty: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        if descriptors
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|to| to.as_os_str() == tty)
        {
            found.push(process.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_read_and_written_and_left() {
    let Some(mut guest) = Guest::start().await else { return };
    let mut port = soon(guest.line(false).connect()).await.unwrap();
    // Without an echo, which is what tells that the terminal is raw.
    guest.port.write_all(b"login: \r\n\x03\x00").unwrap();
    let mut came = [0; 11];
    soon(port.read_exact(&mut came)).await.unwrap();
    assert_eq!(&came, b"login: \r\n\x03\x00");
    port.write_all(b"root\r\x04").await.unwrap();
    port.flush().await.unwrap();
    let mut got = [0; 6];
    guest.port.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"root\r\x04");
    drop(port);
    guest.is_let_go_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_reads_nothing_keeps_nobody_from_the_terminal() {
    let Some(guest) = Guest::start().await else { return };
    let mut port = soon(guest.line(false).connect()).await.unwrap();
    let much = vec![b'x'; 16 << 20];
    let stuck = timeout(Duration::from_secs(1), port.write_all(&much)).await;
    assert!(stuck.is_err(), "a terminal and an SSH channel hold less");
    drop(port);
    guest.is_let_go_of().await;
    drop(soon(guest.line(false).connect()).await.unwrap());
    guest.is_let_go_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_counted_that_have_this_very_terminal_open() {
    let Some(guest) = Guest::start().await else { return };
    // One whose name begins with this one's: /dev/pts/1 and /dev/pts/12. It takes a few terminals to get there.
    let mut others = Vec::new();
    while others.len() < 100
        && !others
            .iter()
            .any(|(name, _, _): &(String, _, _)| name.starts_with(&guest.tty))
    {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = guest.open(&name);
        others.push((name, ours, theirs));
    }
    drop(soon(guest.line(false).connect()).await.unwrap());
    guest.is_let_go_of().await;

    // Two descriptors of one program are one program.
    let (first, second) = (guest.open(&guest.tty), guest.open(&guest.tty));
    let error = soon(guest.line(false).connect()).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::TerminalInUse { readers: 1, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("in 1 program;"), "{error}");
    let mut port = soon(guest.line(true).connect()).await.unwrap();
    port.write_all(b"x").await.unwrap();
    drop((first, second));
}

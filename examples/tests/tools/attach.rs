//! A terminal on a VM's port: what is asked comes first, and what is typed then is the guest's.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;
use xenapi::Map;

use crate::harness::{Folder, Pool, complained};
use crate::sshd::{Sshd, user};
use crate::terminal::Terminal;

/// A port as QEMU serves it, behind which a guest asks who is there whenever somebody connects.
#[derive(Clone, Default)]
struct Port(Arc<Mutex<Vec<u8>>>);

impl Port {
    fn serve(path: &Path) -> Self {
        let (listener, port) = (UnixListener::bind(path).unwrap(), Self::default());
        let got = port.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(b"login: ");
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut piece) {
                    got.0.lock().unwrap().extend_from_slice(&piece[..length]);
                }
            }
        });
        port
    }

    /// Waits until the guest has got so many bytes, and tells them.
    fn got(&self, length: usize) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let got = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            if got.len() >= length {
                return got;
            }
            assert!(Instant::now() < end, "the guest has only got {got:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A VM with a port, and a host that is logged in to.
struct Stage {
    pool: Pool,
    sshd: Sshd,
    port: Port,
    folder: Folder,
}

impl Stage {
    async fn set() -> Option<Self> {
        let sshd = Sshd::start()?;
        let folder = Folder(tempdir().unwrap());
        let pool = Pool::new(2).await;
        for host in pool.simulator.refs("host") {
            pool.simulator.set("host", &host, "address", "127.0.0.1");
        }
        let vm = pool.simulator.find("VM", "web-01").unwrap();
        let port = Port::serve(&folder.path("port"));
        let form = format!("unix:{},server,nowait", folder.path("port").display());
        let platform: Map<String, String> = [("hvm_serial".to_owned(), form)].into_iter().collect();
        pool.simulator.set("VM", &vm, "platform", platform);
        Some(Self {
            pool,
            sshd,
            port,
            folder,
        })
    }

    /// The tool, for this VM.
    fn serial(&self, job: &str) -> Option<Command> {
        let mut serial = self.pool.tool("serial")?;
        serial
            .args([job, "web-01"])
            .env("XDG_RUNTIME_DIR", self.folder.0.path());
        Some(serial)
    }

    /// The same, with what it needs to log in.
    fn known(&self, job: &str) -> Option<Command> {
        let mut serial = self.serial(job)?;
        serial.args(self.sshd.flags(&user()));
        Some(serial)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_come_before_the_guest_and_only_once() {
    let Some(stage) = Stage::set().await else { return };
    let Some(mut attach) = stage.serial("attach") else {
        return;
    };
    let unknown = stage.folder.path("known_hosts");
    fs::write(&unknown, "").unwrap();
    let flags = stage.sshd.flags(&user());
    let (_, flags) = flags.split_last().unwrap();
    attach
        .args(flags)
        .arg(unknown)
        .arg("--ssh-password")
        .env_remove("XENAPI_SSH_PASSWORD");
    let Some(mut terminal) = Terminal::start(&attach) else {
        return;
    };

    terminal.shows("Password of the control domain: ", 1);
    terminal.type_in("hunter2\n");
    terminal.shows("log in? [y/N] ", 1);
    terminal.type_in("y\n");
    terminal.shows("login: ", 1);
    terminal.type_in("id\r");
    assert_eq!(stage.port.got(3), "id\r");

    // What is lost comes back without a question.
    stage.sshd.end_sessions();
    terminal.shows("login: ", 2);
    terminal.type_in("more");
    assert_eq!(stage.port.got(7), "id\rmore");
    terminal.type_in("\u{1d}");
    assert_eq!(terminal.ended(), Some(0));
    let shown = terminal.shown();
    assert_eq!(shown.matches("Password").count(), 1, "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(stage.port.got(7), "id\rmore");
    stage.pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_is_one_terminals_until_another_takes_it_over() {
    let Some(stage) = Stage::set().await else { return };
    let Some(mut bridge) = stage.known("bridge") else {
        return;
    };
    let mut bridge = bridge.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(bridge.stderr.take().unwrap()).lines();
    let end = Instant::now() + Duration::from_secs(20);
    let meeting = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("serial-");
    while !fs::read_dir(stage.folder.0.path()).unwrap().flatten().any(meeting) {
        assert!(Instant::now() < end, "the bridge does not serve");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let terminal = |flags: &[&str]| {
        let mut attach = stage.serial("attach").unwrap();
        attach.args(flags);
        Terminal::start(&attach)
    };
    // What was said before it came is shown to it.
    let Some(mut first) = terminal(&[]) else { return };
    first.shows("login: ", 1);
    first.type_in("1");
    assert_eq!(stage.port.got(1), "1");

    let mut second = terminal(&[]).unwrap();
    assert_eq!(second.ended(), Some(1), "{}", second.shown());
    second.shows("has the input", 1);
    second.shows("--take-over", 1);
    loop {
        let line = timeout(Duration::from_secs(20), told.next_line()).await.unwrap();
        let line = line.unwrap().expect("the bridge tells of it");
        if line.contains("was sent away") {
            assert!(line.contains("serial attach (process "), "{line}");
            break;
        }
    }
    fs::write(stage.folder.path("secret"), "a secret that only the tests know").unwrap();
    fs::set_permissions(stage.folder.path("secret"), Permissions::from_mode(0o600)).unwrap();
    let mut exec = stage.serial("exec").unwrap();
    exec.arg("--secret")
        .arg(stage.folder.path("secret"))
        .args(["--", "true"]);
    let exec = timeout(Duration::from_secs(20), exec.output()).await.unwrap().unwrap();
    assert_eq!(exec.status.code(), Some(1), "{exec:?}");
    assert!(complained(&exec).contains("has the input"), "{exec:?}");

    let mut third = terminal(&["--take-over"]).unwrap();
    third.shows("login: ", 1);
    third.type_in("3");
    assert_eq!(stage.port.got(2), "13");
    first.type_in("x");
    assert_eq!(first.ended(), Some(1), "{}", first.shown());
    first.shows("has the input", 1);
    third.type_in("3\u{1d}");
    assert_eq!(third.ended(), Some(0), "{}", third.shown());
    assert_eq!(stage.port.got(3), "133");
    bridge.kill().await.unwrap();
}

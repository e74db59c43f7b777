//! A terminal on a VM's port: what is asked comes first, and what is typed then is the guest's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::tempdir;
use xenapi::Map;

use crate::harness::{Folder, Pool};
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

#[tokio::test(flavor = "multi_thread")]
async fn questions_come_before_the_guest_and_only_once() {
    let Some(sshd) = Sshd::start() else { return };
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
    let Some(mut attach) = pool.tool("serial") else { return };
    fs::write(folder.path("known_hosts"), "").unwrap();
    let unknown = folder.path("known_hosts").display().to_string();
    let flags = sshd.flags(&user());
    let (_, flags) = flags.split_last().unwrap();
    attach
        .args(["attach", "web-01", "--ssh-password"])
        .args(flags)
        .arg(unknown)
        .env("XDG_RUNTIME_DIR", folder.0.path())
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
    assert_eq!(port.got(3), "id\r");

    // What is lost comes back without a question.
    sshd.end_sessions();
    terminal.shows("login: ", 2);
    terminal.type_in("more");
    assert_eq!(port.got(7), "id\rmore");
    terminal.type_in("\u{1d}");
    assert_eq!(terminal.ended(), Some(0));
    let shown = terminal.shown();
    assert_eq!(shown.matches("Password").count(), 1, "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(port.got(7), "id\rmore");
    pool.assert_tidy().await;
}

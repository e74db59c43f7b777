//! A real Xen host under QEMU, in the folder that `XEN_LAB` names.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dom0::{Auth, Dom0, HostKeys};

/// The machine, which ends with the test.
pub(crate) struct Lab {
    folder: PathBuf,
    port: u16,
    qemu: Child,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Lab {
    /// None, with the reason printed, where `XEN_LAB` names none.
    pub(crate) fn start() -> Option<Self> {
        let Some(folder) = std::env::var_os("XEN_LAB").map(PathBuf::from) else {
            eprintln!("skipped: XEN_LAB names no folder with a Xen host");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut qemu = Command::new("bash");
        qemu.arg(folder.join("start-snap.sh")).arg(port.to_string());
        let qemu = qemu.stdin(Stdio::null()).process_group(0).spawn().unwrap();
        Some(Self { folder, port, qemu })
    }

    /// A session to its control domain.
    pub(crate) async fn session(&self, keys: &std::path::Path) -> Dom0 {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let connect = Dom0::connect(format!("root@127.0.0.1:{}", self.port))
                .auth(Auth::key_file(self.folder.join("id")))
                .host_keys(HostKeys::known_hosts(keys).accept_new())
                .timeout(Duration::from_secs(10));
            match connect.await {
                Ok(dom0) => return dom0,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

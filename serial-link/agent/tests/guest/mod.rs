//! The agent's program on one end of a pty, and a client on the other.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serial_link_protocol::blocking::Client;
use serial_link_protocol::{Config, Entropy, Secret};
use tempfile::TempDir;

const SECRET: &str = "a secret that only the tests know";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Guest {
    pub(crate) client: Client,
    pub(crate) console: Arc<Mutex<Vec<u8>>>,
    /// While it is set, what either end writes is lost.
    pub(crate) cut: Arc<AtomicBool>,
    pub(crate) folder: TempDir,
    /// The guest's end of the port, where its kernel would write, too.
    pub(crate) port: File,
    name: PathBuf,
    agent: Child,
}

impl Guest {
    /// With a session.
    pub(crate) fn start() -> Self {
        let guest = Self::with_secret(SECRET);
        guest.client.connected(PATIENCE).unwrap();
        guest
    }

    /// With a host that takes this for the secret.
    pub(crate) fn with_secret(secret: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, SECRET).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();

        let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&host).unwrap();
        unlockpt(&host).unwrap();
        let name = PathBuf::from(ptsname(&host, Vec::new()).unwrap().into_string().unwrap());
        let no_terminal = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        // Held, because a pty whose other end nobody holds cannot be read.
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(no_terminal)
            .open(&name)
            .unwrap();
        let agent = agent(&name, &file);

        let console = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&console);
        let config = Config::new(Secret::new(secret).unwrap(), Entropy::system().unwrap());
        let client = Client::new(config, move |text| heard.lock().unwrap().extend_from_slice(text));
        let cut = Arc::new(AtomicBool::new(false));
        let line = client.clone();
        let from = Flaky {
            file: File::from(host),
            cut: Arc::clone(&cut),
        };
        let to = Flaky {
            file: from.file.try_clone().unwrap(),
            cut: Arc::clone(&cut),
        };
        thread::spawn(move || line.run(from, to));
        Self {
            client,
            console,
            cut,
            folder,
            port,
            name,
            agent,
        }
    }

    pub(crate) fn restart_agent(&mut self) {
        self.stop();
        self.agent = agent(&self.name, &self.folder.path().join("secret"));
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).into_os_string().into_string().unwrap()
    }

    fn stop(&mut self) {
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
    }
}

fn agent(port: &std::path::Path, secret: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_serial-agent"))
        .args([
            "--port".as_ref(),
            port.as_os_str(),
            "--secret".as_ref(),
            secret.as_os_str(),
        ])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A line that can be cut without either end being told.
struct Flaky {
    file: File,
    cut: Arc<AtomicBool>,
}

impl Read for Flaky {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.file.read(into)?;
            if !self.cut.load(Ordering::Relaxed) {
                return Ok(count);
            }
        }
    }
}

impl Write for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cut.load(Ordering::Relaxed) {
            Ok(bytes.len())
        } else {
            self.file.write(bytes)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

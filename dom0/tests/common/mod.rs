//! A private sshd on the loopback address, with keys of its own, run by the user of the tests.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dom0::{Auth, Connect, Dom0, Error, HostKeys, SshProgram};
use tempfile::TempDir;

/// What a test needs from the system, or the reason why it is skipped; with CI set, there is no skipping.
pub(crate) fn needs(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "not installed: {missing:?}");
    eprintln!("skipped: not installed: {missing:?}");
    false
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.exists())
}

pub(crate) struct Sshd {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    process: Child,
}

/// The server and all its sessions are one process group.
impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_all("KILL");
        let _ = self.process.wait();
    }
}

pub(crate) fn keygen(file: &Path, kind: &str, passphrase: &str) {
    let mut keygen = Command::new("ssh-keygen");
    if kind == "rsa" {
        keygen.args(["-b", "2048"]);
    }
    keygen.args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(file);
    assert!(keygen.status().expect("ssh-keygen").success());
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more lines of configuration.
    pub(crate) fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        keygen(&path.join("host"), "ed25519", "");
        keygen(&path.join("id"), "ed25519", "");
        fs::copy(path.join("id.pub"), path.join("authorized_keys")).expect("authorized_keys");
        let at = path.display();
        // Only the first of these lines counts. The user's own shell settings stay out of it.
        let lines = match lines.contains("SetEnv ") {
            true => lines.replace("SetEnv ", &format!("SetEnv HOME={at} ")),
            false => format!("{lines}\nSetEnv HOME={at}"),
        };
        let config = format!(
            "{lines}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\nPidFile none\n\
             UsePAM no\nStrictModes no\nPermitRootLogin yes\nLogLevel ERROR\nMaxStartups 100\n"
        );
        fs::write(path.join("sshd_config"), config).expect("sshd_config");
        if rustix::process::getuid().is_root() {
            // Where it separates its privileges to; packages make it when the service starts.
            let _ = fs::create_dir_all("/run/sshd");
        }
        // A port may be taken between being found and being used.
        for _ in 0..5 {
            let port = free_port();
            if let Some(process) = Self::spawn(path, port) {
                return Self { folder, port, process };
            }
        }
        panic!("sshd does not start: {:?}", fs::read_to_string(path.join("log")));
    }

    /// None: it ended at once.
    fn spawn(path: &Path, port: u16) -> Option<Child> {
        use std::os::unix::process::CommandExt;

        let mut sshd = Command::new(find("sshd").expect("sshd"));
        sshd.args(["-D", "-e", "-p", &port.to_string(), "-f"])
            .arg(path.join("sshd_config"));
        let log = fs::File::create(path.join("log")).expect("a log");
        let mut process = sshd
            .stderr(log)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sshd starts");
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && process.try_wait().expect("its status").is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(process);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = process.kill();
        let _ = process.wait();
        None
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self) -> String {
        let user = user_name();
        format!("{user}@127.0.0.1:{}", self.port)
    }

    /// A file that knows this server's key.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        let key = fs::read_to_string(self.path("host.pub")).expect("the host's key");
        let file = self.path("known_hosts");
        fs::write(&file, format!("[127.0.0.1]:{} {key}", self.port)).expect("known_hosts");
        file
    }

    pub(crate) fn auth(&self) -> Auth {
        Auth::key_file(self.path("id"))
    }

    /// The built-in SSH, with the right keys.
    pub(crate) fn builtin(&self) -> Connect {
        Dom0::connect(self.address())
            .auth(self.auth())
            .host_keys(HostKeys::known_hosts(self.known_hosts()))
    }

    /// The ssh program, with the right keys and no configuration.
    pub(crate) fn program(&self) -> SshProgram {
        let known = self.known_hosts();
        Dom0::with_ssh_program(format!("{}@127.0.0.1", user_name()))
            .config("/dev/null")
            .option("Port", &self.port.to_string())
            .option("IdentityFile", self.path("id").to_str().expect("a path"))
            .option("IdentitiesOnly", "yes")
            .option("UserKnownHostsFile", known.to_str().expect("a path"))
            .option("GlobalKnownHostsFile", "/dev/null")
            .option("StrictHostKeyChecking", "yes")
    }

    /// Sends a signal to the server and all its sessions.
    pub(crate) fn signal_all(&self, signal: &str) {
        for process in descendants(self.process.id()).into_iter().chain([self.process.id()]) {
            let _ = Command::new("kill")
                .args(["-s", signal, &process.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Sends a signal to the sessions, not to the server.
    pub(crate) fn signal_sessions(&self, signal: &str) {
        for process in descendants(self.process.id()) {
            let _ = Command::new("kill")
                .args(["-s", signal, &process.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The sshd processes below a server, without what they run.
fn descendants(of: u32) -> Vec<u32> {
    let mut found = vec![of];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        at += 1;
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let is_sshd = |process: &u32| {
            let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            name.starts_with("sshd")
        };
        found.extend(
            children
                .split_whitespace()
                .filter_map(|id| id.parse().ok())
                .filter(is_sshd),
        );
    }
    found.split_off(1)
}

/// A port that no other test of this process has been given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

pub(crate) fn user_name() -> String {
    let id = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&id.stdout).trim().to_owned()
}

/// A session over each of the backends.
pub(crate) async fn both(sshd: &Sshd) -> [(&'static str, Dom0); 2] {
    [
        (
            "built-in",
            sshd.builtin().await.expect("a session over the built-in SSH"),
        ),
        ("program", sshd.program().await.expect("a session over the ssh program")),
    ]
}

pub(crate) fn error_of<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error,
    }
}

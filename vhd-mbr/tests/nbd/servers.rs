//! nbdkit, qemu-nbd and nbd-server, started for one test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{NamedTempFile, TempDir};
use vhd_mbr::nbd::Target;

/// Whether the program can be run; where it cannot, the test is skipped, but not in CI.
pub(crate) fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        let in_ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!in_ci, "{program} must be installed in CI");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    place: Place,
    _folder: TempDir,
}

pub(crate) enum Place {
    Unix(PathBuf),
    Tcp(u16),
}

impl Server {
    pub(crate) fn target(&self, export: &str) -> Target {
        match &self.place {
            Place::Unix(path) => Target::unix(path, export),
            Place::Tcp(port) => Target::tcp("127.0.0.1", *port, export),
        }
    }

    fn start(mut command: Command, place: Place, folder: TempDir) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let listens = match &place {
                Place::Unix(path) => UnixStream::connect(path).map(drop),
                Place::Tcp(port) => TcpStream::connect(("127.0.0.1", *port)).map(drop),
            };
            if listens.is_ok() {
                break;
            }
            let ended = child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > patience {
                let _ = child.kill();
                let mut words = String::new();
                let _ = child.stderr.take().unwrap().read_to_string(&mut words);
                panic!("{command:?} does not listen: {words}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Self {
            child,
            place,
            _folder: folder,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    (folder, path)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// nbdkit on a Unix socket.
pub(crate) fn nbdkit<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Server {
    let (folder, path) = socket();
    let mut command = Command::new("nbdkit");
    command
        .args(["--foreground", "--exit-with-parent", "--unix"])
        .arg(&path);
    command.args(args);
    Server::start(command, Place::Unix(path), folder)
}

/// qemu-nbd, which serves any number of clients, on a Unix socket.
pub(crate) fn qemu_nbd(args: &[&str], image: &Path) -> Server {
    let (folder, path) = socket();
    let mut command = Command::new("qemu-nbd");
    command.args(["--persistent", "--shared=0", "--format=raw", "--socket"]);
    command.arg(&path).args(args).arg(image);
    Server::start(command, Place::Unix(path), folder)
}

/// qemu-nbd on a TCP port of this machine.
pub(crate) fn qemu_nbd_tcp(args: &[&str], image: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new("qemu-nbd");
    command.args(["--persistent", "--shared=0", "--format=raw", "--bind=127.0.0.1"]);
    command.arg(format!("--port={port}")).args(args).arg(image);
    Server::start(command, Place::Tcp(port), TempDir::new().unwrap())
}

/// nbd-server with one export, `disk`, for one client. Knocking at its door would use it up.
pub(crate) fn nbd_server(image: &Path) -> Server {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let config = folder.path().join("config");
    let text = format!(
        "[generic]\nlistenaddr = 127.0.0.1\nport = {port}\nallowlist = true\n[disk]\nexportname = {}\nreadonly = true\n",
        image.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("nbd-server");
    command.args(["-d", "-C"]).arg(&config);
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    Server {
        child,
        place: Place::Tcp(port),
        _folder: folder,
    }
}

/// What a disk of the tests holds: bytes that name their position.
pub(crate) fn content(offset: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(offset);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// A sparse image of `size` bytes with data in some stretches.
pub(crate) fn image(size: u64, data: &[(u64, usize)]) -> NamedTempFile {
    let image = NamedTempFile::new().unwrap();
    image.as_file().set_len(size).unwrap();
    for &(offset, length) in data {
        image.as_file().write_all_at(&content(offset, length), offset).unwrap();
    }
    image
}

pub(crate) fn whole(image: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; image.metadata()?.len() as usize];
    image.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

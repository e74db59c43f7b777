//! A virtual machine that runs nothing but Debian's kernel, busybox and the agent, emulated by QEMU.

mod initramfs;

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serial_link_protocol::blocking::Client;
use serial_link_protocol::{Config, Entropy, Secret};
use tempfile::TempDir;

use self::initramfs::Initramfs;

const SECRET: &str = "a secret that only the tests know";

/// Boots to the agent, which has the port in common with the kernel's messages, of which five come a second.
const INIT: &str = "#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while sleep 0.2; do echo '<1>the kernel has something to say' > /dev/kmsg; done &
while true; do /serial-agent --port /dev/ttyS0 --secret /secret; sleep 1; done
";

pub(crate) struct Machine {
    pub(crate) client: Client,
    pub(crate) console: Arc<Mutex<Vec<u8>>>,
    connection: Arc<Mutex<Option<UnixStream>>>,
    /// The socket of a second port, with nothing on it.
    pub(crate) raw: PathBuf,
    qemu: Child,
    _folder: TempDir,
}

/// What is needed: the emulator, a kernel and busybox.
struct Tools {
    qemu: PathBuf,
    kernel: PathBuf,
    busybox: PathBuf,
}

impl Machine {
    /// Nothing if a tool is missing, and nobody insists.
    pub(crate) fn boot() -> Option<Self> {
        let tools = match Tools::find() {
            Ok(tools) => tools,
            Err(missing) => {
                assert!(std::env::var_os("CI").is_none(), "{missing} is missing");
                eprintln!("skipped: {missing} is missing");
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let initramfs = folder.path().join("initramfs");
        fs::write(&initramfs, content(&tools)).unwrap();
        let socket = folder.path().join("serial");
        let raw = folder.path().join("raw");
        let qemu = Command::new(tools.qemu)
            .args([
                "-accel",
                "tcg",
                "-m",
                "256",
                "-nodefaults",
                "-no-reboot",
                "-display",
                "none",
                "-serial",
            ])
            .arg(format!("unix:{},server,nowait", socket.display()))
            .args(["-serial", &format!("unix:{},server,nowait", raw.display())])
            .args(["-append", "console=ttyS0 panic=-1", "-kernel"])
            .args([tools.kernel.as_os_str(), "-initrd".as_ref(), initramfs.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();

        let console = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&console);
        let config = Config::new(Secret::new(SECRET).unwrap(), Entropy::system().unwrap());
        let client = Client::new(config, move |text| heard.lock().unwrap().extend_from_slice(text));
        let connection = Arc::default();
        let machine = Self {
            client,
            console,
            connection,
            raw,
            qemu,
            _folder: folder,
        };
        machine.bridge(socket);
        let connected = machine.client.connected(Duration::from_secs(120));
        let console = machine.console.lock().unwrap().clone();
        assert!(
            connected.is_ok(),
            "{connected:?}\n{}",
            String::from_utf8_lossy(&console)
        );
        Some(machine)
    }

    /// Connects to the port, again and again.
    fn bridge(&self, socket: PathBuf) {
        let (client, current) = (self.client.clone(), Arc::clone(&self.connection));
        thread::spawn(move || {
            while socket.parent().is_some_and(Path::exists) {
                let _: io::Result<()> = UnixStream::connect(&socket).and_then(|port| {
                    *current.lock().unwrap() = Some(port.try_clone()?);
                    client.run(&port, &port)
                });
                thread::sleep(Duration::from_millis(50));
            }
        });
    }

    /// Breaks the connection to the port.
    pub(crate) fn cut(&self) {
        if let Some(port) = self.connection.lock().unwrap().take() {
            port.shutdown(std::net::Shutdown::Both).unwrap();
        }
    }

    /// How long a ping takes.
    pub(crate) fn ping(&self) -> Duration {
        let start = Instant::now();
        self.client.ping().unwrap();
        start.elapsed()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.qemu.kill().unwrap();
        self.qemu.wait().unwrap();
    }
}

impl Tools {
    fn find() -> Result<Self, &'static str> {
        Ok(Self {
            qemu: in_path("qemu-system-x86_64").ok_or("qemu-system-x86_64 (Debian's qemu-system-x86)")?,
            kernel: kernel().ok_or("a kernel, /boot/vmlinuz-* or $TEST_KERNEL (Debian's linux-image-cloud-amd64)")?,
            busybox: in_path("busybox").ok_or("busybox (Debian's busybox-static)")?,
        })
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.exists())
}

fn kernel() -> Option<PathBuf> {
    if let Some(kernel) = std::env::var_os("TEST_KERNEL") {
        return Some(kernel.into());
    }
    let images = fs::read_dir("/boot").ok()?.flatten().map(|entry| entry.path());
    images
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })
        .max()
}

fn content(tools: &Tools) -> Vec<u8> {
    let agent = env!("CARGO_BIN_EXE_serial-agent");
    let mut initramfs = Initramfs::default();
    initramfs.file("/init", 0o755, INIT.as_bytes());
    initramfs.file("/secret", 0o600, SECRET.as_bytes());
    initramfs.file("/bin/busybox", 0o755, &fs::read(&tools.busybox).unwrap());
    initramfs.file("/serial-agent", 0o755, &fs::read(agent).unwrap());
    // The release is static; what the tests build needs its libraries.
    let libraries = Command::new("ldd").arg(agent).output().unwrap().stdout;
    for path in String::from_utf8(libraries)
        .unwrap()
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        initramfs.file(path, 0o755, &fs::read(path).unwrap());
    }
    initramfs.finish()
}

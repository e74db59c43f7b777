//! A host, played by parts of this machine: a control domain in a network namespace of its own with real devices and a
//! real tcpdump, a private sshd in front of it, and files in the place of xenstore.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dom0::{Auth, Dom0, HostKeys};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

pub(crate) const UUID: &str = "0c0ffee0-1111-2222-3333-444444444444";
pub(crate) const MAC: &str = "02:00:00:00:00:07";
/// What the VM sends to.
pub(crate) const PORT: u16 = 7777;

const LIST: &str = "[ -d \"$STORE$1\" ] || exit 1\nls \"$STORE$1\" | grep -vx value\nexit 0";
const READ: &str = "[ -f \"$STORE$1/value\" ] || exit 1\ncat \"$STORE$1/value\"\necho";

pub(crate) struct Host {
    pub(crate) folder: TempDir,
    pub(crate) dom0: String,
    vm: String,
    port: u16,
    sshd: Child,
}

fn ip(words: &str) -> bool {
    let mut ip = Command::new("ip");
    ip.args(words.split(' ')).stderr(Stdio::null());
    ip.status().is_ok_and(|status| status.success())
}

fn must(words: &str) {
    assert!(ip(words), "ip {words}");
}

/// What is missing on this machine; where tests run for everyone, nothing must.
fn missing() -> Option<String> {
    if !rustix::process::getuid().is_root() {
        return Some("not root".into());
    }
    let is_there = |program: &&str| {
        let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        !folders.iter().any(|folder| Path::new(folder).join(program).exists())
    };
    let programs = ["ip", "sshd", "ssh-keygen", "tcpdump", "tshark", "capinfos"];
    let absent: Vec<_> = programs.into_iter().filter(is_there).collect();
    if !absent.is_empty() {
        return Some(format!("not installed: {absent:?}"));
    }
    let name = format!("pcap-tap-{}-probe", std::process::id());
    let works = ip(&format!("netns add {name}"))
        && ip(&format!("-n {name} link add vif0.0 type veth peer name eth0"))
        && ip(&format!("-n {name} link add xenbr0 type bridge"));
    ip(&format!("netns del {name}"));
    (!works).then(|| "no network namespaces with veth and bridge".into())
}

impl Host {
    /// A host with a VM, or none where this machine cannot play one.
    pub(crate) fn start(name: &str) -> Option<Self> {
        static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let lock = LOCK.lock();
        if let Some(reason) = missing() {
            assert!(std::env::var_os("CI").is_none(), "{reason}");
            eprintln!("skipped: {reason}");
            return None;
        }
        drop(lock);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("pcap-tap-{}-{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let (dom0, vm) = (format!("{id}-dom0"), format!("{id}-vm"));
        must(&format!("netns add {dom0}"));
        must(&format!("netns add {vm}"));
        must(&format!("-n {dom0} link set lo up"));
        must(&format!("-n {dom0} link add xenbr0 type bridge"));
        must(&format!("-n {dom0} addr add 10.7.0.1/24 dev xenbr0"));
        must(&format!("-n {dom0} link set xenbr0 up"));
        let (sshd, port) = sshd(folder.path(), &dom0);
        let host = Self {
            folder,
            dom0,
            vm,
            port,
            sshd,
        };
        host.store("/local/domain/0/name", "Domain-0");
        host.store("/local/domain/0/vm", "/vm/00000000-0000-0000-0000-000000000000");
        host.boot(7, name);
        Some(host)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self, path: &str, value: &str) {
        let folder = self.path(&format!("store{path}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("value"), value).unwrap();
    }

    /// Starts the VM as a domain.
    pub(crate) fn boot(&self, domain: u32, name: &str) {
        let (dom0, vm) = (&self.dom0, &self.vm);
        let vif = format!("vif{domain}.0");
        must(&format!("-n {dom0} link add {vif} type veth peer name eth0 netns {vm}"));
        must(&format!("-n {vm} link set eth0 address {MAC} up"));
        must(&format!("-n {vm} addr add 10.7.0.7/24 dev eth0"));
        must(&format!(
            "-n {vm} neigh replace 10.7.0.1 lladdr 02:00:00:00:00:01 dev eth0"
        ));
        must(&format!("-n {dom0} link set {vif} master xenbr0 up"));
        let backend = format!("/local/domain/0/backend/vif/{domain}/0");
        self.store(&format!("{backend}/mac"), MAC);
        self.store(&format!("{backend}/bridge"), "xenbr0");
        self.store(&format!("/local/domain/{domain}/vm"), &format!("/vm/{UUID}"));
        self.store(&format!("/local/domain/{domain}/name"), name);
    }

    /// Has the VM use an emulated NIC instead of the paravirtual one.
    pub(crate) fn emulate(&self, domain: u32) {
        let (dom0, vm) = (&self.dom0, &self.vm);
        let tap = format!("tap{domain}.0");
        must(&format!("-n {vm} link set eth0 down name eth9"));
        must(&format!("-n {dom0} link add {tap} type veth peer name eth0 netns {vm}"));
        must(&format!("-n {dom0} link set {tap} master xenbr0 up"));
        self.configure();
    }

    /// What drivers for Xen do when they start.
    pub(crate) fn unplug_emulated(&self, domain: u32) {
        must(&format!("-n {} link del tap{domain}.0", self.dom0));
        must(&format!("-n {} link set eth9 name eth0", self.vm));
        self.configure();
    }

    /// Gives the VM's NIC its addresses.
    fn configure(&self) {
        let vm = &self.vm;
        must(&format!("-n {vm} link set eth0 address {MAC} up"));
        must(&format!("-n {vm} addr replace 10.7.0.7/24 dev eth0"));
        must(&format!(
            "-n {vm} neigh replace 10.7.0.1 lladdr 02:00:00:00:00:01 dev eth0"
        ));
    }

    /// Destroys the VM.
    pub(crate) fn destroy(&self, domain: u32) {
        must(&format!("-n {} link del vif{domain}.0", self.dom0));
        let _ = fs::remove_dir_all(self.path(&format!("store/local/domain/{domain}")));
        let _ = fs::remove_dir_all(self.path(&format!("store/local/domain/0/backend/vif/{domain}")));
    }

    /// Has the VM send packets with the numbers, so many a second; gives back when each was sent.
    pub(crate) fn send(&self, numbers: std::ops::Range<u32>, rate: u32) -> Vec<Duration> {
        let namespace = File::open(format!("/run/netns/{}", self.vm)).unwrap();
        let send = move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network)).unwrap();
            let socket = UdpSocket::bind("10.7.0.7:0").unwrap();
            socket.connect(("10.7.0.1", PORT)).unwrap();
            let start = Instant::now();
            let mut times = Vec::new();
            for (count, number) in numbers.enumerate() {
                let due = Duration::from_secs(1) * count as u32 / rate;
                thread::sleep(due.saturating_sub(start.elapsed()));
                times.push(std::time::UNIX_EPOCH.elapsed().unwrap());
                // The control domain's end may have gone, or answer that nobody listens.
                let _ = socket.send(&number.to_be_bytes());
            }
            times
        };
        thread::spawn(send).join().unwrap()
    }

    /// A program that runs where the VM is.
    pub(crate) fn in_vm(&self, program: &str) -> Command {
        inside(&self.vm, program)
    }

    /// A program that runs where the control domain is.
    pub(crate) fn in_dom0(&self, program: &str) -> Command {
        inside(&self.dom0, program)
    }

    pub(crate) fn address(&self) -> String {
        format!("root@127.0.0.1:{}", self.port)
    }

    pub(crate) async fn session(&self) -> Dom0 {
        session(&self.address(), self.folder.path()).await
    }

    /// Whether tcpdump captures in the control domain, or begins or ends to within five seconds.
    pub(crate) fn has_tcpdump(&self, wanted: bool) -> bool {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let pids = Command::new("ip").args(["netns", "pids", &self.dom0]).output().unwrap();
            let pids = String::from_utf8_lossy(&pids.stdout).into_owned();
            let captures = |words: String| words.starts_with("tcpdump\0") && words.contains("\0-w\0");
            let is_tcpdump = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(captures);
            let has = pids.split_whitespace().any(is_tcpdump);
            if has == wanted || Instant::now() > end {
                return has;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server and all its sessions.
    pub(crate) fn kill_sshd(&self) {
        let mut processes = vec![self.sshd.id()];
        let mut at = 0;
        while let Some(&process) = processes.get(at) {
            at += 1;
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
            let is_sshd =
                |id: &u32| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.starts_with("sshd"));
            processes.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse().ok())
                    .filter(is_sshd),
            );
        }
        for process in processes {
            let kill = Command::new("kill")
                .args(["-s", "KILL", &process.to_string()])
                .stderr(Stdio::null())
                .status();
            assert!(kill.is_ok());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_sshd();
        let _ = self.sshd.wait();
        let _ = self.has_tcpdump(false);
        ip(&format!("netns del {}", self.dom0));
        ip(&format!("netns del {}", self.vm));
    }
}

fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

/// A session to the host that has its keys in a folder.
pub(crate) async fn session(address: &str, folder: &Path) -> Dom0 {
    let known = folder.join("known_hosts");
    let key = fs::read_to_string(folder.join("host.pub")).unwrap();
    let (_, port) = address.rsplit_once(':').unwrap();
    fs::write(&known, format!("[127.0.0.1]:{port} {key}")).unwrap();
    Dom0::connect(address)
        .auth(Auth::key_file(folder.join("id")))
        .host_keys(HostKeys::known_hosts(known))
        .await
        .unwrap()
}

fn script(file: &Path, lines: &str) {
    fs::write(file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A server on the loopback address that runs every command in a namespace.
fn sshd(folder: &Path, namespace: &str) -> (Child, u16) {
    for key in ["host", "id"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.join(key));
        assert!(keygen.status().unwrap().success());
    }
    fs::copy(folder.join("id.pub"), folder.join("authorized_keys")).unwrap();
    fs::create_dir_all(folder.join("bin")).unwrap();
    script(&folder.join("bin/xenstore-list"), LIST);
    script(&folder.join("bin/xenstore-read"), READ);
    let at = folder.display();
    script(
        &folder.join("enter"),
        &format!(
            "export PATH={at}/bin:/usr/sbin:/usr/bin:/sbin:/bin STORE={at}/store HOME={at}\n\
             exec ip netns exec {namespace} sh -c \"$SSH_ORIGINAL_COMMAND\""
        ),
    );
    let config = format!(
        "ListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\nPidFile none\nUsePAM no\n\
         StrictModes no\nPermitRootLogin yes\nLogLevel ERROR\nMaxStartups 100\nForceCommand exec {at}/enter\n"
    );
    fs::write(folder.join("sshd_config"), config).unwrap();
    // Where it separates its privileges to; packages make it when the service starts.
    let _ = fs::create_dir_all("/run/sshd");
    // A port may be taken between being found and being used.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("/usr/sbin/sshd");
        server
            .args(["-D", "-e", "-p", &port.to_string(), "-f"])
            .arg(folder.join("sshd_config"));
        let log = File::create(folder.join("log")).unwrap();
        let mut server = server
            .stderr(log)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && server.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (server, port);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = server.kill();
        let _ = server.wait();
    }
    panic!("sshd does not start: {:?}", fs::read_to_string(folder.join("log")));
}

/// What tshark makes of a file: a row of fields for each packet, without a complaint.
pub(crate) fn tshark(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark
        .args(["-n", "-T", "fields"])
        .args(fields.iter().flat_map(|field| ["-e", field]));
    let text = said(tshark.arg("-r").arg(file));
    let rows = text.lines().map(|line| line.split('\t').map(str::to_owned).collect());
    rows.collect()
}

/// What a program of Wireshark's prints.
pub(crate) fn said(program: &mut Command) -> String {
    let output = program.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let mut complaints = complaints.lines().filter(|line| !line.contains("as user \"root\""));
    assert_eq!(complaints.next(), None, "{program:?}");
    assert!(output.status.success(), "{program:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The number in a packet, as tshark shows its data.
pub(crate) fn number(data: &str) -> u32 {
    u32::from_str_radix(data, 16).unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

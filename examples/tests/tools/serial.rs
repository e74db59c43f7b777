//! Serial ports: their settings in a pool, and what goes through one to a real agent.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command as Program, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::tempdir;
use tokio::process::Command;
use xenapi::Map;
use xenapi_sim::Fault;

use crate::harness::{Folder, Pool, complained, json, said, tool};
use crate::sshd::{Sshd, user};
use crate::xenstored::Store;

/// A guest with an agent, and its port as QEMU serves it: one program at a time, and what the guest sends while there is
/// none is lost.
struct Guest {
    folder: Folder,
    agent: Child,
    /// The guest's end of the port.
    console: File,
    _port: OwnedFd,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// The agent's program. None, with the reason printed, where it was not built.
fn agent() -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let agent = profile.join("serial-agent");
    if !agent.exists() {
        assert!(std::env::var_os("CI").is_none(), "serial-agent was not built");
        eprintln!("skipped: serial-agent was not built");
        return None;
    }
    Some(agent)
}

impl Guest {
    fn start() -> Option<Self> {
        let agent = agent()?;
        let folder = Folder(tempdir().unwrap());
        for (name, secret) in [
            ("secret", "a secret that only the tests know"),
            ("other", "what nobody shares with anybody"),
        ] {
            fs::write(folder.path(name), secret).unwrap();
            fs::set_permissions(folder.path(name), Permissions::from_mode(0o600)).unwrap();
        }
        let port = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&port).unwrap();
        unlockpt(&port).unwrap();
        let name = PathBuf::from(ptsname(&port, Vec::new()).unwrap().into_string().unwrap());
        let console = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let socket = UnixListener::bind(folder.path("port")).unwrap();
        serve(socket, port.try_clone().unwrap().into());
        let agent = Program::new(agent)
            .args(["--port".as_ref(), name.as_os_str(), "--secret".as_ref()])
            .arg(folder.path("secret"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self {
            folder,
            agent,
            console: console.into(),
            _port: port,
        })
    }

    fn port(&self) -> String {
        format!("unix:{}", self.folder.path("port").display())
    }

    /// The tool, for this guest's agent.
    fn serial(&self, job: &str, place: &str) -> Option<Command> {
        let mut command = tool("serial")?;
        command.args([job, place, "--secret"]).arg(self.folder.path("secret"));
        command.env("XDG_RUNTIME_DIR", self.folder.0.path());
        Some(command)
    }
}

fn serve(socket: UnixListener, mut port: File) {
    let current: Arc<Mutex<Option<UnixStream>>> = Arc::default();
    let (mut from, to) = (port.try_clone().unwrap(), current.clone());
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            let stream = to.lock().unwrap().as_ref().map(|stream| stream.try_clone().unwrap());
            if let Some(mut stream) = stream {
                let _ = stream.write_all(&piece[..length]);
            }
        }
    });
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            *current.lock().unwrap() = Some(stream.try_clone().unwrap());
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                port.write_all(&piece[..length]).unwrap();
            }
            *current.lock().unwrap() = None;
        }
    });
}

async fn output(command: Option<Command>, arguments: &[&str]) -> Output {
    let mut command = command.unwrap();
    let output = tokio::time::timeout(Duration::from_secs(60), command.args(arguments).output());
    output.await.expect("it hangs").unwrap()
}

fn content(size: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(size).collect()
}

fn setting(pool: &Pool, vm: &str) -> serde_json::Value {
    let vm = pool.simulator.find("VM", vm).unwrap();
    serde_json::to_value(pool.simulator.get("VM", &vm, "platform").unwrap()).unwrap()["hvm_serial"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_get_ports_that_can_be_reached_and_a_failure_leaves_what_was() {
    let pool = Pool::new(8).await;
    let vm = pool.simulator.find("VM", "web-02").unwrap();
    let platform: Map<String, String> = [("hvm_serial".to_owned(), "tcp:10.0.0.5:7000".to_owned())]
        .into_iter()
        .collect();
    pool.simulator.set("VM", &vm, "platform", platform);
    let Some(tool) = pool.tool("serial") else { return };
    let status = json(&output(Some(tool), &["status", "web-*", "--json"]).await);
    assert_eq!(status[1]["setting"], "tcp:10.0.0.5:7000");
    assert!(
        status[1]["traps"][0]
            .as_str()
            .unwrap()
            .contains("once, when the VM starts"),
        "{status}"
    );
    assert_eq!(
        (&status[0]["setting"], &status[0]["origin"]),
        (&"pty".into(), &"default".into())
    );

    // Not even one of the two is changed.
    for (flags, code) in [
        (&["--form", "tcp:10.0.0.9:1"][..], 1),
        (&["--form", "nonsense"], 2),
        (&["--dry-run"], 0),
    ] {
        let planned = output(pool.tool("serial"), &[&["setup", "web-*"], flags].concat()).await;
        assert_eq!(planned.status.code(), Some(code), "{planned:?}");
        assert_eq!(setting(&pool, "web-02"), "tcp:10.0.0.5:7000");
    }

    pool.simulator.fault(
        Fault::on("VM.add_to_platform")
            .error("INTERNAL_ERROR", ["out of luck"])
            .times(1),
    );
    let failed = output(pool.tool("serial"), &["setup", "web-02", "web-01", "--parallel", "1"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        said(&failed).contains("web-02: failed:") && said(&failed).contains("web-01: unix:/run/serial-"),
        "{failed:?}"
    );
    assert_eq!(setting(&pool, "web-02"), "tcp:10.0.0.5:7000", "it is as it was");
    // The second VM of a host could not have the same socket.
    let one = "tcp:127.0.0.1:7000,server,nowait";
    let shared = output(pool.tool("serial"), &["setup", "web-*", "--form", one]).await;
    assert_eq!(shared.status.code(), Some(1), "{shared:?}");
    assert!(complained(&shared).contains("VMs would have one socket"), "{shared:?}");
    let done = output(pool.tool("serial"), &["setup", "web-02", "--folder", "/run/serial"]).await;
    assert!(complained(&done).contains("/run/serial has to be there"), "{done:?}");
    assert!(done.status.success());
    let uuid = pool.simulator.get("VM", &vm, "uuid").unwrap();
    let uuid = serde_json::to_value(uuid).unwrap();
    assert_eq!(
        setting(&pool, "web-02"),
        format!("unix:/run/serial/serial-{},server,nowait", uuid.as_str().unwrap())
    );
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_files_go_through_the_host_of_a_vm() {
    let (Some(sshd), Some(guest)) = (Sshd::start(), Guest::start()) else {
        return;
    };
    let pool = Pool::new(2).await;
    for host in pool.simulator.refs("host") {
        pool.simulator.set("host", &host, "address", "127.0.0.1");
    }
    let vm = pool.simulator.find("VM", "web-01").unwrap();
    let form = format!("{},server,nowait", guest.port());
    let platform: Map<String, String> = [("hvm_serial".to_owned(), form)].into_iter().collect();
    pool.simulator.set("VM", &vm, "platform", platform);
    let flags = sshd.flags(&user());
    let serial = |job: &str| {
        let mut serial = guest.serial(job, "web-01")?;
        serial
            .args(["--url", pool.server.url(), "--pin", &pool.pin()])
            .args(&flags);
        Some(serial)
    };
    let ran = output(serial("exec"), &["--shell", "--", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!(
        (ran.status.code(), said(&ran)),
        (Some(7), "out\n".to_owned()),
        "{ran:?}"
    );
    assert!(complained(&ran).ends_with("err\n"));
    let words = output(serial("exec"), &["--", "printf", "%s|", "a b", "$(id)", "; rm"]).await;
    assert_eq!(said(&words), "a b|$(id)|; rm|");
    let late = output(serial("exec"), &["--timeout", "1", "--", "sleep", "9"]).await;
    assert_eq!(late.status.code(), Some(124));
    let info = json(&output(serial("info"), &["--json"]).await);
    assert!(info["kernel"].as_str().unwrap().starts_with("Linux "), "{info}");

    let (ours, theirs) = (
        guest.folder.path("ours"),
        format!(":{}", guest.folder.path("theirs").display()),
    );
    let original = content(300_000);
    fs::write(&ours, &original).unwrap();
    let ours = ours.to_str().unwrap();
    let sent = output(serial("cp"), &[ours, &theirs]).await;
    assert!(sent.status.success(), "{sent:?}");
    assert!(fs::read(guest.folder.path("theirs")).unwrap() == original);
    let back = guest.folder.path("back");
    let got = output(serial("cp"), &[&theirs, back.to_str().unwrap()]).await;
    assert!(got.status.success() && fs::read(&back).unwrap() == original, "{got:?}");
    let absent = output(serial("cp"), &[":/no/such/file", back.to_str().unwrap()]).await;
    assert_eq!(absent.status.code(), Some(1));
    assert!(complained(&absent).contains("/no/such/file"), "{absent:?}");
    assert!(fs::read(&back).unwrap() == original, "it is as it was");

    let wrong = output(
        serial("exec"),
        &["--secret", guest.folder.path("other").to_str().unwrap(), "--", "true"],
    )
    .await;
    assert_eq!(wrong.status.code(), Some(2), "said twice");
    fs::copy(guest.folder.path("other"), guest.folder.path("secret")).unwrap();
    let wrong = output(serial("exec"), &["--", "true"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(complained(&wrong).contains("another secret"), "{wrong:?}");
    pool.simulator.set("VM", &vm, "resident_on", "OpaqueRef:NULL");
    pool.simulator.set("VM", &vm, "power_state", "Halted");
    let halted = output(serial("exec"), &["--patience", "1", "--", "true"]).await;
    assert_eq!(halted.status.code(), Some(1));
    assert!(complained(&halted).contains("it is halted"), "{halted:?}");
    pool.assert_tidy().await;
}

/// A bridge that serves a socket, and answers there.
async fn bridge(guest: &Guest) -> Option<Child> {
    let mut command = tool("serial")?.into_std();
    command
        .args(["bridge", &guest.port(), "--socket"])
        .arg(guest.folder.path("served"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(guest.folder.path("served")).is_err() {
        assert!(Instant::now() < end, "the bridge does not serve");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Some(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_pass_while_the_bridge_is_killed_again_and_again() {
    const SIZE: usize = 16 << 20;
    let Some(mut guest) = Guest::start() else { return };
    let Some(mut running) = bridge(&guest).await else {
        return;
    };
    let served = format!("unix:{}", guest.folder.path("served").display());
    let original = content(SIZE);
    fs::write(guest.folder.path("ours"), &original).unwrap();
    let ways = [("ours", ":there", "there"), (":there", "back", "back")];
    for (from, to, made) in ways {
        let place = |name: &str| match name.strip_prefix(':') {
            Some(name) => format!(":{}", guest.folder.path(name).display()),
            None => guest.folder.path(name).display().to_string(),
        };
        let mut copy = guest.serial("cp", &served).unwrap();
        copy.args([place(from), place(to)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let copying = copy.spawn().unwrap();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            running.kill().unwrap();
            running.wait().unwrap();
            guest
                .console
                .write_all(b"\r\n[   12.3] usb 1-1: new device\r\n")
                .unwrap();
            running = bridge(&guest).await.unwrap();
        }
        let copied = tokio::time::timeout(Duration::from_secs(120), copying.wait_with_output()).await;
        let copied = copied.expect("it hangs").unwrap();
        assert!(copied.status.success(), "{copied:?}");
        assert!(fs::read(guest.folder.path(made)).unwrap() == original, "{made} differs");
    }

    // The link is there again as soon as the bridge is.
    let mut shell = guest.serial("exec", &served).unwrap();
    shell.args(["--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let (mut input, mut answer) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
    let mut line = [0; 4];
    for _ in 0..3 {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        input.write_all(b"one\n").await.unwrap();
        answer.read_exact(&mut line).await.unwrap();
        running.kill().unwrap();
        running.wait().unwrap();
        running = bridge(&guest).await.unwrap();
        let back = Instant::now();
        input.write_all(b"two\n").await.unwrap();
        answer.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"two\n");
        eprintln!("the link is usable {:?} after the bridge is", back.elapsed());
    }
    drop(input);
    assert!(shell.wait().await.unwrap().success());
    running.kill().unwrap();
    running.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bridge_is_for_all_and_one_of_them_writes() {
    let Some(guest) = Guest::start() else { return };
    let log = guest.folder.path("log");
    let Some(command) = tool("serial") else { return };
    let mut bridge = command.into_std();
    bridge
        .args(["bridge", &guest.port(), "--listen", "127.0.0.1:0", "--log"])
        .arg(&log);
    let mut bridge = bridge.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(bridge.stdout.take().unwrap()));
    let place = lines
        .find_map(|line| {
            line.unwrap()
                .strip_prefix("tcp:")
                .map(|address| format!("tcp:{address}"))
        })
        .unwrap();

    let mut cat = guest.serial("exec", &place).unwrap();
    let mut cat = cat
        .args(["--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        cat.stdin.as_mut().unwrap().write_all(b"x").await.unwrap();
        let mut byte = [0];
        cat.stdout.as_mut().unwrap().read_exact(&mut byte).await.unwrap();
    }
    // The second writer is sent away; it comes to no harm, and does none.
    let second = output(guest.serial("exec", &place), &["--patience", "1", "--", "true"]).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    drop(cat.stdin.take());
    assert!(cat.wait().await.unwrap().success());
    let third = output(guest.serial("exec", &place), &["--", "true"]).await;
    assert!(third.status.success(), "{third:?}");

    (&guest.console).write_all(b"\r\nlogin: \r\n").unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !fs::read(&log).is_ok_and(|log| String::from_utf8_lossy(&log).contains("Z login: ")) {
        assert!(Instant::now() < end, "the log has no line");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bridge.kill().unwrap();
    bridge.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_port_is_reached_through_the_pool_alone() {
    let Some(agent) = agent() else { return };
    let pool = Pool::new(2).await;
    let vm = pool.simulator.find("VM", "web-01").unwrap();
    let folder = Folder(tempdir().unwrap());
    fs::write(folder.path("secret"), "a secret that only the tests know").unwrap();
    fs::set_permissions(folder.path("secret"), Permissions::from_mode(0o600)).unwrap();
    let store = Store::default();
    store.serve(&folder.path("xenbus"), true);
    let mut agent = Program::new(agent)
        .args(["--xenstore", "vm-data/serial-link", "--xenbus"])
        .arg(folder.path("xenbus"))
        .arg("--secret")
        .arg(folder.path("secret"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // What xapi does: a VM's `vm-data` is shown in the pool soon, and replaced by what is set there.
    let (mirrored, simulator) = (store.clone(), pool.simulator.clone());
    let mirroring = tokio::spawn(async move {
        let mut last = BTreeMap::new();
        loop {
            let set = serde_json::to_value(simulator.get("VM", &vm, "xenstore_data").unwrap()).unwrap();
            let set: BTreeMap<String, String> = serde_json::from_value(set).unwrap();
            if set != last {
                mirrored.replace("vm-data/", &set);
            }
            last = mirrored.below("vm-data/");
            let shown: Map<String, String> = last.clone().into_iter().collect();
            simulator.set("VM", &vm, "xenstore_data", shown);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut exec = pool.tool("serial").unwrap();
    exec.args(["exec", "web-01", "--by", "pool", "--patience", "40", "--secret"])
        .arg(folder.path("secret"));
    let ran = output(Some(exec), &["--shell", "--", "echo through the pool; exit 5"]).await;
    assert_eq!(
        (ran.status.code(), said(&ran)),
        (Some(5), "through the pool\n".to_owned()),
        "{ran:?}"
    );
    store.seen();
    mirroring.abort();
    agent.kill().unwrap();
    agent.wait().unwrap();
    pool.assert_tidy().await;
}

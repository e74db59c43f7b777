//! The agent without a port, through values in xenstore: a stand-in's, and with `XEN_LAB` a real one's.
#![cfg(target_os = "linux")]

mod store;
#[path = "../../../pcap-tap/tests/xen_lab/mod.rs"]
mod xen_lab;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Cursor};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use dom0::xen::Store as Connection;
use serial_link::bridge::Bridge;
use serial_link::link::{Client, Command, Config, Entropy, Exit, Put, Secret};
use serial_link::reach::{BoardLine, XenStoreValues};
use store::Store;
use tempfile::TempDir;
use tokio::net::UnixStream;

const SECRET: &str = "a secret that only the tests know";
const FOLDER: &str = "data/serial-link";

struct Guest {
    store: Store,
    folder: TempDir,
    agent: Child,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
    }
}

impl Guest {
    fn start(at: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::default();
        store.write("/local/domain/7/name", "web-01");
        store.forbid("/vm-data/");
        store.serve(&folder.path().join("host"), false);
        store.serve(&folder.path().join("guest"), true);
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let agent = Program::new(env!("CARGO_BIN_EXE_serial-agent"))
            .args(["--xenstore", at, "--xenbus"])
            .arg(folder.path().join("guest"))
            .arg("--secret")
            .arg(secret)
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.path().join("said")).unwrap())
            .spawn()
            .unwrap();
        Self { store, folder, agent }
    }

    fn client(&self, domain: u32) -> Client {
        let socket = self.folder.path().join("host");
        let line = BoardLine::new("xenstore", move || {
            let socket = socket.clone();
            async move {
                let (from, to) = UnixStream::connect(socket).await?.into_split();
                XenStoreValues::open(Connection::new(from, to), domain, FOLDER).await
            }
        });
        let config = Config::new(Secret::new(SECRET).unwrap(), Entropy::system().unwrap());
        Client::start(&Bridge::start(line), config, |_| {}).unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_each_way_in_values_that_fit() {
    let guest = Guest::start(FOLDER);
    let client = guest.client(7);
    client.connected(Duration::from_secs(20)).await.unwrap();
    let output = client
        .output(&Command::shell("cat; exit 3"), b"through xenstore")
        .await
        .unwrap();
    assert_eq!(
        (output.exit, &output.stdout[..]),
        (Exit::Code(3), &b"through xenstore"[..])
    );

    let original: Vec<u8> = (0..1_u32 << 20).map(|at| (at ^ (at >> 8) ^ (at >> 13)) as u8).collect();
    let path = guest.folder.path().join("there").display().to_string();
    let put = Put {
        path: path.clone(),
        size: original.len() as u64,
        mode: None,
        resume: false,
    };
    let start = Instant::now();
    client.put(&put, &mut Cursor::new(&original[..])).await.unwrap();
    assert!(fs::read(&path).unwrap() == original);
    let mut back = Cursor::new(Vec::new());
    client.get(&path, &mut back).await.unwrap();
    assert!(back.into_inner() == original);
    let (largest, written) = guest.store.seen();
    eprintln!(
        "1 MiB each way in {:?}, {written} values of at most {largest} bytes",
        start.elapsed()
    );
    assert!(largest <= 1024);

    // All values are taken away, as by somebody else's VM.set_xenstore_data; the next goes on.
    guest.store.replace("data/", &BTreeMap::new());
    client.ping().await.unwrap();

    // Another host takes over where this one was.
    drop(client);
    let other = guest.client(7);
    other.connected(Duration::from_secs(20)).await.unwrap();
    other.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_full_or_forbidden_is_said() {
    let guest = Guest::start("vm-data/serial-link");
    let forbidden = async {
        while !guest.said().contains("is not permitted") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // It writes when it is spoken to.
    let socket = guest.folder.path().join("host");
    let line = BoardLine::new("xenstore", move || {
        let socket = socket.clone();
        async move {
            let (from, to) = UnixStream::connect(socket).await?.into_split();
            XenStoreValues::open(Connection::new(from, to), 7, "vm-data/serial-link").await
        }
    });
    let bridge = Bridge::start(line);
    let config = Config::new(Secret::new(SECRET).unwrap(), Entropy::system().unwrap());
    let _client = Client::start(&bridge, config, |_| {}).unwrap();
    tokio::time::timeout(Duration::from_secs(20), forbidden)
        .await
        .expect("it says so");

    let guest = Guest::start(FOLDER);
    guest.store.fill();
    let client = guest.client(7);
    assert!(client.connected(Duration::from_secs(2)).await.is_err());
    guest.store.make_room();
    client.connected(Duration::from_secs(20)).await.unwrap();
    guest.store.seen();

    // A domain that is not there.
    let (from, to) = UnixStream::connect(guest.folder.path().join("host"))
        .await
        .unwrap()
        .into_split();
    let error = XenStoreValues::open(Connection::new(from, to), 8, FOLDER)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

/// The agent in the control domain, which is a guest of its own xenstore, too; the host's end comes by SSH.
#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_each_way_through_a_real_xenstore() {
    use dom0::Command as Remote;
    use tokio::io::AsyncWriteExt as _;

    let Some(lab) = xen_lab::Lab::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let dom0 = lab.session(&folder.path().join("known_hosts")).await;
    for (name, content) in [
        (
            "/tmp/serial-agent",
            fs::read(env!("CARGO_BIN_EXE_serial-agent")).unwrap(),
        ),
        ("/tmp/secret", SECRET.as_bytes().to_vec()),
    ] {
        let mut write = dom0
            .exec(&Remote::raw(r#"umask 077; cat > "$1"; chmod 700 "$1""#).arg(name))
            .await
            .unwrap();
        let mut stdin = write.stdin.take().unwrap();
        stdin.write_all(&content).await.unwrap();
        stdin.shutdown().await.unwrap();
        drop(stdin);
        assert!(write.wait().await.unwrap().success());
    }
    let words = ["--xenstore", FOLDER, "--secret", "/tmp/secret"];
    let agent = Remote::new("/tmp/serial-agent").args(words).end_with_connection();
    let _agent = dom0.exec(&agent).await.unwrap();
    let session = dom0.clone();
    let line = BoardLine::new("the lab's xenstore", move || {
        let dom0 = session.clone();
        async move {
            let store = dom0.store().await.map_err(io::Error::other)?;
            XenStoreValues::open(store, 0, FOLDER).await
        }
    });
    let config = Config::new(Secret::new(SECRET).unwrap(), Entropy::system().unwrap());
    let client = Client::start(&Bridge::start(line), config, |_| {}).unwrap();
    client.connected(Duration::from_secs(60)).await.unwrap();
    let original: Vec<u8> = (0..1_u32 << 20).map(|at| (at ^ (at >> 8) ^ (at >> 13)) as u8).collect();
    let put = Put {
        path: "/tmp/there".into(),
        size: original.len() as u64,
        mode: None,
        resume: false,
    };
    let start = Instant::now();
    client.put(&put, &mut Cursor::new(&original[..])).await.unwrap();
    let mut back = Cursor::new(Vec::new());
    client.get("/tmp/there", &mut back).await.unwrap();
    assert!(back.into_inner() == original);
    eprintln!("1 MiB each way through a real xenstore in {:?}", start.elapsed());
}

//! Disks over NBD: who may read them, and what the server says in detail.

mod common;

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use common::{Caller, args, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xenapi::wire::Encoding;
use xenapi::{ToValue, Value};
use xenapi_sim::{DiskImage, Fault, NbdPurpose, Role, Server, Simulator, VmSpec};

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const LIST: u32 = 3;
const START_TLS: u32 = 5;
const GO: u32 = 7;
const STRUCTURED_REPLY: u32 = 8;

const ACK: u32 = 1;
const UNSUPPORTED: u32 = 0x8000_0001;
const POLICY: u32 = 0x8000_0002;
const TLS_REQUIRED: u32 = 0x8000_0005;

/// A pool with one halted VM, and its disk.
struct Pool {
    server: Server,
    caller: Caller,
    vdi: String,
}

impl Pool {
    async fn new(purpose: Option<NbdPurpose>, hosts: usize) -> Self {
        let builder = Simulator::builder().vms(0).hosts(hosts);
        let builder = builder.user("reader", "secret", Role::ReadOnly);
        let pool = match purpose {
            Some(purpose) => builder.nbd(purpose),
            None => builder,
        };
        let pool = pool.build().unwrap();
        let spec = VmSpec::new("db").halted().disk(disk());
        let vm = pool.add_vm(spec).unwrap();
        let mut caller = Caller::new(&pool, Encoding::Json);
        caller.login().await;
        let server = pool.listen_tls("127.0.0.1:0").await.unwrap();
        let vbds = caller.ok("VM.get_VBDs", args![vm]).await;
        let disks = async |vbd: &Value| caller.text("VBD.get_VDI", vec![vbd.clone()]).await;
        let vdi = disks(&vbds.as_array().unwrap()[0]).await;
        Self { server, caller, vdi }
    }

    fn simulator(&self) -> &Simulator {
        self.server.pool()
    }

    fn address(&self) -> SocketAddr {
        self.server.nbd_addresses()[0]
    }

    async fn offers(&self) -> Vec<Value> {
        let offers = self.caller.ok("VDI.get_nbd_info", args![self.vdi]).await;
        offers.as_array().unwrap().to_vec()
    }

    async fn export(&self) -> String {
        text(&self.offers().await[0], "exportname").to_owned()
    }

    /// Where the management interfaces are.
    fn network(&self) -> String {
        let networks = self.simulator().refs("network");
        let is_first = |network: &String| {
            let bridge = self.simulator().get("network", network, "bridge");
            bridge == Some("xenbr0".to_value())
        };
        networks.into_iter().find(is_first).unwrap()
    }

    /// Waits until the control domain has no disk any more.
    async fn assert_detached(&self) {
        let devices = || self.simulator().refs("VBD").len();
        let gone = async {
            // The VM's disk and its empty drive.
            while devices() > 2 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
        assert!(gone.is_ok(), "{} devices", devices());
    }
}

/// Bytes that tell where they stand.
fn content(size: usize) -> Vec<u8> {
    (0..size / 4).flat_map(|at| (at as u32).to_be_bytes()).collect()
}

fn disk() -> DiskImage {
    let mut disk = DiskImage::new(6 << 20);
    disk.write(0, &content(5 << 20));
    disk
}

/// One connection, byte by byte.
struct Client(TcpStream);

impl Client {
    /// Reads the greeting, if there is one, and answers it.
    async fn greeted(address: SocketAddr) -> Option<Self> {
        let mut client = Self(TcpStream::connect(address).await.unwrap());
        let greeting = client.take(18).await?;
        assert_eq!(greeting, b"NBDMAGICIHAVEOPT\0\x01");
        client.0.write_all(&[0, 0, 0, 1]).await.unwrap();
        Some(client)
    }

    /// So many bytes; none where the connection ends before.
    async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    async fn send(&mut self, option: u32, payload: &[u8]) {
        let mut all = b"IHAVEOPT".to_vec();
        all.extend(option.to_be_bytes());
        all.extend((payload.len() as u32).to_be_bytes());
        all.extend(payload);
        self.0.write_all(&all).await.unwrap();
    }

    /// The answer to an option; none where the connection ends.
    async fn ask(&mut self, option: u32, payload: &[u8]) -> Option<u32> {
        self.send(option, payload).await;
        let reply = self.take(20).await?;
        assert_eq!(reply[..8], 0x0003_e889_0455_65a9_u64.to_be_bytes());
        assert_eq!(reply[8..12], option.to_be_bytes());
        assert_eq!(reply[16..], [0; 4]);
        Some(u32::from_be_bytes(reply[12..16].try_into().unwrap()))
    }

    /// Opens an export in the old way; its size, if it is given.
    async fn open(&mut self, export: &str) -> Option<u64> {
        self.send(EXPORT_NAME, export.as_bytes()).await;
        let disk = self.take(8 + 2 + 124).await?;
        assert_eq!(disk[8..10], [0, 3], "it has flags, and is read-only");
        assert_eq!(disk[10..], [0; 124]);
        Some(u64::from_be_bytes(disk[..8].try_into().unwrap()))
    }

    /// The error of a request, and the bytes that come with none.
    async fn request(&mut self, command: u32, offset: u64, length: u32) -> Option<(u32, Vec<u8>)> {
        let mut all = 0x2560_9513_u32.to_be_bytes().to_vec();
        all.extend(command.to_be_bytes());
        all.extend(0xc0de_u64.to_be_bytes());
        all.extend(offset.to_be_bytes());
        all.extend(length.to_be_bytes());
        self.0.write_all(&all).await.unwrap();
        let head = self.take(16).await?;
        assert_eq!(head[..4], 0x6744_6698_u32.to_be_bytes());
        assert_eq!(head[8..], 0xc0de_u64.to_be_bytes());
        let error = u32::from_be_bytes(head[4..8].try_into().unwrap());
        let bytes = match error {
            0 => self.take(length as usize).await?,
            _ => Vec::new(),
        };
        Some((error, bytes))
    }

    async fn read(&mut self, offset: u64, length: u32) -> Option<(u32, Vec<u8>)> {
        self.request(0, offset, length).await
    }

    async fn is_closed(&mut self) -> bool {
        self.take(1).await.is_none()
    }
}

#[tokio::test]
async fn a_disk_is_offered_where_a_network_has_the_purpose() {
    let pool = Pool::new(None, 2).await;
    assert_eq!(pool.offers().await, []);
    assert!(Client::greeted(pool.address()).await.is_none());

    let network = pool.network();
    pool.caller.ok("network.add_purpose", args![network, "nbd"]).await;
    pool.caller.ok("network.add_purpose", args![network, "nbd"]).await;
    let refused = pool
        .caller
        .err("network.add_purpose", args![network, "insecure_nbd"])
        .await;
    assert_eq!(refused, ["NETWORK_INCOMPATIBLE_PURPOSES", "insecure_nbd", "nbd"]);
    let offers = pool.offers().await;
    assert_eq!(offers.len(), 2, "one for each host");
    for (host, offer) in offers.iter().enumerate() {
        let name = format!("host-0{}", host + 1);
        let uuid = pool.caller.text("VDI.get_uuid", args![pool.vdi]).await;
        let address = pool.server.nbd_addresses()[host];
        assert_eq!(
            text(offer, "exportname"),
            format!("/{uuid}?session_id={}", pool.caller.session)
        );
        assert_eq!(text(offer, "address"), address.ip().to_string());
        assert_eq!(offer.get("port").and_then(Value::as_int), Some(address.port().into()));
        assert_eq!(text(offer, "subject"), name);
        let host = pool.simulator().find("host", &name).unwrap();
        let pem = pool.caller.text("host.get_server_certificate", args![host]).await;
        assert_eq!(text(offer, "cert"), pem);
    }

    // A host whose SR or interface is away gives nothing.
    for (class, field) in [("PBD", "SR"), ("PIF", "network")] {
        let simulator = pool.simulator();
        let wanted = match field {
            "SR" => simulator.get("VDI", &pool.vdi, "SR"),
            _ => Some(network.to_value()),
        };
        let all = simulator.refs(class).into_iter();
        let ours: Vec<_> = all
            .filter(|object| simulator.get(class, object, field) == wanted)
            .collect();
        for (away, object) in ours.iter().enumerate() {
            assert_eq!(pool.offers().await.len(), 2 - away);
            simulator.set(class, object, "currently_attached", false);
        }
        assert_eq!(pool.offers().await, []);
        for object in &ours {
            simulator.set(class, object, "currently_attached", true);
        }
    }

    pool.simulator().set("VDI", &pool.vdi, "type", "cbt_metadata");
    let refused = pool.caller.err("VDI.get_nbd_info", args![pool.vdi]).await;
    assert_eq!(refused, ["VDI_INCOMPATIBLE_TYPE", &pool.vdi, "cbt_metadata"]);
    pool.caller.ok("network.remove_purpose", args![network, "nbd"]).await;
    assert_eq!(
        pool.caller.ok("network.get_purpose", args![network]).await,
        Value::Array(Vec::new())
    );
}

#[tokio::test]
async fn it_speaks_as_much_of_the_protocol_as_xapi_nbd() {
    let pool = Pool::new(Some(NbdPurpose::InsecureNbd), 1).await;
    let export = pool.export().await;
    let mut client = Client::greeted(pool.address()).await.unwrap();
    for (option, answer) in [
        (START_TLS, POLICY),
        (LIST, POLICY),
        (STRUCTURED_REPLY, UNSUPPORTED),
        (GO, UNSUPPORTED),
        (ABORT, ACK),
    ] {
        assert_eq!(client.ask(option, b"").await, Some(answer), "{option}");
    }
    assert!(client.is_closed().await);

    let mut client = Client::greeted(pool.address()).await.unwrap();
    assert_eq!(client.open(&export).await, Some(6 << 20));
    let whole = content(5 << 20);
    assert_eq!(
        client.read(512, 1 << 20).await.unwrap(),
        (0, whole[512..][..1 << 20].to_vec())
    );
    assert_eq!(client.read((6 << 20) - 512, 512).await.unwrap(), (0, vec![0; 512]));
    assert_eq!(client.read(0, 0).await.unwrap(), (0, vec![]));
    let attached = pool.caller.ok("VDI.get_VBDs", args![pool.vdi]).await;
    assert_eq!(
        attached.as_array().unwrap().len(),
        2,
        "the control domain has the disk too"
    );
    let busy = pool.caller.err("VDI.destroy", args![pool.vdi]).await;
    assert_eq!(busy, ["VDI_IN_USE", &pool.vdi, "destroy"]);
    // Disconnecting has no answer.
    assert_eq!(client.request(2, 0, 0).await, None);
    pool.assert_detached().await;

    // Each of these is the end of the connection.
    for (command, offset, length, error) in [
        (0, 1, 512, 22),
        (0, 0, 100, 22),
        (1, 0, 0, 1),
        (3, 0, 0, 22),
        (7, 0, 512, 22),
    ] {
        let mut client = Client::greeted(pool.address()).await.unwrap();
        client.open(&export).await.unwrap();
        let answer = client.request(command, offset, length).await;
        assert_eq!(answer, Some((error, vec![])), "{command} at {offset}");
        assert!(client.is_closed().await, "{command} at {offset}");
    }
    for (offset, length) in [
        (6 << 20, 512),
        ((6 << 20) - 512, 1024),
        (u64::MAX - 511, 1024),
        (0, u32::MAX - 511),
    ] {
        let mut client = Client::greeted(pool.address()).await.unwrap();
        client.open(&export).await.unwrap();
        assert_eq!(client.read(offset, length).await, None, "{offset}");
    }
    pool.assert_detached().await;
    assert!(pool.simulator().counters().sent("/nbd") >= 1 << 20);
}

#[tokio::test]
async fn nonsense_ends_the_connection() {
    let pool = Pool::new(Some(NbdPurpose::InsecureNbd), 1).await;
    let long = [&b"IHAVEOPT\0\0\0\x01"[..], &u32::MAX.to_be_bytes()].concat();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &long, &[0xff; 16]] {
        let mut client = Client::greeted(pool.address()).await.unwrap();
        client.0.write_all(nonsense).await.unwrap();
        assert!(client.is_closed().await);
    }
    let mut client = Client::greeted(pool.address()).await.unwrap();
    client.open(&pool.export().await).await.unwrap();
    client.0.write_all(&[0x55; 28]).await.unwrap();
    assert!(client.is_closed().await);
    pool.assert_detached().await;
}

#[tokio::test]
async fn only_a_session_that_may_attach_the_disk_gets_it() {
    let pool = Pool::new(Some(NbdPurpose::InsecureNbd), 1).await;
    let export = pool.export().await;
    let (path, session) = export.split_once("?session_id=").unwrap();
    let reader = pool
        .caller
        .raw("session.login_with_password", args!["reader", "secret", "1.0", "test"])
        .await
        .unwrap();
    let opened = async |name: &str| {
        let mut client = Client::greeted(pool.address()).await.unwrap();
        client.open(name).await.is_some()
    };
    assert!(opened(&export).await);
    for name in [
        "",
        "/",
        path,
        "ü",
        &format!("{path}?session_id=OpaqueRef:none"),
        &format!("{path}?session_id="),
        &format!("/00000000-0000-0000-0000-000000000000?session_id={session}"),
        &format!("{path}?session_id={}", reader.as_str().unwrap()),
    ] {
        assert!(!opened(name).await, "{name}");
    }
    // One that writes has the disk for itself, as soon as nobody reads it.
    pool.assert_detached().await;
    let vm = pool.simulator().find("VM", "db").unwrap();
    pool.caller.ok("VM.start", args![vm, false, false]).await;
    assert!(!opened(&export).await);
    pool.caller.ok("VM.hard_shutdown", args![vm]).await;
    let mut client = Client::greeted(pool.address()).await.unwrap();
    client.open(&export).await.unwrap();
    let busy = pool.caller.err("VM.start", args![vm, false, false]).await;
    assert_eq!(busy[0], "VDI_IN_USE");
    // Whoever is in stays in.
    pool.caller.ok("session.logout", vec![]).await;
    assert!(client.read(0, 512).await.is_some());
    drop(client);
    pool.assert_detached().await;
    assert!(!opened(&export).await);
}

#[tokio::test]
async fn networks_that_contradict_each_other_end_the_service() {
    let pool = Pool::new(Some(NbdPurpose::Nbd), 1).await;
    let both = vec!["nbd".to_owned(), "insecure_nbd".to_owned()];
    pool.simulator().set("network", &pool.network(), "purpose", both);
    assert!(Client::greeted(pool.address()).await.is_none());
}

#[tokio::test]
async fn a_host_serves_sixteen() {
    let pool = Pool::new(Some(NbdPurpose::InsecureNbd), 1).await;
    let export = pool.export().await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = Client::greeted(pool.address()).await.unwrap();
        client.open(&export).await.unwrap();
        clients.push(client);
    }
    assert!(Client::greeted(pool.address()).await.is_none());
    clients.truncate(3);
    let again = async {
        while Client::greeted(pool.address()).await.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
    pool.simulator().set_reachable(0, false);
    for client in &mut clients {
        assert!(client.is_closed().await);
    }
    pool.assert_detached().await;
}

#[tokio::test]
async fn faults_strike_connections() {
    let pool = Pool::new(Some(NbdPurpose::InsecureNbd), 1).await;
    let export = pool.export().await;
    let fault = |fault: &str| {
        pool.simulator().clear_faults();
        pool.simulator().fault(fault.parse::<Fault>().unwrap());
    };
    let opened = async || {
        let mut client = Client::greeted(pool.address()).await.unwrap();
        client.open(&export).await.map(|_| client)
    };
    fault("/nbd:error=SR_BACKEND_FAILURE_24,,busy,;times=1");
    assert!(opened().await.is_none());
    for effect in ["truncate=1536", "reset"] {
        fault(&format!("/nbd:{effect};times=1"));
        let mut client = opened().await.unwrap();
        assert!(client.read(0, 1024).await.is_some(), "{effect}");
        assert!(client.read(0, 65536).await.is_none(), "{effect}");
        assert!(opened().await.unwrap().read(0, 65536).await.is_some(), "{effect}");
    }
    fault("/nbd:stall=512");
    let mut client = opened().await.unwrap();
    assert!(client.read(0, 512).await.is_some());
    let stalled = tokio::time::timeout(Duration::from_millis(50), client.read(0, 512)).await;
    assert!(stalled.is_err());
    drop(client);
    pool.assert_detached().await;
}

/// What a program of the distribution answers; none where it is missing, which it must not be where tests run for
/// everyone.
async fn asked(mut command: Command) -> Option<Output> {
    let name = command.get_program().to_owned();
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    if let Err(error) = &output {
        assert!(std::env::var_os("CI").is_none(), "{}: {error}", name.display());
        eprintln!("skipped: {}: {error}", name.display());
    }
    output.ok()
}

fn told(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// As a part of a URI.
fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_programs_read_the_disk_without_tls() {
    let pool = Pool::new(Some(NbdPurpose::InsecureNbd), 1).await;
    let uri = format!("nbd://{}/{}", pool.address(), escaped(&pool.export().await));
    let mut info = Command::new("nbdinfo");
    info.args(["--json", &uri]);
    if let Some(output) = asked(info).await {
        let told = told(&output);
        assert!(output.status.success(), "{told}");
        for part in ["\"export-size\": 6291456", "\"is_read_only\": true", "newstyle-fixed"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    pool.assert_detached().await;
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("disk.raw");
    let mut copy = Command::new("nbdcopy");
    copy.arg(&uri).arg(&raw);
    if let Some(output) = asked(copy).await {
        assert!(output.status.success(), "{}", told(&output));
        let mut expected = content(5 << 20);
        expected.resize(6 << 20, 0);
        assert!(std::fs::read(&raw).unwrap() == expected);
    }
    pool.assert_detached().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_programs_read_the_disk_over_tls() {
    let pool = Pool::new(Some(NbdPurpose::Nbd), 1).await;
    let mut client = Client::greeted(pool.address()).await.unwrap();
    for option in [LIST, GO, STRUCTURED_REPLY] {
        assert_eq!(client.ask(option, b"").await, Some(TLS_REQUIRED));
    }
    let export = pool.export().await;
    assert_eq!(client.open(&export).await, None, "the name goes over TLS only");
    assert_eq!(pool.simulator().counters().requests.get("/nbd"), None);

    let folder = tempfile::tempdir().unwrap();
    let offer = &pool.offers().await[0];
    let certificate = folder.path().join("ca-cert.pem");
    std::fs::write(&certificate, text(offer, "cert")).unwrap();
    let trusted = folder.path().display();
    let uri = format!(
        "nbds://{}/{}?tls-certificates={trusted}",
        pool.address(),
        escaped(&export)
    );
    let mut info = Command::new("nbdinfo");
    info.args(["--json", &uri]);
    if let Some(output) = asked(info).await {
        let told = told(&output);
        assert!(output.status.success(), "{told}");
        for part in ["\"export-size\": 6291456", "\"TLS\": true"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let raw = folder.path().join("disk.raw");
    let mut copy = Command::new("nbdcopy");
    copy.arg(&uri).arg(&raw);
    if let Some(output) = asked(copy).await {
        assert!(output.status.success(), "{}", told(&output));
        assert!(std::fs::read(&raw).unwrap()[..5 << 20] == content(5 << 20));
    }
    pool.assert_detached().await;
    assert!(pool.simulator().counters().requests["/nbd"] > 0);
}

//! Consoles over TLS, as far as a screen or a prompt.

mod common;

use common::{PASSWORD, args, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use xenapi::Value;
use xenapi::wire::Encoding;
use xenapi_sim::{Role, Server, Simulator};

const BASIC: &str = "authorization: Basic cm9vdDp4ZW5zb3VyY2U=\r\n";

async fn server() -> Server {
    assert_eq!(PASSWORD, "xensource", "the password in BASIC");
    let builder = Simulator::builder().hosts(2).vms(4);
    builder
        .user("olga", "operator", Role::VmOperator)
        .start()
        .await
        .unwrap()
}

/// The consoles of a VM with a protocol: reference, UUID and location.
fn console(server: &Server, vm: &str, protocol: &str) -> (String, String, String) {
    let pool = server.pool();
    let text = |reference: &str, field: &str| match pool.get("console", reference, field) {
        Some(Value::String(text)) => text,
        other => panic!("{other:?}"),
    };
    let mut consoles = pool.refs("console").into_iter();
    let found = consoles.find(|console| text(console, "VM") == vm && text(console, "protocol") == protocol);
    let found = found.unwrap();
    (found.clone(), text(&found, "uuid"), text(&found, "location"))
}

/// Sends a request to a host and reads the head of the answer.
async fn ask(server: &Server, host: usize, head: &str) -> (TlsStream<TcpStream>, String) {
    let pin = server.pool().fingerprint_sha256(host).unwrap().to_owned();
    let mut stream = tls::connect(&server.urls()[host], &pin).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(answer).unwrap())
}

async fn read<const N: usize>(stream: &mut TlsStream<TcpStream>) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// Asks for two pixels.
fn update(incremental: u8) -> [u8; 10] {
    [3, incremental, 0, 10, 0, 10, 0, 2, 0, 1]
}

#[tokio::test]
async fn a_screen_greets_shows_itself_and_changes_with_keys() {
    let server = server().await;
    let vm = server.pool().find("VM", "web-01").unwrap();
    let (_, _, location) = console(&server, &vm, "rfb");
    let path = location
        .strip_prefix(server.url())
        .expect("the location is at the host's own URL");
    // What comes right behind the head is not lost.
    let head = format!("CONNECT {path} HTTP/1.1\r\nhost: x\r\n{BASIC}\r\nRFB 003.008\n");
    let (mut stream, answer) = ask(&server, 0, &head).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("content-length"),
        "{answer}"
    );
    assert_eq!(&read::<12>(&mut stream).await, b"RFB 003.008\n");
    assert_eq!(read::<2>(&mut stream).await, [1, 1]);
    stream.write_all(&[1]).await.unwrap();
    assert_eq!(read::<4>(&mut stream).await, [0; 4]);
    stream.write_all(&[1]).await.unwrap();
    let init = read::<24>(&mut stream).await;
    assert_eq!(
        (&init[..4], init[4], &init[20..]),
        (&[2, 128, 1, 224][..], 32, &[0, 0, 0, 6][..])
    );
    assert_eq!(&read::<6>(&mut stream).await, b"web-01");
    stream.write_all(&[2, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(&update(0)).await.unwrap();
    let first = read::<24>(&mut stream).await;
    assert_eq!(&first[..16], [0, 0, 0, 1, 0, 10, 0, 10, 0, 2, 0, 1, 0, 0, 0, 0]);
    // Nothing changes until a key is pressed.
    stream.write_all(&update(1)).await.unwrap();
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(50), stream.read_u8()).await;
    assert!(quiet.is_err());
    stream.write_all(&[4, 1, 0, 0, 0, 0, 0, 97]).await.unwrap();
    let second = read::<24>(&mut stream).await;
    assert_eq!(first[..16], second[..16]);
    assert_ne!(first[16..], second[16..]);
}

#[tokio::test]
async fn older_clients_are_greeted_their_way() {
    let server = server().await;
    let vm = server.pool().find("VM", "web-01").unwrap();
    let head = format!("CONNECT /console?ref={vm} HTTP/1.0\r\n{BASIC}\r\n");
    let (mut stream, answer) = ask(&server, 0, &head).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    read::<12>(&mut stream).await;
    stream.write_all(b"RFB 003.003\n").await.unwrap();
    assert_eq!(read::<4>(&mut stream).await, [0, 0, 0, 1]);
    stream.write_all(&[0]).await.unwrap();
    assert_eq!(read::<4>(&mut stream).await, [2, 128, 1, 224]);
}

#[tokio::test]
async fn a_serial_line_repeats_what_is_typed_until_the_vm_stops() {
    let server = server().await;
    let pool = server.pool();
    let vm = pool.find("VM", "web-01").unwrap();
    let (reference, uuid, _) = console(&server, &vm, "vt100");
    for name in [format!("ref={reference}"), format!("uuid={uuid}")] {
        let head = format!("CONNECT /console?{name} HTTP/1.0\r\n{BASIC}\r\n");
        let (mut stream, _) = ask(&server, 0, &head).await;
        assert_eq!(&read::<16>(&mut stream).await, b"\r\nweb-01 login: ");
        stream.write_all(b"root\r").await.unwrap();
        assert_eq!(&read::<20>(&mut stream).await, b"root\r\nweb-01 login: ");
        stream.write_all(&[4]).await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    let head = format!("CONNECT /console?uuid={uuid} HTTP/1.0\r\n{BASIC}\r\n");
    let (mut stream, _) = ask(&server, 0, &head).await;
    read::<16>(&mut stream).await;
    let mut caller = common::Caller::new(pool, Encoding::Json);
    caller.login().await;
    caller.ok("VM.hard_shutdown", args![vm]).await;
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_door_stays_shut_where_xapi_keeps_it_shut() {
    let server = server().await;
    let pool = server.pool();
    let vm = |name: &str| pool.find("VM", name).unwrap();
    let status = async |host: usize, target: &str, headers: &str| {
        let head = format!("CONNECT {target} HTTP/1.0\r\n{headers}\r\n");
        let (_, answer) = ask(&server, host, &head).await;
        assert!(!answer.to_lowercase().contains("location:"), "{answer}");
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let running = format!("/console?ref={}", vm("web-01"));
    assert_eq!(status(0, &running, "").await, "401");
    assert_eq!(status(1, &running, BASIC).await, "500", "it runs on the other host");
    assert_eq!(
        status(0, &format!("/console?ref={}", vm("db-01")), BASIC).await,
        "500",
        "it is halted"
    );
    assert_eq!(status(0, "/console?ref=OpaqueRef:NULL", BASIC).await, "500");
    assert_eq!(status(0, "/console", BASIC).await, "500");
    let operator = "authorization: Basic b2xnYTpvcGVyYXRvcg==\r\n";
    assert_eq!(status(0, &running, operator).await, "200");
    let host = pool.get("VM", &vm("web-01"), "resident_on").unwrap();
    let domain = pool.get("host", host.as_str().unwrap(), "control_domain").unwrap();
    let own = format!("/console?ref={}", domain.as_str().unwrap());
    assert_eq!(status(0, &own, BASIC).await, "200");
    assert_eq!(
        status(0, &own, operator).await,
        "403",
        "the host's own console is for its administrators"
    );
}

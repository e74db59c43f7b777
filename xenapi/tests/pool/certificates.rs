//! Certificates that change, and hosts that are spelled in several ways, over real TLS.

use std::path::Path;
use std::time::Duration;

use xenapi::{Client, Error, Result, Trust};
use xenapi_sim::{Server, Simulator};

/// A host whose certificate is another one for each seed. Its address may take a moment to become free.
async fn host(seed: u64, address: &str) -> Server {
    let simulator = Simulator::builder().seed(seed).vms(1).build().unwrap();
    for _ in 0..100 {
        if let Ok(server) = simulator.listen_tls(address).await {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{address} stays taken");
}

fn address(server: &Server) -> String {
    server.url().strip_prefix("https://").unwrap().to_owned()
}

async fn meet(url: &str, known_hosts: &Path) -> Result<Client> {
    let connect = Client::connect(url).trust(Trust::OnFirstUse(known_hosts.to_owned()));
    connect.login("root", "xensource").await
}

#[tokio::test]
async fn a_host_is_met_once_however_it_is_spelled() {
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("known_hosts");
    let server = host(1, "127.0.0.1:0").await;
    let port = address(&server).rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "127.1", "localhost", "LocalHost"] {
        meet(&format!("https://{host}:{port}"), &known_hosts).await.unwrap();
    }
    let pin = server.fingerprint_sha256().unwrap().to_ascii_lowercase();
    let lines = format!("127.0.0.1:{port} {pin}\nlocalhost:{port} {pin}\n");
    assert_eq!(std::fs::read_to_string(&known_hosts).unwrap(), lines);
}

#[tokio::test]
async fn two_hosts_behind_one_address_do_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("known_hosts");
    let (one, two) = (host(1, "127.0.0.1:0").await, host(2, "127.0.0.1:0").await);
    for server in [&one, &two, &one] {
        meet(server.url(), &known_hosts).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_contradicts_itself_is_named_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("known_hosts");
    let server = host(1, "127.0.0.1:0").await;
    let (name, pin) = (address(&server), server.fingerprint_sha256().unwrap());
    let other = "00".repeat(32);
    std::fs::write(&known_hosts, format!("{name} {pin}\n{name} {other}\n")).unwrap();
    let error = meet(server.url(), &known_hosts).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
    assert!(error.to_string().contains("lines 1 and 2"), "{error}");
    assert_eq!(server.pool().counters().calls("session.login_with_password"), 0);
}

#[tokio::test]
async fn a_host_that_is_gone_is_not_blamed_for_the_certificate_it_showed_before() {
    let first = host(1, "127.0.0.1:0").await;
    let address = address(&first);
    let client = Client::connect(first.url())
        .pin_sha256(first.fingerprint_sha256().unwrap())
        .login("root", "xensource")
        .await
        .unwrap();
    drop(first);

    let impostor = host(2, &address).await;
    let error = client.vms().all().await.unwrap_err();
    assert!(matches!(error, Error::Untrusted(_)), "{error}");
    drop(impostor);
    tokio::time::sleep(Duration::from_millis(50)).await;

    let error = client.vms().all().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}

#[tokio::test]
async fn an_address_in_brackets_can_be_pinned() {
    let simulator = Simulator::builder().vms(1).build().unwrap();
    let Ok(server) = simulator.listen_tls("[::1]:0").await else {
        assert!(std::env::var_os("CI").is_none(), "no IPv6");
        eprintln!("skipped: no IPv6");
        return;
    };
    let wrong = Client::connect(server.url()).pin_sha256(&"00".repeat(32));
    let error = wrong.login("root", "xensource").await.unwrap_err();
    assert!(error.to_string().contains("the pinned one is"), "{error}");
    let right = Client::connect(server.url()).pin_sha256(server.fingerprint_sha256().unwrap());
    right.login("root", "xensource").await.unwrap();
}

//! Certificates, over real TLS.

use std::process::{Command, Stdio};
use std::time::Duration;

use xenapi::{Client, Error, Trust};
use xenapi_sim::{Server, Simulator};

async fn server() -> Server {
    Simulator::builder()
        .vms(1)
        .build()
        .unwrap()
        .listen_tls("127.0.0.1:0")
        .await
        .unwrap()
}

#[tokio::test]
async fn the_right_pin_connects_and_a_wrong_one_is_told_the_right() {
    let server = server().await;
    let right = server.fingerprint_sha256().unwrap();
    let client = Client::connect(server.url())
        .pin_sha256(right)
        .login("root", "xensource")
        .await
        .unwrap();
    client.vms().all().await.unwrap();

    let wrong = "00:".repeat(31) + "00";
    let error = Client::connect(server.url())
        .pin_sha256(&wrong)
        .login("root", "xensource")
        .await
        .unwrap_err();
    let Error::Untrusted(certificate) = &error else {
        panic!("{error}")
    };
    assert_eq!(certificate.fingerprint().to_string(), right.to_ascii_lowercase());
    assert!(error.to_string().contains(&right.to_ascii_lowercase()), "{error}");
}

#[tokio::test]
async fn the_systems_authorities_do_not_know_a_self_signed_host() {
    let server = server().await;
    let error = Client::connect(server.url())
        .login("root", "xensource")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Untrusted(_)), "{error}");
    let any = Client::connect(server.url()).danger_accept_any_certificate();
    any.login("root", "xensource").await.unwrap();
}

#[tokio::test]
async fn a_pin_that_is_none_is_refused_before_anything_is_sent() {
    let server = server().await;
    let error = Client::connect(server.url())
        .pin_sha256("3f:9a")
        .login("root", "xensource")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
    assert_eq!(server.pool().counters().calls("session.login_with_password"), 0);
}

#[tokio::test]
async fn the_first_certificate_is_remembered_and_another_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("new/known_hosts");
    let trust = Trust::OnFirstUse(known_hosts.clone());
    let first = server().await;
    for _ in 0..2 {
        Client::connect(first.url())
            .trust(trust.clone())
            .login("root", "xensource")
            .await
            .unwrap();
    }
    let written = std::fs::read_to_string(&known_hosts).unwrap();
    assert_eq!(written.lines().count(), 1, "{written}");
    let pin = first.fingerprint_sha256().unwrap().to_ascii_lowercase();
    assert!(written.contains(&pin), "{written}");

    std::fs::write(&known_hosts, written.replace(&pin, &"00".repeat(32))).unwrap();
    let error = Client::connect(first.url())
        .trust(trust)
        .login("root", "xensource")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("at first use"), "{error}");
}

#[tokio::test]
async fn a_login_at_a_member_carries_the_pin_to_the_coordinator() {
    let simulator = Simulator::builder().hosts(2).vms(1).build().unwrap();
    let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
    let pin = simulator.fingerprint_sha256(1).unwrap();
    let client = Client::connect(&server.urls()[1])
        .pin_sha256(pin)
        .login("root", "xensource")
        .await
        .unwrap();
    assert_eq!(
        client
            .vms()
            .all_records()
            .await
            .unwrap()
            .values()
            .filter(|vm| vm.is_real_vm())
            .count(),
        1
    );
}

/// Old hosts made X.509 version 1 certificates, which webpki does not parse.
#[tokio::test]
async fn a_version_1_certificate_can_be_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let make = "openssl req -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=localhost -out request.pem && \
                openssl x509 -req -in request.pem -signkey key.pem -days 2 -out certificate.pem && \
                openssl x509 -in certificate.pem -noout -fingerprint -sha256";
    let made = Command::new("sh")
        .args(["-c", make])
        .current_dir(&folder)
        .output()
        .unwrap();
    if !made.status.success() {
        let reason = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(std::env::var_os("CI").is_none(), "openssl: {reason}");
        eprintln!("skipped: no openssl to make the certificate: {reason}");
        return;
    }
    let pin = String::from_utf8(made.stdout).unwrap();

    for version in ["-tls1_2", "-tls1_3"] {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let heard = folder.path().join(version);
        let mut host = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                version,
                "-key",
                "key.pem",
                "-cert",
                "certificate.pem",
                "-accept",
            ])
            .arg(port.to_string())
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .stdout(std::fs::File::create(&heard).unwrap())
            .spawn()
            .unwrap();
        let url = format!("https://localhost:{port}");
        let wrong = talk(&url, &("00".repeat(32))).await;
        let unanswered = talk(&url, &pin).await;
        host.kill().unwrap();
        host.wait().unwrap();
        assert!(matches!(wrong, Error::Untrusted(_)), "{version}: {wrong}");
        assert!(matches!(unanswered, Error::Timeout(_)), "{version}: {unanswered}");
        let heard = std::fs::read_to_string(&heard).unwrap();
        assert_eq!(
            heard.matches("POST /jsonrpc").count(),
            1,
            "{version}: only the right pin gets a request through"
        );
    }
}

/// The error of a login at a server that never answers, tried until it listens.
async fn talk(url: &str, pin: &str) -> Error {
    for _ in 0..100 {
        let connect = Client::connect(url).pin_sha256(pin).timeout(Duration::from_secs(1));
        match connect.login("root", "x").await.unwrap_err() {
            Error::Connect { .. } => tokio::time::sleep(Duration::from_millis(50)).await,
            error => return error,
        }
    }
    panic!("no server at {url}");
}

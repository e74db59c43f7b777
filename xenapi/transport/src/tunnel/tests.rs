use std::future::Future;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::{Fingerprint, HttpTransport, Transport, Trust};

/// A host that does with its first connection as it is told, after the head of a request.
struct Host {
    port: u16,
    fingerprint: Fingerprint,
    script: JoinHandle<String>,
}

impl Host {
    async fn new<F: Future<Output = ()> + Send>(
        script: impl FnOnce(TlsStream<TcpStream>) -> F + Send + 'static,
    ) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = key.cert.der().clone();
        let fingerprint = Fingerprint::of(&certificate);
        let secret = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], secret.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let script = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate comes back.
                let Ok(mut stream) = acceptor.accept(socket).await else {
                    continue;
                };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                if head.is_empty() {
                    continue;
                }
                script(stream).await;
                return String::from_utf8(head).unwrap();
            }
        });
        Self {
            port,
            fingerprint,
            script,
        }
    }

    fn request(&self) -> http::Request<()> {
        http::Request::connect(format!("https://127.0.0.1:{}/console?ref=OpaqueRef%3A1", self.port))
            .header(http::header::COOKIE, "session_id=OpaqueRef%3A2")
            .body(())
            .unwrap()
    }

    async fn connect(&self) -> Result<Response, TransportError> {
        let transport = HttpTransport::new(&Trust::Pin(self.fingerprint), "127.0.0.1", "test").unwrap();
        transport.connect(self.request()).await
    }
}

#[tokio::test]
async fn what_comes_right_behind_the_head_is_not_lost() {
    let host = Host::new(|mut stream| async move {
        let head =
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\nRFB 003.003\n";
        stream.write_all(head).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        stream.write_all(&answer).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let response = host.connect().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["connection"], "keep-alive");
    let mut screen = response.into_body();
    // In pieces smaller than what came early.
    let mut version = [0; 12];
    screen.read_exact(&mut version[..5]).await.unwrap();
    screen.read_exact(&mut version[5..]).await.unwrap();
    assert_eq!(&version, b"RFB 003.003\n");
    screen.write_all(b"RFB 003.008\n").await.unwrap();
    screen.flush().await.unwrap();
    let mut rest = Vec::new();
    screen.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"RFB 003.008\n");
    let head = host.script.await.unwrap();
    assert!(
        head.starts_with("CONNECT /console?ref=OpaqueRef%3A1 HTTP/1.0\r\nHost: 127.0.0.1:"),
        "{head}"
    );
    assert!(head.contains("\r\ncookie: session_id=OpaqueRef%3A2\r\n"), "{head}");
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let host = Host::new(|mut stream| async move {
        for byte in b"HTTP/1.0 200 OK\r\ntask-id:OpaqueRef:9\r\n\r\n\x00" {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
    })
    .await;
    let response = host.connect().await.unwrap();
    assert_eq!(response.headers()["task-id"], "OpaqueRef:9");
    let mut rest = Vec::new();
    response.into_body().read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x00", "and the connection ends without a farewell");
}

#[tokio::test]
async fn a_refusal_keeps_its_page() {
    let host = Host::new(|mut stream| async move {
        let page = b"HTTP/1.1 503 Connection Limit Exceeded\r\ncontent-length: 9\r\n\r\n<p>no</p>";
        stream.write_all(page).await.unwrap();
        stream.flush().await.unwrap();
    })
    .await;
    let response = host.connect().await.unwrap();
    assert_eq!(response.status(), 503);
    let mut page = Vec::new();
    response.into_body().read_to_end(&mut page).await.unwrap();
    assert_eq!(page, b"<p>no</p>");
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let host = Host::new(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    })
    .await;
    drop(host.connect().await.unwrap());
    tokio::time::timeout(Duration::from_secs(10), host.script)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_certificate_is_verified_as_for_any_request() {
    let host = Host::new(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
    })
    .await;
    let other = Trust::Pin(Fingerprint([7; 32]));
    let transport = HttpTransport::new(&other, "127.0.0.1", "test").unwrap();
    match transport.connect(host.request()).await.err() {
        Some(TransportError::Untrusted(refused)) => {
            assert_eq!(refused.fingerprint(), host.fingerprint);
            assert_eq!(refused.host(), format!("127.0.0.1:{}", host.port));
        }
        error => panic!("{error:?}"),
    }
    transport.vouch("127.0.0.1", host.fingerprint);
    assert_eq!(transport.connect(host.request()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_host_that_is_not_there_was_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let transport = HttpTransport::new(&Trust::DangerAcceptAny, "127.0.0.1", "test").unwrap();
    let request = http::Request::connect(format!("https://127.0.0.1:{port}/console"))
        .body(())
        .unwrap();
    let error = transport.connect(request).await.err();
    assert!(matches!(error, Some(TransportError::Unreachable(_))), "{error:?}");
}

/// What a host that answers with these bytes, and closes, is taken for.
async fn answered(bytes: Vec<u8>) -> Result<Response, TransportError> {
    let (ours, mut theirs): (DuplexStream, _) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut head = [0; 4];
        theirs.read_exact(&mut head).await.unwrap();
        let _ = theirs.write_all(&bytes).await;
    });
    exchange(Box::new(ours), b"head").await
}

#[tokio::test]
async fn hostile_answers_are_errors() {
    let endless = b"HTTP/1.1 200 OK\r\n"
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'a', MOST_OF_A_HEAD * 2));
    let crowded = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
    for answer in [
        Vec::new(),
        b"HTTP/1.1 200".to_vec(),
        b"RFB 003.008\n".to_vec(),
        b"HTTP/1.1 999999 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 000 OK\r\n\r\n".to_vec(),
        endless.collect(),
        crowded.into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(40)]).into_owned();
        let error = answered(answer).await.err();
        assert!(matches!(error, Some(TransportError::Broken(_))), "{shown}: {error:?}");
    }
}

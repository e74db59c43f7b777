use futures_util::TryStreamExt;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{HttpTransport, RequestBody, Transport, Trust};

use super::*;

/// How much comes before the connection ends: little enough to be at the client before it reads.
const LENGTH: usize = 30_000;
/// How long bytes, or a reset, take to be there.
const PASSAGE: Duration = Duration::from_millis(50);

/// How a server ends its connection.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Reset,
    Close,
}

/// A server that sends a body of unknown length and ends the connection right behind it.
async fn server(end: End, tls: Option<tokio_rustls::TlsAcceptor>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ended = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        if end == End::Reset {
            socket.set_zero_linger().unwrap();
        }
        match tls {
            None => answer(socket).await,
            Some(tls) => answer(tls.accept(socket).await.unwrap()).await,
        }
    });
    (port, ended)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    stream.read_buf(&mut BytesMut::with_capacity(4096)).await.unwrap();
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
    stream.write_all(&[7; LENGTH]).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::sleep(PASSAGE).await;
}

fn acceptor() -> tokio_rustls::TlsAcceptor {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = key.cert.der().clone();
    let secret = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], secret.into())
        .unwrap();
    Arc::new(tls).into()
}

/// What a client reads that looks at the body only when all of it, and the end, is there.
async fn read_late(scheme: &str, (port, ended): (u16, JoinHandle<()>)) -> (usize, Result<(), TransportError>) {
    let transport = HttpTransport::new(&Trust::DangerAcceptAny, "127.0.0.1", "test").unwrap();
    let request = http::Request::get(format!("{scheme}://127.0.0.1:{port}/export"));
    let response = transport.send(request.body(RequestBody::from("")).unwrap()).await;
    let mut body = response.unwrap().into_body();
    ended.await.unwrap();
    tokio::time::sleep(PASSAGE).await;
    let mut length = 0;
    loop {
        match body.try_next().await {
            Ok(Some(piece)) => length += piece.len(),
            Ok(None) => return (length, Ok(())),
            Err(error) => {
                assert!(
                    matches!(body.try_next().await, Ok(None)),
                    "nothing comes behind an error"
                );
                return (length, Err(error));
            }
        }
    }
}

#[tokio::test]
async fn a_reset_behind_the_last_bytes_is_no_end() {
    for (scheme, tls) in [("http", None), ("https", Some(acceptor()))] {
        let (length, end) = read_late(scheme, server(End::Reset, tls).await).await;
        assert_eq!(length, LENGTH, "over {scheme}, what came before it is handed on");
        assert!(matches!(end, Err(TransportError::Broken(_))), "over {scheme}");
    }
}

#[tokio::test]
async fn a_close_behind_the_last_bytes_is_the_end() {
    for (scheme, tls) in [("http", None), ("https", Some(acceptor()))] {
        let (length, end) = read_late(scheme, server(End::Close, tls).await).await;
        assert_eq!(length, LENGTH, "over {scheme}");
        assert!(end.is_ok(), "over {scheme}, also where TLS was not told");
    }
}

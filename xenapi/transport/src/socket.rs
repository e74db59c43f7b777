//! Connections to hosts, with and without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};

use super::http_client::causes;
use super::tls::refusal;
use super::{Duplex, TransportError};

/// How much the kernel may hold for us: a reader that stops early has not made the server send much more.
const RECEIVE_BUFFER: u32 = 512 << 10;

/// A connection to the host of an address, which notices when the host is gone.
pub(super) async fn connect(
    uri: &http::Uri,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Duplex>, TransportError> {
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| unreachable(&error))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host:?} has no address"));
    for address in addresses {
        match open(address).await {
            Ok(stream) => return secured(stream, host, tls).await,
            Err(error) => last = error,
        }
    }
    Err(unreachable(&last))
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn secured(
    stream: TcpStream,
    host: &str,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Duplex>, TransportError> {
    let Some(config) = tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| TransportError::Unreachable(format!("{host:?} is no name of a host: {error}")))?;
    let connector = tokio_rustls::TlsConnector::from(config);
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| unreachable(&error))?;
    Ok(Box::new(stream))
}

fn unreachable(error: &io::Error) -> TransportError {
    match refusal(error) {
        Some(refused) => TransportError::Untrusted(Box::new(refused.clone())),
        None => TransportError::Unreachable(causes(error)),
    }
}

//! Ports on which a pool answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use crate::builder::BuildError;
use crate::dispatch::Origin;
use crate::http::{Listener, serve};
use crate::nbd;
use crate::simulator::Simulator;
use crate::state::Shared;

/// A pool that answers on ports, one for each host, until this is dropped.
#[derive(Debug)]
pub struct Server {
    pool: Simulator,
    urls: Vec<String>,
    nbd_addresses: Vec<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
    tls: bool,
}

impl Server {
    /// The pool behind the ports.
    pub fn pool(&self) -> &Simulator {
        &self.pool
    }

    /// The URL of the first host, which is the coordinator unless another was promoted.
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// The URLs of all hosts.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Where the hosts' NBD servers listen. They turn everybody away until a network has the
    /// [purpose](crate::Builder::nbd).
    pub fn nbd_addresses(&self) -> &[SocketAddr] {
        &self.nbd_addresses
    }

    /// SHA-256 of the first host's certificate, as hexadecimal bytes with colons; none without TLS.
    pub fn fingerprint_sha256(&self) -> Option<&str> {
        if self.tls {
            self.pool.fingerprint_sha256(0)
        } else {
            None
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

/// How much the kernel may hold of what was sent: a client that reads no further is noticed soon.
const SEND_BUFFER: u32 = 128 << 10;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

async fn bound(address: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in tokio::net::lookup_host(address).await? {
        let listening = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match listening() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn opened(address: &str) -> Result<(TcpListener, SocketAddr), BuildError> {
    let failure = |source| BuildError::Listen {
        address: address.to_owned(),
        source,
    };
    let socket = bound(address).await.map_err(failure)?;
    let local = socket.local_addr().map_err(failure)?;
    Ok((socket, local))
}

pub(crate) async fn listen(
    pool: Simulator,
    shared: Arc<Shared>,
    address: &str,
    tls: bool,
) -> Result<Server, BuildError> {
    let mut sockets = Vec::new();
    let mut nbd_sockets = Vec::new();
    let mut wanted = address.to_owned();
    for _ in pool.addresses() {
        let (socket, local) = opened(&wanted).await?;
        wanted = SocketAddr::new(local.ip(), 0).to_string();
        sockets.push((socket, local));
        nbd_sockets.push(opened(&wanted).await?);
    }
    let locals: Vec<_> = sockets.iter().map(|(_, local)| *local).collect();
    pool.set_addresses(&locals);
    let nbd_addresses: Vec<_> = nbd_sockets.iter().map(|(_, local)| *local).collect();
    shared.with(|state| state.nbd_ports.clone_from(&nbd_addresses));
    let addresses: Arc<[String]> = locals.iter().map(SocketAddr::to_string).collect();
    let scheme = if tls { "https" } else { "http" };
    let listeners = sockets.into_iter().enumerate().map(|(host, (socket, _))| {
        let acceptor = shared
            .certificates
            .get(host)
            .filter(|_| tls)
            .map(crate::certificate::Certificate::acceptor);
        let origin = Origin {
            host,
            scheme,
            addresses: Arc::clone(&addresses),
        };
        tokio::spawn(serve(
            Arc::clone(&shared),
            Listener {
                socket,
                tls: acceptor,
                origin,
            },
        ))
    });
    let mut listeners: Vec<_> = listeners.collect();
    let certified = nbd_sockets.into_iter().zip(&shared.certificates).enumerate();
    listeners.extend(certified.map(|(host, ((socket, _), certificate))| {
        let tls = certificate.acceptor();
        tokio::spawn(nbd::serve(Arc::clone(&shared), nbd::Listener { socket, host, tls }))
    }));
    let urls = locals.iter().map(|local| format!("{scheme}://{local}")).collect();
    Ok(Server {
        pool,
        urls,
        nbd_addresses,
        listeners,
        tls,
    })
}

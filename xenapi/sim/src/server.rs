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

pub(crate) async fn listen(
    pool: Simulator,
    shared: Arc<Shared>,
    address: &str,
    tls: bool,
) -> Result<Server, BuildError> {
    let mut sockets = Vec::new();
    let mut disks = Vec::new();
    let mut wanted = address.to_owned();
    for _ in pool.addresses() {
        let failure = |source| BuildError::Listen {
            address: wanted.clone(),
            source,
        };
        let socket = bound(&wanted).await.map_err(failure)?;
        let local = socket.local_addr().map_err(failure)?;
        wanted = SocketAddr::new(local.ip(), 0).to_string();
        sockets.push((socket, local));
        disks.push(bound(&wanted).await.map_err(|source| BuildError::Listen {
            address: wanted.clone(),
            source,
        })?);
    }
    let nbd = disks.iter().map(TcpListener::local_addr).collect::<io::Result<_>>();
    pool.set_nbd_addresses(nbd.map_err(|source| BuildError::Listen {
        address: wanted,
        source,
    })?);
    let locals: Vec<_> = sockets.iter().map(|(_, local)| *local).collect();
    pool.set_addresses(&locals);
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
    listeners.extend(disks.into_iter().enumerate().map(|(host, socket)| {
        let tls = shared
            .certificates
            .get(host)
            .map(crate::certificate::Certificate::acceptor);
        tokio::spawn(nbd::serve(Arc::clone(&shared), nbd::Listener { socket, tls, host }))
    }));
    let urls = locals.iter().map(|local| format!("{scheme}://{local}")).collect();
    Ok(Server {
        pool,
        urls,
        listeners,
        tls,
    })
}

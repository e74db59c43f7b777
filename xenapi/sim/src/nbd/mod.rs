//! Disks over NBD, as xapi-nbd serves them: read-only, by an export name that holds a session.

mod attached;
mod handshake;
mod transmission;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::attached::Attached;
use self::handshake::{Asked, Handshake};
use crate::state::{Shared, State};

/// The port on a real host.
pub(crate) const PORT: u16 = 10_809;
/// How many connections a host serves at a time; it closes others.
const MOST_CONNECTIONS: usize = 16;

/// What the networks of a pool are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `nbd`: TLS and nothing else.
    Tls,
    /// `insecure_nbd`.
    Plain,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tls => "nbd",
            Self::Plain => "insecure_nbd",
        }
    }

    /// What disks are served for; none where no network is for them.
    fn of(state: &State) -> Option<Self> {
        let has = |purpose: Self| {
            let networks = state.db.refs("network");
            networks.iter().any(|network| purpose.is_of(state, network))
        };
        [Self::Tls, Self::Plain].into_iter().find(|purpose| has(*purpose))
    }

    /// Whether a network has it.
    pub(crate) fn is_of(self, state: &State, network: &str) -> bool {
        state
            .db
            .list("network", network, "purpose")
            .iter()
            .any(|name| name == self.name())
    }
}

/// The port of one host.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) host: usize,
}

/// Accepts connections until it is dropped, and drops them with it.
pub(crate) async fn serve(shared: Arc<Shared>, listener: Listener) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let purpose = shared.with(|state| {
            let reachable = !state.unreachable.contains(&listener.host);
            Purpose::of(state).filter(|_| reachable)
        });
        let Some((purpose, place)) = purpose.zip(Arc::clone(&places).try_acquire_owned().ok()) else {
            // Without lingering a close is a reset, as a firewall answers.
            let _ = socket.set_zero_linger();
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (shared, tls, host) = (Arc::clone(&shared), listener.tls.clone(), listener.host);
        connections.spawn(async move {
            let _place = place;
            // An error here is the client's business: it sees its connection end.
            let _ = talk(&shared, host, socket, tls.filter(|_| purpose == Purpose::Tls)).await;
        });
    }
}

async fn talk(
    shared: &Arc<Shared>,
    host: usize,
    mut socket: TcpStream,
    tls: Option<TlsAcceptor>,
) -> std::io::Result<()> {
    let mut handshake = Handshake::greet(&mut socket).await?;
    let Some(tls) = tls else {
        let asked = handshake.negotiate(&mut socket, false).await?;
        return answer(shared, host, &mut socket, &handshake, asked).await;
    };
    match handshake.negotiate(&mut socket, true).await? {
        Asked::Tls => {
            let mut stream = tls.accept(socket).await?;
            let asked = handshake.negotiate(&mut stream, false).await?;
            answer(shared, host, &mut stream, &handshake, asked).await
        }
        Asked::Export(_) | Asked::End => Ok(()),
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Arc<Shared>,
    host: usize,
    stream: &mut S,
    handshake: &Handshake,
    asked: Asked,
) -> std::io::Result<()> {
    let Asked::Export(name) = asked else { return Ok(()) };
    // Who may not read a disk, or asks for none, sees the connection end: there is no other answer to this option.
    let Some(disk) = Attached::open(shared, host, &name) else {
        return Ok(());
    };
    handshake.accept(stream, disk.size()).await?;
    transmission::serve(stream, &disk).await
}

/// Where a host serves disks.
pub(crate) fn address(state: &State, host: usize, ip: &str) -> (String, u16) {
    match state.nbd.get(host) {
        Some(address) => (address.ip().to_string(), SocketAddr::port(address)),
        None => (ip.to_owned(), PORT),
    }
}

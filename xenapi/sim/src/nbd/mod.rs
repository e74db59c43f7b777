//! Disks over NBD, as xapi-nbd gives them on each host: read-only, in whole sectors, one request after the other.

mod attached;
mod handshake;
mod protocol;
mod transmission;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::attached::Attached;
use crate::behaviour::nbd::{self, NbdPurpose};
use crate::http::Abort;
use crate::state::Shared;

/// Where hosts listen, unless they have another port because several of them share an address.
pub(crate) const PORT: u16 = 10809;
/// By which name faults and counters know this server, which has no path.
pub(crate) const TARGET: &str = "/nbd";
/// How many clients a host serves at a time.
const MOST_CLIENTS: usize = 16;

/// A port of one host.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) host: usize,
    pub(crate) tls: TlsAcceptor,
}

/// Accepts connections until it is dropped, and drops them with it.
pub(crate) async fn serve(shared: Arc<Shared>, listener: Listener) {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        let Ok((socket, _)) = accepted else {
            // Out of descriptors, for example: others may end soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while clients.try_join_next().is_some() {}
        if shared.with(|state| state.unreachable.contains(&listener.host)) {
            socket.abort();
            continue;
        }
        if clients.len() >= MOST_CLIENTS {
            continue;
        }
        let _ = socket.set_nodelay(true);
        let (shared, host, tls) = (Arc::clone(&shared), listener.host, listener.tls.clone());
        clients.spawn(async move {
            tokio::select! {
                // An error here is the client's business: it sees its connection end.
                _ = talk(&shared, host, &tls, socket) => {}
                () = cut_off(&shared, host) => {}
            }
        });
    }
}

/// Waits until nobody can reach a host any more.
async fn cut_off(shared: &Shared, host: usize) {
    let mut changed = shared.watch();
    loop {
        changed.borrow_and_update();
        if shared.with(|state| state.unreachable.contains(&host)) || changed.changed().await.is_err() {
            return;
        }
    }
}

async fn talk(shared: &Arc<Shared>, host: usize, tls: &TlsAcceptor, mut socket: TcpStream) -> io::Result<()> {
    match shared.with(|state| nbd::served(state)) {
        None => Ok(()),
        Some(NbdPurpose::InsecureNbd) => {
            handshake::greet(&mut socket).await?;
            export(shared, host, socket, false).await
        }
        Some(NbdPurpose::Nbd) => {
            let is_new = handshake::greet(&mut socket).await?;
            if is_new && handshake::until_tls(&mut socket).await? {
                export(shared, host, tls.accept(socket).await?, true).await?;
            }
            Ok(())
        }
    }
}

/// Gives the disk that a client names, if it may have it.
async fn export<S: AsyncRead + AsyncWrite + Abort + Unpin>(
    shared: &Arc<Shared>,
    host: usize,
    mut stream: S,
    is_tls: bool,
) -> io::Result<()> {
    let Some(name) = handshake::until_export(&mut stream, is_tls).await? else {
        return Ok(());
    };
    // The protocol has no words for the reason here, so the connection just ends.
    let Ok(disk) = Attached::attach(shared, host, &name).await else {
        return Ok(());
    };
    let served = transmission::serve(&disk, &mut stream).await;
    disk.detach().await;
    served
}

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::{Dom0, Error, Target};

/// A port on the loopback address that leads to a socket in the control domain. Dropping it closes the port and the
/// connections through it.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    errors: mpsc::Receiver<Error>,
    task: AbortHandle,
}

/// Connections at a time; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 32;

impl Forward {
    pub(crate) async fn start(dom0: Dom0, target: Target) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let (sender, errors) = mpsc::channel(16);
        let task = tokio::spawn(serve(listener, dom0, target, sender)).abort_handle();
        Ok(Self { address, errors, task })
    }

    /// Where to connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Why a connection through this port could not be made. The one who made it only sees it close.
    pub async fn error(&mut self) -> Option<Error> {
        self.errors.recv().await
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, dom0: Dom0, target: Target, errors: mpsc::Sender<Error>) {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of descriptors: nobody reads this error at once, and others may close some.
                let _ = errors.try_send(Error::Listen(error));
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (dom0, target, errors) = (dom0.clone(), target.clone(), errors.clone());
        connections.spawn(async move {
            if let Err(error) = carry(socket, &dom0, &target).await {
                let _ = errors.try_send(error);
            }
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut socket: TcpStream, dom0: &Dom0, target: &Target) -> Result<(), Error> {
    let mut stream = dom0.open(target).await?;
    let _ = socket.set_nodelay(true);
    let copied = tokio::io::copy_bidirectional_with_sizes(&mut socket, &mut stream, 64 << 10, 64 << 10).await;
    copied.map(drop).map_err(|error| Error::Unreachable {
        host: dom0.host(),
        target: target.clone(),
        reason: error.to_string(),
    })
}

use std::io;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::{Session, SessionError};
use crate::bridge::Bridge;
use crate::reach::Duplex;

/// Programs at a time; more wait to be accepted.
const MOST: usize = 32;

/// Serves whoever connects to a TCP port, until the future is dropped.
///
/// Nobody is asked who he is: the port should be one of the loopback address.
pub async fn tcp(bridge: &Bridge, listener: TcpListener, session: &Session) {
    let accept = || async {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer.to_string()))
    };
    serve(bridge, session, accept, any).await
}

async fn any<S: Duplex>(bridge: Bridge, session: Session, name: String, stream: S) -> Result<(), SessionError> {
    session.run(&bridge, &name, stream).await
}

/// Serves whoever connects to a unix socket, until the future is dropped.
#[cfg(unix)]
pub async fn unix(bridge: &Bridge, socket: &BoundUnix, session: &Session) {
    serve(bridge, session, || accept_unix(socket), any).await
}

/// The next program, named by its process where the system tells.
#[cfg(unix)]
pub(super) async fn accept_unix(socket: &BoundUnix) -> io::Result<(UnixStream, String)> {
    let (stream, _) = socket.listener.accept().await?;
    let name = match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
        Some(process) => format!("process {process}"),
        None => socket.path.display().to_string(),
    };
    Ok((stream, name))
}

/// What becomes of one that is served shows in the bridge's events.
pub(super) async fn serve<S, A, R>(
    bridge: &Bridge,
    session: &Session,
    accept: impl Fn() -> A,
    run: impl Fn(Bridge, Session, String, S) -> R,
) where
    S: Duplex,
    A: Future<Output = io::Result<(S, String)>>,
    R: Future<Output = Result<(), SessionError>> + Send + 'static,
{
    let mut served = JoinSet::new();
    loop {
        while served.len() >= MOST {
            served.join_next().await;
        }
        while served.try_join_next().is_some() {}
        match accept().await {
            Ok((stream, name)) => {
                served.spawn(run(bridge.clone(), session.clone(), name, stream));
            }
            // Out of file descriptors, for instance, which passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// A unix socket that only its owner can connect to; its file is removed with it.
#[cfg(unix)]
#[derive(Debug)]
pub struct BoundUnix {
    listener: UnixListener,
    path: PathBuf,
}

#[cfg(unix)]
impl BoundUnix {
    /// Listens. A socket that nobody serves any more is replaced, one that is served is an error.
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};

        let path = path.as_ref();
        if let Ok(there) = std::fs::symlink_metadata(path)
            && there.file_type().is_socket()
        {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                _ => return Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path: path.into(),
        })
    }
}

#[cfg(unix)]
impl Drop for BoundUnix {
    fn drop(&mut self) {
        // Somebody may have removed it before.
        let _ = std::fs::remove_file(&self.path);
    }
}

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Duration;

use super::{ConnectError, Line, Mode, Port};

/// The other side of `tcp:HOST:PORT` without `server`: QEMU connects here.
///
/// It has to be there before the VM starts, and listens from [`bind`](Self::bind) until it is dropped, whether a port is
/// open or not. A newer connection takes the place of an older one, because a QEMU that connects again has given up the
/// older, which may not have been noticed here.
///
/// Who listens on an address of the network should say who may come: [`only_from`](Self::only_from).
#[derive(Debug)]
pub struct Incoming {
    address: SocketAddr,
    mode: Mode,
    arrivals: Mutex<watch::Receiver<Option<Arrival>>>,
    allowed: watch::Sender<Option<IpAddr>>,
    accepting: JoinHandle<()>,
}

/// Handed to whoever comes first for it.
type Arrival = std::sync::Arc<std::sync::Mutex<Option<(TcpStream, oneshot::Receiver<()>)>>>;

impl Incoming {
    /// Listens. Port 0 is any that is free.
    pub async fn bind(address: SocketAddr, mode: Mode) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = watch::channel(None);
        let (allowed, permitted) = watch::channel(None);
        Ok(Self {
            address,
            mode,
            arrivals: Mutex::new(arrivals),
            allowed,
            accepting: tokio::spawn(accept(listener, sender, permitted)),
        })
    }

    /// Closes what comes from another address at once.
    pub fn only_from(self, host: IpAddr) -> Self {
        self.allowed.send_replace(Some(host));
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    arrivals: watch::Sender<Option<Arrival>>,
    allowed: watch::Receiver<Option<IpAddr>>,
) {
    // Dropping the sender is what ends the connection before.
    let mut current = None;
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, for instance, which passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if allowed.borrow().is_some_and(|host| host != peer.ip().to_canonical()) {
            continue;
        }
        let _ = stream.set_nodelay(true);
        let (replaced, when_replaced) = oneshot::channel();
        let before = current.replace(replaced);
        arrivals.send_replace(Some(Arrival::new(std::sync::Mutex::new(Some((stream, when_replaced))))));
        drop(before);
    }
}

impl Line for Incoming {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            let mut arrivals = self.arrivals.lock().await;
            loop {
                let arrival = arrivals.borrow_and_update().clone();
                let taken = arrival.and_then(|arrival| match arrival.lock() {
                    Ok(mut slot) => slot.take(),
                    Err(poisoned) => poisoned.into_inner().take(),
                });
                if let Some((stream, replaced)) = taken {
                    return Ok(self.mode.port(Replaceable { stream, replaced }));
                }
                if arrivals.changed().await.is_err() {
                    return Err(ConnectError::Socket {
                        line: self.name(),
                        source: io::ErrorKind::NotConnected.into(),
                    });
                }
            }
        })
    }

    fn name(&self) -> String {
        format!("whoever connects to {}", self.address)
    }
}

/// A connection that ends when a newer one has come.
struct Replaceable {
    stream: TcpStream,
    replaced: oneshot::Receiver<()>,
}

impl AsyncRead for Replaceable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // What the older one still had is read first.
        match Pin::new(&mut self.stream).poll_read(cx, out) {
            Poll::Pending => match Pin::new(&mut self.replaced).poll(cx) {
                Poll::Ready(_) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            },
            ready => ready,
        }
    }
}

impl AsyncWrite for Replaceable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

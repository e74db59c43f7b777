use std::collections::VecDeque;
use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::XenStorePath;
use super::wire::{self, Decoder, Kind, Message, Refusal, Request, RequestError, WireError};
use crate::{Dom0, Error, Target};

/// xenstore by its own protocol, on one connection: faster than its programs, and with transactions.
///
/// It is there in a control domain and in a guest, and through SSH with [`Dom0::store`]. One thing is asked at a time; what
/// watches tell in the meantime is kept.
///
/// ```no_run
/// # async fn example(dom0: dom0::Dom0) -> Result<(), Box<dyn std::error::Error>> {
/// use dom0::xen::XenStorePath;
///
/// let mut store = dom0.store().await?;
/// let data = XenStorePath::domain(7).child("data")?;
/// store.watch(&data, "requests").await?;
/// let event = store.event().await?; // the first comes at once
/// let transaction = store.begin().await?;
/// store.write_in(transaction, &data.child("a")?, b"1").await?;
/// store.write_in(transaction, &data.child("b")?, b"2").await?;
/// let done = store.commit(transaction).await?; // false: another was faster, and it has to be made again
/// # Ok(())
/// # }
/// ```
pub struct Store {
    from: Box<dyn AsyncRead + Send + Unpin>,
    to: Box<dyn AsyncWrite + Send + Unpin>,
    decoder: Decoder,
    last: u32,
    events: VecDeque<StoreEvent>,
    broken: bool,
}

/// Several changes that happen at once or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transaction(u32);

/// Something has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreEvent {
    /// What.
    pub path: String,
    /// The token of the watch that tells it.
    pub token: String,
}

/// xenstore was not asked, or did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It would have been too long, and was not sent.
    #[error("{path} is not sent to xenstore: {source}")]
    Request {
        /// What it was about.
        path: String,
        /// Why.
        source: RequestError,
    },
    /// xenstore said no.
    #[error("xenstore refuses {kind:?} of {path}: {source}")]
    Refused {
        /// What was asked.
        kind: Kind,
        /// What it was about.
        path: String,
        /// Why.
        source: Refusal,
    },
    /// What came is not xenstore's protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The connection failed.
    #[error("the connection to xenstore failed: {0}")]
    Io(#[from] io::Error),
    /// A request was given up half-way, or failed; a new connection has to be made.
    #[error("this connection to xenstore cannot be used any more")]
    Broken,
    /// Nobody has asked for the events for so long that there is no room for more.
    #[error("more than {MOST_EVENTS} changes were not looked at")]
    Events,
}

/// Where the control domains of XenServer, XCP-ng and Xen have their xenstore.
const SOCKET: &str = "/var/run/xenstored/socket";

const MOST_EVENTS: usize = 4096;

impl Dom0 {
    /// xenstore by its own protocol, over a forward of its socket. Where the host has no socket, because its xenstore is a
    /// domain of its own, [`Dom0::xenstore`] is the way.
    pub async fn store(&self) -> Result<Store, Error> {
        let (from, to) = self.open(&Target::unix(SOCKET)).await?.into_split();
        Ok(Store::new(from, to))
    }
}

impl Store {
    /// On any connection.
    pub fn new(from: impl AsyncRead + Send + Unpin + 'static, to: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            from: Box::new(from),
            to: Box::new(to),
            decoder: Decoder::new(),
            last: 0,
            events: VecDeque::new(),
            broken: false,
        }
    }

    /// In the control domain itself.
    #[cfg(unix)]
    pub async fn local() -> io::Result<Self> {
        let (from, to) = tokio::net::UnixStream::connect(SOCKET).await?.into_split();
        Ok(Self::new(from, to))
    }

    /// In a guest, through the kernel's `/dev/xen/xenbus`.
    #[cfg(target_os = "linux")]
    pub fn guest() -> io::Result<Self> {
        use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

        // The device waits and tells when it is ready as a pipe does; each opening of it is a connection of its own.
        let to = OpenOptions::new()
            .read_write(true)
            .unchecked(true)
            .open_sender("/dev/xen/xenbus")?
            .into_nonblocking_fd()?;
        let from = Receiver::from_owned_fd_unchecked(to.try_clone()?)?;
        Ok(Self::new(from, Sender::from_owned_fd_unchecked(to)?))
    }

    /// The value at a path; none when there is no such path.
    pub async fn read(&mut self, path: &XenStorePath) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_at(0, path).await
    }

    /// The same, as a transaction sees it.
    pub async fn read_in(&mut self, within: Transaction, path: &XenStorePath) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_at(within.0, path).await
    }

    async fn read_at(&mut self, within: u32, path: &XenStorePath) -> Result<Option<Vec<u8>>, StoreError> {
        let answer = self.ask(&Request::read(path), path.as_str(), within).await;
        present(answer).map(|message| message.map(|message| message.payload))
    }

    /// The names below a path; none when there is no such path. A list of more than 4096 bytes is refused with
    /// [`Refusal::TooLong`]; the programs of [`Dom0::xenstore`] read it in parts.
    pub async fn list(&mut self, path: &XenStorePath) -> Result<Option<Vec<String>>, StoreError> {
        let answer = present(self.ask(&Request::list(path), path.as_str(), 0).await)?;
        Ok(answer.map(|message| wire::names(&message)).transpose()?)
    }

    /// Writes a value of at most 2048 bytes, and makes the folders above it.
    pub async fn write(&mut self, path: &XenStorePath, value: &[u8]) -> Result<(), StoreError> {
        self.ask(&Request::write(path, value), path.as_str(), 0).await.map(drop)
    }

    /// The same, when the transaction is committed.
    pub async fn write_in(&mut self, within: Transaction, path: &XenStorePath, value: &[u8]) -> Result<(), StoreError> {
        let request = Request::write(path, value);
        self.ask(&request, path.as_str(), within.0).await.map(drop)
    }

    /// Removes a path and what is below it, if it is there.
    pub async fn remove(&mut self, path: &XenStorePath) -> Result<(), StoreError> {
        present(self.ask(&Request::remove(path), path.as_str(), 0).await).map(drop)
    }

    /// Has changes at or below a path told by [`event`](Self::event), and one at once.
    pub async fn watch(&mut self, path: &XenStorePath, token: &str) -> Result<(), StoreError> {
        self.ask(&Request::watch(path, token), path.as_str(), 0).await.map(drop)
    }

    /// Ends a watch. Events that have come before are still told.
    pub async fn unwatch(&mut self, path: &XenStorePath, token: &str) -> Result<(), StoreError> {
        self.ask(&Request::unwatch(path, token), path.as_str(), 0)
            .await
            .map(drop)
    }

    /// The next change. Dropping the future loses none.
    pub async fn event(&mut self) -> Result<StoreEvent, StoreError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if self.broken {
                return Err(StoreError::Broken);
            }
            // An answer here is to a question that was given up.
            self.message().await?;
        }
    }

    /// Begins a transaction.
    pub async fn begin(&mut self) -> Result<Transaction, StoreError> {
        let answer = self.ask(&Request::start_transaction(), "a transaction", 0).await?;
        Ok(Transaction(wire::transaction(&answer)?))
    }

    /// Makes a transaction's changes, all at once. False when another has changed what it saw: nothing has happened then, and
    /// it has to be made again.
    pub async fn commit(&mut self, transaction: Transaction) -> Result<bool, StoreError> {
        let end = Request::end_transaction(true);
        match self.ask(&end, "a transaction", transaction.0).await {
            Ok(_) => Ok(true),
            Err(StoreError::Refused {
                source: Refusal::Again, ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Drops a transaction's changes.
    pub async fn abort(&mut self, transaction: Transaction) -> Result<(), StoreError> {
        let end = Request::end_transaction(false);
        self.ask(&end, "a transaction", transaction.0).await.map(drop)
    }

    async fn ask(&mut self, request: &Request, path: &str, transaction: u32) -> Result<Message, StoreError> {
        if self.broken {
            return Err(StoreError::Broken);
        }
        self.last = self.last.wrapping_add(1).max(1);
        let id = self.last;
        let bytes = request.encode(id, transaction).map_err(|source| StoreError::Request {
            path: path.into(),
            source,
        })?;
        // Half a message would make nonsense of the next one.
        self.broken = true;
        self.to.write_all(&bytes).await?;
        self.to.flush().await?;
        self.broken = false;
        loop {
            let Some(answer) = self.message().await?.filter(|answer| answer.request == id) else {
                continue;
            };
            return match wire::refusal(&answer) {
                None => Ok(answer),
                Some(source) => Err(StoreError::Refused {
                    kind: request.kind(),
                    path: path.into(),
                    source,
                }),
            };
        }
    }

    /// The next message; none when it was an event, which is kept.
    async fn message(&mut self) -> Result<Option<Message>, StoreError> {
        let message = self.receive().await.inspect_err(|_| self.broken = true)?;
        if message.kind != Kind::WatchEvent {
            return Ok(Some(message));
        }
        let (path, token) = wire::event(&message)?;
        if self.events.len() >= MOST_EVENTS {
            self.broken = true;
            return Err(StoreError::Events);
        }
        self.events.push_back(StoreEvent { path, token });
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Message, StoreError> {
        loop {
            if let Some(message) = self.decoder.message()? {
                return Ok(message);
            }
            let mut piece = [0; 4096];
            match self.from.read(&mut piece).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                length => self.decoder.feed(&piece[..length]),
            }
        }
    }
}

/// An absent path is no failure for those who only look.
fn present(answer: Result<Message, StoreError>) -> Result<Option<Message>, StoreError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(StoreError::Refused {
            source: Refusal::Absent,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

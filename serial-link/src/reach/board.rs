use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use serial_link_protocol::{Board, Host};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep_until};

use super::{ConnectError, Line, Port};

/// A few named values that a VM and somebody outside can both read and write.
pub trait Values: Send + 'static {
    /// Waits until some have changed, and tells their names; at first, all that the guest may have written. Dropping the
    /// future loses none.
    fn changed(&mut self) -> impl Future<Output = io::Result<Vec<String>>> + Send;

    /// The values of names; those that are absent are left out.
    fn read(&mut self, names: Vec<String>) -> impl Future<Output = io::Result<Vec<(String, String)>>> + Send;

    /// Writes values, each of which is text of at most 1024 characters.
    fn write(&mut self, values: Vec<(String, String)>) -> impl Future<Output = io::Result<()>> + Send;
}

type Open<V> = Box<dyn Fn() -> BoxFuture<'static, io::Result<V>> + Send + Sync>;

/// A line to `serial-agent` where there is no serial port to use: through values in xenstore.
///
/// It carries the framed link and nothing else, about 10 KiB for each round trip.
pub struct BoardLine<V> {
    name: String,
    open: Open<V>,
}

impl<V: Values> BoardLine<V> {
    /// A line through the values that `open` opens, again whenever they were lost.
    pub fn new<F>(name: impl Into<String>, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<V>> + Send + 'static,
    {
        Self {
            name: name.into(),
            open: Box::new(move || Box::pin(open())),
        }
    }
}

impl<V: Values> Line for BoardLine<V> {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            let opened = (self.open)().await;
            let values = opened.map_err(|source| ConnectError::Socket {
                line: self.name(),
                source,
            })?;
            let (ours, theirs) = duplex(64 << 10);
            // It ends with the port, and the port with it.
            tokio::spawn(carry(values, ours));
            Ok(Port::new(theirs))
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl<V> std::fmt::Debug for BoardLine<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardLine")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Without anything to write again, nothing happens by itself.
const IDLE: Duration = Duration::from_secs(3600);

async fn carry(mut values: impl Values, stream: DuplexStream) -> io::Result<()> {
    // Drawn at random, by what the standard library has for it.
    let number = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) as u32;
    let mut board = Board::<Host>::new(number);
    let (mut from, mut to) = tokio::io::split(stream);
    let start = Instant::now();
    let mut waiting = Bytes::new();
    let mut piece = vec![0; 4096];
    loop {
        waiting.advance(board.write(&waiting));
        let posts = board.post(start.elapsed());
        if !posts.is_empty() {
            values.write(posts).await?;
        }
        let readable = board.read(64 << 10);
        if !readable.is_empty() {
            to.write_all(&readable).await?;
            // What was taken is to be told.
            continue;
        }
        let wake_at = board.wake_at().map_or_else(|| Instant::now() + IDLE, |at| start + at);
        let mut names = Vec::new();
        {
            let changed = pin!(values.changed());
            tokio::select! {
                length = from.read(&mut piece), if waiting.is_empty() => match length? {
                    0 => return Ok(()),
                    length => waiting = Bytes::copy_from_slice(&piece[..length]),
                },
                changed = changed => names = changed?,
                () = sleep_until(wake_at) => {}
            }
        }
        names.retain(|name| Board::<Host>::is_theirs(name));
        if !names.is_empty() {
            for (name, value) in values.read(names).await? {
                board.see(&name, &value);
            }
        }
    }
}

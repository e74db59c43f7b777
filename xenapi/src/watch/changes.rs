//! A watch as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::sync::{mpsc, watch};

use xenapi_connection::{Background, Delta, Feed, Selection};

use super::{AnyRef, Change};
use crate::{AnyRecord, Class, Client, Health, Object, Record, Ref, Result};

/// How many changes wait here for a slow reader before the server is asked no further.
const WAITING: usize = 1024;

/// A watch that is being described; [`start`](Watch::start) begins it. See [`Client::watch`].
#[derive(Debug)]
#[must_use = "nothing is watched before `start`"]
pub struct Watch {
    client: Client,
    selection: Selection,
    poll: Option<Duration>,
}

impl Client {
    /// Watches the pool: everything there is, then every change, typed by class.
    ///
    /// It goes on through broken connections, lost sessions and changes of the coordinator, and finds the deletions
    /// that the server forgets to tell: its queue of them is short, 256 to 512 a class.
    ///
    /// Of messages only those are heard of that come after the watch began: the server lists no others.
    ///
    /// ```no_run
    /// # async fn tail(pool: xenapi::Client) -> xenapi::Result<()> {
    /// use futures_util::StreamExt;
    /// use xenapi::{AnyRecord, Change, Class};
    ///
    /// let mut changes = pool.watch().classes([Class::Vm, Class::Task]).start();
    /// while let Some(change) = changes.next().await {
    ///     match change? {
    ///         Change::Apply { record: AnyRecord::Vm(vm), .. } => println!("{}: {}", vm.name_label, vm.power_state),
    ///         Change::Delete(reference) => println!("gone: {reference}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    #[doc(alias = "event.from")]
    pub fn watch(&self) -> Watch {
        Watch {
            client: self.clone(),
            selection: Selection::default(),
            poll: None,
        }
    }
}

impl Watch {
    /// Hears of these classes only; without it, of all.
    pub fn classes(mut self, classes: impl IntoIterator<Item = Class>) -> Self {
        for class in classes {
            self.selection.add(&class);
        }
        self
    }

    /// Hears of this object, in place of or in addition to whole classes.
    pub fn object<T: Object>(mut self, reference: Ref<T>) -> Self {
        let class = Class::from(<T::Record as Record>::CLASS);
        self.selection.add_object(&class, &reference.to_wire());
        self
    }

    /// How long the server holds a request open with nothing to tell; 30 seconds by default. A dead connection is
    /// noticed a minute after that.
    pub fn poll_limit(mut self, limit: Duration) -> Self {
        self.poll = Some(limit);
        self
    }

    /// Begins, in the background of the Tokio runtime; the stream ends the watch when it is dropped.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(self) -> Changes {
        let feed = Feed::new(self.client.connection().unguarded(), self.selection);
        let feed = match self.poll {
            Some(limit) => feed.poll_limit(limit),
            None => feed,
        };
        let health = feed.health().subscribe();
        let (sender, waiting) = mpsc::channel(WAITING);
        Changes {
            waiting,
            health,
            _work: Background::spawn(pass_on(feed, sender)),
            _client: self.client,
        }
    }
}

async fn pass_on(mut feed: Feed, sender: mpsc::Sender<Result<Change>>) {
    loop {
        match feed.next().await {
            Ok(deltas) => {
                let arrived = Instant::now();
                for delta in deltas {
                    if sender.send(Ok(change(delta))).await.is_err() {
                        return;
                    }
                }
                feed.health().send_modify(|health| health.lag = arrived.elapsed());
            }
            Err(error) => {
                // Nobody listens any more where this fails.
                let _ = sender.send(Err(error)).await;
                return;
            }
        }
    }
}

fn change(delta: Delta) -> Change {
    match delta {
        Delta::Init => Change::Init,
        Delta::InitDone => Change::InitDone,
        Delta::Delete { class, reference } => Change::Delete(AnyRef::new(class, reference)),
        Delta::Apply {
            class,
            reference,
            snapshot,
        } => {
            let record = AnyRecord::decode(&class, &snapshot).unwrap_or_else(|error| {
                tracing::warn!(class = class.as_str(), %error, "a record is passed on raw");
                AnyRecord::Other(class.clone(), snapshot)
            });
            Change::Apply {
                reference: AnyRef::new(class, reference),
                record,
            }
        }
    }
}

/// The changes of a pool, as a [`Stream`]. It ends only after an error that will not pass by itself: a refused login,
/// a role that may not listen, a certificate that is not trusted.
pub struct Changes {
    waiting: mpsc::Receiver<Result<Change>>,
    health: watch::Receiver<Health>,
    _work: Background,
    /// The session lives as long as the watch.
    _client: Client,
}

impl Changes {
    /// How the watch fares, now and as it changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }
}

impl Stream for Changes {
    type Item = Result<Change>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Change>>> {
        self.waiting.poll_recv(context)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("health", &*self.health.borrow())
            .finish_non_exhaustive()
    }
}

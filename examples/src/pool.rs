//! A pool that a tool works on.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use xenapi::Client;
use xenapi::wire::Encoding;
use xenapi_sim::Server;

use crate::interrupt::Interrupt;
use crate::note;

/// How long work that was given up may take to cancel on the server what it had begun there.
const TIDYING: Duration = Duration::from_secs(2);

/// How long all of that may take.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// A session on a pool, and the simulated pool behind it if it has one.
#[derive(Debug)]
pub struct Pool {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) simulated: Option<Server>,
    pub(crate) interrupt: Interrupt,
    pub(crate) afterwards: Afterwards,
}

/// What is done although the work was given up, before the session ends.
#[derive(Clone, Debug, Default)]
pub struct Afterwards(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Afterwards {
    /// Does it, in a task of its own.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(work);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    async fn done(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // One that panicked has said so.
            let _ = task.await;
        }
    }
}

impl Pool {
    /// Whether this is a simulated pool of our own.
    pub fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }

    /// The URL it was reached at.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The protocol that calls use.
    pub fn protocol(&self) -> &'static str {
        match self.client.encoding() {
            Encoding::Json => "JSON-RPC",
            Encoding::Xml => "XML-RPC",
            _ => "an encoding of its own",
        }
    }

    /// Whether ctrl-c was pressed.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_pressed()
    }

    /// Waits for some work unless ctrl-c is pressed: that drops it, and the tool goes on to tidy up.
    ///
    /// # Errors
    /// The work's own, or [`Interrupted`](crate::Interrupted).
    pub async fn unless_interrupted<T, E: Into<anyhow::Error>>(
        &self,
        work: impl IntoFuture<Output = Result<T, E>>,
    ) -> anyhow::Result<T> {
        self.interrupt.unless_pressed(work).await
    }

    /// Where work that may be given up leaves what has to be done all the same.
    pub fn afterwards(&self) -> Afterwards {
        self.afterwards.clone()
    }

    /// Logs out; after ctrl-c, once dropped work has had time to cancel its tasks.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if self.is_interrupted() {
            tokio::time::sleep(TIDYING).await;
        }
        if tokio::time::timeout(AFTERWARDS, self.afterwards.done()).await.is_err() {
            note("Tidying up takes too long, and is left.");
        }
        Ok(self.client.logout().await?)
    }
}

impl Deref for Pool {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

//! A pool that a tool works on.

use std::ops::Deref;
use std::time::Duration;

use xenapi::Client;
use xenapi::wire::Encoding;
use xenapi_sim::Server;

use crate::interrupt::Interrupt;

/// How long work that was given up may take to cancel on the server what it had begun there.
const TIDYING: Duration = Duration::from_secs(2);

/// A session on a pool, and the simulated pool behind it if it has one.
#[derive(Debug)]
pub struct Pool {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) simulated: Option<Server>,
    pub(crate) interrupt: Interrupt,
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

    /// Logs out; after ctrl-c, once dropped work has had time to cancel its tasks.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if self.is_interrupted() {
            tokio::time::sleep(TIDYING).await;
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

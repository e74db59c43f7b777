use std::panic;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Error, Gauge, Progress};

/// How long the end may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A capture that runs. Dropping it ends it and every tcpdump of it, without its statistics.
#[derive(Debug)]
pub struct Capture {
    followers: JoinSet<Result<(), Error>>,
    failure: Option<Error>,
    stop: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
    outcome: Option<oneshot::Receiver<Result<(), Error>>>,
}

impl Capture {
    pub(super) fn new(
        followers: JoinSet<Result<(), Error>>,
        stop: watch::Sender<bool>,
        progress: watch::Receiver<Progress>,
        outcome: oneshot::Receiver<Result<(), Error>>,
    ) -> Self {
        Self {
            followers,
            failure: None,
            stop,
            progress,
            outcome: Some(outcome),
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// What tells how far it has come, apart from the capture.
    pub fn gauge(&self) -> Gauge {
        Gauge(self.progress.clone())
    }

    /// Waits until it ends by itself: with an error, or, where it does not follow, with its devices. It may be waited for
    /// again when this was cancelled.
    ///
    /// # Errors
    /// Where the connection was lost, the sink failed or its reader has gone ([`Error::is_reader_gone`]), or a device
    /// cannot be captured. What came before is written.
    pub async fn wait(&mut self) -> Result<Progress, Error> {
        while let Some(joined) = self.followers.join_next().await {
            match joined {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.failure.get_or_insert(error);
                    self.stop.send_replace(true);
                }
                // The other reason is the end of the runtime.
                Err(error) => {
                    if let Ok(payload) = error.try_into_panic() {
                        panic::resume_unwind(payload);
                    }
                }
            }
        }
        if let Some(outcome) = &mut self.outcome {
            let written = outcome.await.unwrap_or_else(|_| Err(Error::panicked()));
            self.outcome = None;
            written?;
        }
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(self.progress()),
        }
    }

    /// Ends it: each tcpdump says what it has lost, which goes into the file, and all is written.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); and [`Error::Stalled`] where the sink's reader takes nothing for 15 seconds.
    pub async fn stop(mut self) -> Result<Progress, Error> {
        self.stop.send_replace(true);
        let stalled = Err(Error::Stalled { waited: PATIENCE });
        timeout(PATIENCE, self.wait()).await.unwrap_or(stalled)
    }
}

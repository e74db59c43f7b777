use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::config::Config;
use super::event::{Event, Status};
use super::pump;
use super::reader::{Reader, Replay};
use super::shared::Shared;
use super::writer::{AskError, Busy, Writer};
use crate::reach::Line;

/// A connection to a serial port that is kept open; cheap to clone. It is closed with the last clone.
#[derive(Debug, Clone)]
pub struct Bridge(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    pump: JoinHandle<()>,
}

impl Bridge {
    /// Starts to connect, in a task of the runtime it is called in.
    pub fn start(line: impl Line) -> Self {
        Self::with(line, Config::default())
    }

    /// With another ring or other pauses.
    pub fn with(line: impl Line, config: Config) -> Self {
        let (shared, input) = Shared::new(config.ring);
        let shared = Arc::new(shared);
        let pump = tokio::spawn(pump::run(line, config, shared.clone(), input));
        Self(Arc::new(Running { shared, pump }))
    }

    /// A new reader, named for messages.
    pub fn reader(&self, name: impl Into<String>, replay: Replay) -> Reader {
        Reader::new(&self.0.shared, name.into(), replay)
    }

    /// The input, if nobody has it.
    pub fn writer(&self, name: &str) -> Result<Writer, Busy> {
        Writer::take(&self.0.shared, name)
    }

    /// Asks the one who has the input to hand it over, and waits for the answer. Dropping the future takes the question
    /// back.
    pub async fn ask_writer(&self, name: &str) -> Result<Writer, AskError> {
        Writer::ask(&self.0.shared, name).await
    }

    /// Tells everybody that a program did not get the input.
    pub(crate) fn refused(&self, name: &str, reason: &str) {
        self.0.shared.tell(Event::Refused {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.0.shared.status()
    }

    /// Waits until it is over, because its line [cannot be connected](crate::reach::ConnectError::is_final) any more, and
    /// tells why.
    pub async fn ended(&self) -> String {
        let mut progress = self.0.shared.progress.subscribe();
        // The sender lives as long as `self`.
        let _ = progress.wait_for(|progress| progress.closed).await;
        self.status().last_error.unwrap_or_default()
    }

    /// What happens from now on. Who does not keep up misses events, and is told so by the receiver.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.shared.events.subscribe()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pump.abort();
        self.shared.close();
    }
}

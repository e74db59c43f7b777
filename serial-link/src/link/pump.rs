use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::shared::Shared;
use crate::bridge::{Event, Reader, WriteError, Writer};

/// What is handed to the bridge at a time: it cannot be overtaken there.
const BATCH: usize = 2048;

/// Moves bytes between the link and the bridge until there is no bridge, or another has the input; tells which.
pub(super) async fn run(shared: &Shared, reader: Reader, writer: Writer, events: broadcast::Receiver<Event>) -> String {
    tokio::select! {
        biased;
        // It knows why the bridge is over, if it is.
        reason = restore(shared, events) => reason,
        reason = receive(shared, reader) => reason,
        error = send(shared, writer) => error.to_string(),
    }
}

const CLOSED: &str = "the bridge is closed";

async fn receive(shared: &Shared, mut reader: Reader) -> String {
    while let Some(piece) = reader.next().await {
        let now = shared.now();
        shared.wish(|state| state.link.receive(&piece.bytes, now));
    }
    CLOSED.to_owned()
}

async fn send(shared: &Shared, writer: Writer) -> WriteError {
    let mut batch = Vec::with_capacity(2 * BATCH);
    loop {
        let now = shared.now();
        let wake_at = shared.with(|state| {
            while batch.len() < BATCH && state.link.transmit(now, &mut batch) {}
            state.link.wake_at(now)
        });
        if !batch.is_empty() {
            if let Err(error) = writer.write(&batch).await {
                return error;
            }
            batch.clear();
            continue;
        }
        let wish = shared.wishes.notified();
        match wake_at {
            // That nobody wished anything is what the time is for.
            Some(at) => drop(timeout(at.saturating_sub(now).max(TICK), wish).await),
            None => wish.await,
        }
    }
}

/// The runtime's own.
const TICK: Duration = Duration::from_millis(1);

/// A line that is back need not wait for a timer.
async fn restore(shared: &Shared, mut events: broadcast::Receiver<Event>) -> String {
    loop {
        match events.recv().await {
            Ok(Event::Connected) | Err(RecvError::Lagged(_)) => {
                let now = shared.now();
                shared.wish(|state| state.link.line_restored(now));
            }
            Ok(Event::Ended { reason }) => return reason,
            Ok(_) => {}
            Err(RecvError::Closed) => return CLOSED.to_owned(),
        }
    }
}

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::config::Config;
use super::event::Event;
use super::shared::Shared;
use crate::reach::{Line, Port};

/// Connects for ever, or until the line says that it is no use.
pub(super) async fn run(line: impl Line, config: Config, shared: Arc<Shared>, mut input: mpsc::Receiver<Bytes>) {
    let (mut unsent, mut unkept) = (Bytes::new(), Bytes::new());
    let mut pause = config.shortest;
    loop {
        let reason = match timeout(config.patience, line.connect()).await {
            Ok(Ok(port)) => {
                let since = Instant::now();
                connected(&shared, true, None);
                shared.tell(Event::Connected);
                let error = carry(port, &shared, &mut input, &mut unsent, &mut unkept).await;
                // A connection that is closed as soon as it is made is no reason to hurry.
                if since.elapsed() > config.longest {
                    pause = config.shortest;
                }
                format!("{}: {error}", line.name())
            }
            Ok(Err(error)) if error.is_final() => {
                let reason = error.to_string();
                connected(&shared, false, Some(reason.clone()));
                shared.tell(Event::Ended { reason });
                shared.close();
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("{} does not answer in {:?}", line.name(), config.patience),
        };
        connected(&shared, false, Some(reason.clone()));
        shared.tell(Event::Disconnected {
            reason,
            retry_in: pause,
        });
        sleep(pause).await;
        pause = (pause * 2).min(config.longest);
    }
}

fn connected(shared: &Shared, yes: bool, reason: Option<String>) {
    let mut state = shared.state();
    state.connected = yes;
    if reason.is_some() {
        state.last_error = reason;
    }
}

/// Both directions in one task, until one of them ends. A guest that does not read holds up nothing it sends.
async fn carry(
    port: Port,
    shared: &Shared,
    input: &mut mpsc::Receiver<Bytes>,
    unsent: &mut Bytes,
    unkept: &mut Bytes,
) -> io::Error {
    let (mut from, mut to) = tokio::io::split(port);
    let receive = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            keep(unkept, shared).await;
            match from.read(&mut buffer).await {
                Ok(0) => return io::Error::new(io::ErrorKind::UnexpectedEof, "the port was closed"),
                Ok(length) => *unkept = Bytes::copy_from_slice(&buffer[..length]),
                Err(error) => return error,
            }
        }
    };
    let send = async {
        loop {
            if unsent.is_empty() {
                match input.recv().await {
                    Some(piece) => *unsent = piece,
                    None => return std::future::pending().await,
                }
            }
            let sent = match to.write(unsent).await {
                Ok(0) => return io::ErrorKind::WriteZero.into(),
                Ok(sent) => sent,
                Err(error) => return error,
            };
            unsent.advance(sent);
            if unsent.is_empty()
                && let Err(error) = to.flush().await
            {
                return error;
            }
        }
    };
    tokio::select! {
        error = receive => error,
        error = send => error,
    }
}

/// Puts bytes into the ring as fast as those readers read that hold the guest back. Meanwhile nothing is read from the
/// port.
async fn keep(bytes: &mut Bytes, shared: &Shared) {
    let mut released = shared.released.subscribe();
    while !bytes.is_empty() {
        released.mark_unchanged();
        let room = usize::try_from(shared.room()).unwrap_or(usize::MAX).min(bytes.len());
        if room == 0 {
            // The sender lives as long as `shared` does.
            let _ = released.changed().await;
            continue;
        }
        shared.push(&bytes[..room]);
        bytes.advance(room);
    }
}

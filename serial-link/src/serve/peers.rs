use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use super::session::{Input, Session, SessionError};
use super::socket::{BoundUnix, accept_unix, serve};
use crate::bridge::{Bridge, Busy, Replay, Writer};
use crate::greeting::{Answer, Claim, Wish, hear, say};

/// So long a program may take to say what it wants, and the one with the input to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves other programs with this crate, which connect with [`BridgeLine`](crate::reach::BridgeLine), until the future is
/// dropped.
///
/// Unlike what any program is served, they are told why they do not get the input, and can take it over from one whose
/// [`Session`] hands it over.
pub async fn peers(bridge: &Bridge, socket: &BoundUnix, session: &Session) {
    serve(bridge, session, || accept_unix(socket), peer).await
}

async fn peer<S: AsyncRead + AsyncWrite + Send + Unpin>(
    bridge: Bridge,
    session: Session,
    name: String,
    mut stream: S,
) -> Result<(), SessionError> {
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let wish: Wish = timeout(PATIENCE, hear(&mut stream)).await.map_err(|_| late())??;
    let name = format!("{} ({name})", wish.name());
    let writer = match input(&bridge, &session, &wish, &name).await {
        Ok(writer) => writer,
        Err(reason) => {
            bridge.refused(&name, &reason);
            return Ok(say(&mut stream, &Answer::Refused { reason }).await?);
        }
    };
    say(&mut stream, &Answer::Granted).await?;
    let input = if writer.is_some() { Input::First } else { Input::Ignored };
    let session = session
        .replay(match wish.replayed() {
            0 => Replay::Nothing,
            lines => Replay::Lines(lines),
        })
        .input(input)
        .hand_over(!wish.insists());
    session.run_with(&bridge, &name, stream, writer).await
}

/// The input as it was claimed, or why it is not given.
async fn input(bridge: &Bridge, session: &Session, wish: &Wish, name: &str) -> Result<Option<Writer>, String> {
    if wish.wants() == Claim::Nothing {
        return Ok(None);
    }
    if session.ignores_input() {
        return Err("nobody may send anything there".to_owned());
    }
    let writer = match wish.wants() {
        Claim::TakeOver => match timeout(PATIENCE, bridge.ask_writer(name)).await {
            Ok(asked) => asked.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("whoever has the input did not answer in {PATIENCE:?}")),
        },
        _ => free(bridge, name).await.map_err(|busy| busy.to_string())?,
    };
    Ok(Some(writer))
}

/// The input, if nobody has it. That one has just left may show a moment later.
async fn free(bridge: &Bridge, name: &str) -> Result<Writer, Busy> {
    for _ in 0..MOMENTS {
        if let Ok(writer) = bridge.writer(name) {
            return Ok(writer);
        }
        sleep(MOMENT).await;
    }
    bridge.writer(name)
}

const MOMENT: Duration = Duration::from_millis(20);
const MOMENTS: usize = 15;

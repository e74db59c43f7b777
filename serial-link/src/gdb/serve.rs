use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{Piece, Splitter};
use crate::bridge::{Bridge, Replay};
use crate::serve::SessionError;

/// So long without a byte, and what looked like the start of a packet was none.
const QUIET: Duration = Duration::from_millis(100);

/// Serves one gdb until it leaves: it gets its packets, and `console` the rest of what the guest sends.
///
/// # Errors
/// If another has the bridge's input, or the connection fails.
pub async fn serve(
    bridge: &Bridge,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut console: impl FnMut(&[u8]),
) -> Result<(), SessionError> {
    let writer = bridge.writer("gdb")?;
    let mut reader = bridge.reader("gdb", Replay::Nothing).hold_back(true);
    let (mut from, mut to) = tokio::io::split(stream);
    let mut splitter = Splitter::new();
    let mut typed = vec![0; 4096];
    let mut pieces = Vec::new();
    loop {
        let wait = if splitter.is_holding() { QUIET } else { Duration::MAX };
        tokio::select! {
            length = from.read(&mut typed) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                splitter.sent(&typed[..length]);
                writer.write(&typed[..length]).await?;
            }
            came = timeout(wait, reader.next()) => match came {
                Ok(Some(piece)) => splitter.feed(&piece.bytes, &mut pieces),
                Ok(None) => return Ok(()),
                Err(_) => splitter.quiet(&mut pieces),
            },
        }
        for piece in pieces.drain(..) {
            match piece {
                Piece::Packet(bytes) => to.write_all(&bytes).await?,
                Piece::Console(bytes) => console(&bytes),
            }
        }
        to.flush().await?;
    }
}

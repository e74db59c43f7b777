//! A line each, before the bytes of the port.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the bridge says to that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Granted,
    Refused { reason: String },
}

/// Longer than any of the lines.
const LONGEST: usize = 4096;

pub(crate) async fn say<T: Serialize + Sync>(to: &mut (impl AsyncWrite + Send + Unpin), what: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// Reads a line and no byte more.
pub(crate) async fn hear<T: DeserializeOwned>(from: &mut (impl AsyncRead + Send + Unpin)) -> io::Result<T> {
    let mut line = Vec::new();
    loop {
        match from.read_u8().await? {
            b'\n' => return Ok(serde_json::from_slice(&line)?),
            byte if line.len() < LONGEST => line.push(byte),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the other end is no `serial`",
                ));
            }
        }
    }
}

use std::io::{self, SeekFrom};

use serial_link_protocol::{Checksum, ClientError, FileFacts, Port, Put, Reply, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite, AsyncWriteExt};

use super::client::{Channel, Client};

const PIECE: usize = 64 << 10;

impl Client {
    /// Copies a file out of the VM behind what `to` has already: empty for a whole copy.
    ///
    /// # Errors
    /// If the file cannot be read there or written here, or the copy is not the same.
    pub async fn get(
        &self,
        path: &str,
        to: &mut (impl AsyncRead + AsyncWrite + AsyncSeek + Unpin),
    ) -> Result<FileFacts, ClientError> {
        let (offset, mut checksum) = sum(to, u64::MAX).await?;
        let channel = self.open(&Request::Get {
            path: path.into(),
            offset,
        })?;
        let facts = match channel.reply().await? {
            Reply::Reading(facts) => facts,
            other => return Err(other.into()),
        };
        while let Some(bytes) = channel.read(Port::Output, PIECE).await? {
            checksum.update(&bytes);
            to.write_all(&bytes).await?;
        }
        let theirs = match channel.reply().await? {
            Reply::Read { sha256 } => sha256,
            other => return Err(other.into()),
        };
        to.flush().await?;
        if theirs == checksum.finish() {
            Ok(facts)
        } else {
            Err(ClientError::Checksum { path: path.into() })
        }
    }

    /// Copies a file into the VM. With [`Put::resume`] it goes on with what an earlier attempt has left there.
    ///
    /// # Errors
    /// If the file cannot be read here or written there, or the copy is not the same.
    pub async fn put(&self, put: &Put, from: &mut (impl AsyncRead + AsyncSeek + Unpin)) -> Result<(), ClientError> {
        let channel = self.open(&Request::Put(put.clone()))?;
        let offset = match channel.reply().await? {
            Reply::Writing { offset } => offset,
            other => return Err(other.into()),
        };
        let (_, mut checksum) = sum(from, offset).await?;
        let mut rest = from.take(put.size.saturating_sub(offset));
        let mut piece = vec![0; PIECE];
        loop {
            let count = rest.read(&mut piece).await?;
            if count == 0 {
                break;
            }
            checksum.update(&piece[..count]);
            if let Err(error) = channel.write_all(Port::Input, &piece[..count]).await {
                // The agent says why it takes no more.
                return written(&channel).await.and(Err(error));
            }
        }
        let done = channel.end(Port::Input);
        let sha256 = checksum.finish();
        let committed = channel.follow_up(&Request::Commit { sha256 }).await;
        // What the agent says explains more than that the channel is closed.
        written(&channel).await?;
        done?;
        committed
    }
}

async fn written(channel: &Channel) -> Result<(), ClientError> {
    match channel.reply().await? {
        Reply::Written { .. } => Ok(()),
        other => Err(other.into()),
    }
}

/// The checksum of the first `limit` bytes, behind which the position then is.
async fn sum(file: &mut (impl AsyncRead + AsyncSeek + Unpin), limit: u64) -> io::Result<(u64, Checksum)> {
    file.seek(SeekFrom::Start(0)).await?;
    let mut checksum = Checksum::new();
    let mut piece = vec![0; PIECE];
    let mut start = file.take(limit);
    let mut length = 0;
    loop {
        let count = start.read(&mut piece).await?;
        if count == 0 {
            return Ok((length, checksum));
        }
        checksum.update(&piece[..count]);
        length += count as u64;
    }
}

//! Requests for bytes, one after the other.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::attached::Attached;

const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;
const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
/// Errors, as numbers of Linux.
const NOT_PERMITTED: u32 = 1;
const IO_ERROR: u32 = 5;
const INVALID: u32 = 22;
/// The most that is read or thrown away at once, in bytes.
const MOST: u32 = 32 << 20;

pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, disk: &Attached) -> io::Result<()> {
    let mut data = Vec::new();
    loop {
        if stream.read_u32().await? != REQUEST {
            return Ok(());
        }
        let _flags = stream.read_u16().await?;
        let command = stream.read_u16().await?;
        let handle = stream.read_u64().await?;
        let offset = stream.read_u64().await?;
        let length = stream.read_u32().await?;
        data.clear();
        let error = match command {
            DISCONNECT => return Ok(()),
            READ if length > MOST || offset.checked_add(length.into()).is_none_or(|end| end > disk.size()) => INVALID,
            READ => {
                data.resize(length as usize, 0);
                match disk.read(offset, &mut data) {
                    Ok(()) => 0,
                    Err(_) => {
                        data.clear();
                        IO_ERROR
                    }
                }
            }
            WRITE => {
                tokio::io::copy(&mut (&mut *stream).take(length.into()), &mut tokio::io::sink()).await?;
                NOT_PERMITTED
            }
            _ => INVALID,
        };
        let mut head = REPLY.to_be_bytes().to_vec();
        head.extend(error.to_be_bytes());
        head.extend(handle.to_be_bytes());
        stream.write_all(&head).await?;
        stream.write_all(&data).await?;
        stream.flush().await?;
    }
}

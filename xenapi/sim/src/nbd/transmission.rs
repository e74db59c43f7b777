//! What is asked of a disk, and the answers. After any error the connection ends.

use std::io;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::attached::Attached;
use super::protocol::{EINVAL, EPERM, READ_ONLY_DISK, REPLY_MAGIC, REQUEST_MAGIC, command};
use crate::faults::Effect;
use crate::http::Abort;

/// How long the head of a request is, in bytes.
const HEAD: usize = 28;
/// What requests must be a multiple of, in bytes.
const SECTOR: u64 = 512;
/// How much is read and sent at a time, in bytes.
const PIECE: u64 = 512 << 10;

struct Request {
    command: u32,
    cookie: u64,
    offset: u64,
    length: u32,
}

/// Tells the size of a disk and answers requests until the client leaves.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Abort + Unpin>(
    disk: &Attached,
    stream: &mut S,
) -> io::Result<()> {
    let mut description = (disk.size / SECTOR * SECTOR).to_be_bytes().to_vec();
    description.extend(READ_ONLY_DISK.to_be_bytes());
    description.extend([0; 124]);
    stream.write_all(&description).await?;
    stream.flush().await?;
    let mut sent = Sent {
        bytes: 0,
        cut: disk.effect.as_ref().and_then(Effect::cut),
    };
    loop {
        let request = read_request(stream).await?;
        let aligned = request.offset % SECTOR == 0 && u64::from(request.length) % SECTOR == 0;
        match request.command {
            command::READ if aligned => {
                if !read(disk, stream, &request, &mut sent).await? {
                    return break_off(disk, stream).await;
                }
            }
            command::DISCONNECT => return Ok(()),
            command::WRITE => return refuse(stream, &request, EPERM).await,
            _ => return refuse(stream, &request, EINVAL).await,
        }
    }
}

/// How much of the disk a client has got, and after how much a fault strikes.
struct Sent {
    bytes: u64,
    cut: Option<u64>,
}

/// Sends what is asked for. Answers with whether all of it went out: not where a fault struck, or the disk ends.
async fn read<S: AsyncWrite + Unpin>(
    disk: &Attached,
    stream: &mut S,
    request: &Request,
    sent: &mut Sent,
) -> io::Result<bool> {
    let mut piece = head(request, 0);
    let mut offset = request.offset;
    let mut rest = u64::from(request.length);
    loop {
        let wanted = rest.min(PIECE);
        if offset.checked_add(wanted).is_none_or(|end| end > disk.size) {
            stream.write_all(&piece).await?;
            stream.flush().await?;
            return Ok(false);
        }
        let allowed = sent
            .cut
            .map_or(wanted, |cut| wanted.min(cut.saturating_sub(sent.bytes)));
        let start = piece.len();
        piece.resize(start + allowed as usize, 0);
        disk.image.read(offset, &mut piece[start..])?;
        stream.write_all(&piece).await?;
        stream.flush().await?;
        disk.count(allowed as usize);
        sent.bytes += allowed;
        if allowed < wanted {
            return Ok(false);
        }
        offset += wanted;
        rest -= wanted;
        if rest == 0 {
            return Ok(true);
        }
        piece.clear();
    }
}

/// Ends the connection in the way of the fault that strikes, if one does.
async fn break_off<S: AsyncRead + Abort + Unpin>(disk: &Attached, stream: &mut S) -> io::Result<()> {
    match disk.effect {
        Some(Effect::Stall(_)) => {
            // What the client still asks for is heard and not answered.
            let mut unheard = [0; 1024];
            while stream.read(&mut unheard).await? > 0 {}
        }
        Some(Effect::Reset) => stream.abort(),
        _ => {}
    }
    Ok(())
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, request: &Request, error: u32) -> io::Result<()> {
    stream.write_all(&head(request, error)).await?;
    stream.flush().await
}

fn head(request: &Request, error: u32) -> Vec<u8> {
    let mut head = REPLY_MAGIC.to_be_bytes().to_vec();
    head.extend(error.to_be_bytes());
    head.extend(request.cookie.to_be_bytes());
    head
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Request> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let mut head = &head[..];
    if head.get_u32() != REQUEST_MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Request {
        command: head.get_u32(),
        cookie: head.get_u64(),
        offset: head.get_u64(),
        length: head.get_u32(),
    })
}

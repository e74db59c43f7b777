//! From the greeting to the name of a disk: the fixed newstyle handshake, as much of it as xapi-nbd knows.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::protocol::{FIXED_NEWSTYLE, GREETING, OPTION_MAGIC, OPTION_REPLY_MAGIC, answer, option};

/// The most that a client says with an option, in bytes; names have at most 4096.
const LONGEST_OPTION: u32 = 64 << 10;

/// Greets, and answers with whether the client speaks the fixed newstyle protocol.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<bool> {
    let mut greeting = GREETING.to_vec();
    greeting.extend(OPTION_MAGIC.to_be_bytes());
    greeting.extend(FIXED_NEWSTYLE.to_be_bytes());
    stream.write_all(&greeting).await?;
    stream.flush().await?;
    Ok(stream.read_u32().await? & u32::from(FIXED_NEWSTYLE) != 0)
}

/// Insists on TLS before anything else. Answers with whether the client asked for it; it leaves otherwise.
pub(super) async fn until_tls<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<bool> {
    loop {
        let (option, _) = read_option(stream).await?;
        match option {
            option::START_TLS => {
                reply(stream, option, answer::ACK).await?;
                return Ok(true);
            }
            option::EXPORT_NAME | option::ABORT => return Ok(false),
            _ => reply(stream, option, answer::TLS_REQUIRED).await?,
        }
    }
}

/// Takes options until the client names a disk, or leaves.
pub(super) async fn until_export<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    is_tls: bool,
) -> io::Result<Option<String>> {
    loop {
        let (option, payload) = read_option(stream).await?;
        let refusal = match option {
            option::EXPORT_NAME => return Ok(String::from_utf8(payload).ok()),
            option::ABORT => {
                reply(stream, option, answer::ACK).await?;
                return Ok(None);
            }
            option::START_TLS if is_tls => answer::INVALID,
            option::START_TLS | option::LIST => answer::POLICY,
            _ => answer::UNSUPPORTED,
        };
        reply(stream, option, refusal).await?;
    }
}

async fn read_option<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u32, Vec<u8>)> {
    let magic = stream.read_u64().await?;
    let option = stream.read_u32().await?;
    let length = stream.read_u32().await?;
    if magic != OPTION_MAGIC || length > LONGEST_OPTION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    Ok((option, payload))
}

async fn reply<S: AsyncWrite + Unpin>(stream: &mut S, option: u32, answer: u32) -> io::Result<()> {
    let mut reply = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
    for number in [option, answer, 0] {
        reply.extend(number.to_be_bytes());
    }
    stream.write_all(&reply).await?;
    stream.flush().await
}

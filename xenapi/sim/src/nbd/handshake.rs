//! The fixed newstyle handshake, as far as the server of the OCaml library goes: nothing but `EXPORT_NAME` names a disk.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const GREETING: &[u8; 8] = b"NBDMAGIC";
const OPTION: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const REPLY: u64 = 0x0003_e889_0455_65a9;
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;
/// No option is longer: the longest is an export name.
const MOST: u32 = 4096;

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const LIST: u32 = 3;
const STARTTLS: u32 = 5;

const ACK: u32 = 1;
const UNSUPPORTED: u32 = 1 << 31 | 1;
const POLICY: u32 = 1 << 31 | 2;
const INVALID: u32 = 1 << 31 | 3;
const TLS_REQUIRED: u32 = 1 << 31 | 5;

/// `HAS_FLAGS` and `READ_ONLY`.
const EXPORT_FLAGS: u16 = 1 | 2;

pub(super) struct Handshake {
    /// Whether 124 zeros follow the flags of an export.
    zeroes: bool,
}

/// How a negotiation ended.
pub(super) enum Asked {
    /// TLS begins now.
    Tls,
    Export(String),
    /// The client has gone, or has to go.
    End,
}

impl Handshake {
    pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<Self> {
        stream.write_all(GREETING).await?;
        stream.write_u64(OPTION).await?;
        stream.write_u16(FIXED_NEWSTYLE | NO_ZEROES).await?;
        stream.flush().await?;
        let flags = stream.read_u32().await?;
        Ok(Self {
            zeroes: flags & u32::from(NO_ZEROES) == 0,
        })
    }

    /// Answers options until one of them ends this. Where TLS is required, nothing else is talked of before it.
    pub(super) async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        tls_is_required: bool,
    ) -> io::Result<Asked> {
        loop {
            if stream.read_u64().await? != OPTION {
                return Ok(Asked::End);
            }
            let option = stream.read_u32().await?;
            let length = stream.read_u32().await?;
            if length > MOST {
                return Ok(Asked::End);
            }
            let mut data = vec![0; length as usize];
            stream.read_exact(&mut data).await?;
            let answer = match option {
                ABORT => {
                    reply(stream, option, ACK).await?;
                    return Ok(Asked::End);
                }
                STARTTLS if tls_is_required && data.is_empty() => {
                    reply(stream, option, ACK).await?;
                    return Ok(Asked::Tls);
                }
                STARTTLS => INVALID,
                // There is no way to refuse it but to go.
                EXPORT_NAME if tls_is_required => return Ok(Asked::End),
                EXPORT_NAME => {
                    let name = String::from_utf8(data);
                    return Ok(name.map_or(Asked::End, Asked::Export));
                }
                _ if tls_is_required => TLS_REQUIRED,
                LIST => POLICY,
                _ => UNSUPPORTED,
            };
            reply(stream, option, answer).await?;
        }
    }

    /// Tells the client what it gets.
    pub(super) async fn accept<S: AsyncWrite + Unpin>(&self, stream: &mut S, size: u64) -> io::Result<()> {
        let mut answer = [size.to_be_bytes().as_slice(), &EXPORT_FLAGS.to_be_bytes()].concat();
        if self.zeroes {
            answer.resize(answer.len() + 124, 0);
        }
        stream.write_all(&answer).await?;
        stream.flush().await
    }
}

async fn reply<S: AsyncWrite + Unpin>(stream: &mut S, option: u32, kind: u32) -> io::Result<()> {
    let mut answer = REPLY.to_be_bytes().to_vec();
    for number in [option, kind, 0] {
        answer.extend(number.to_be_bytes());
    }
    stream.write_all(&answer).await?;
    stream.flush().await
}

//! A server made of single messages.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use vhd_mbr::nbd::Target;

pub(crate) const FIXED_NEWSTYLE: u16 = 1;
pub(crate) const NO_ZEROES: u16 = 2;
pub(crate) const HAS_FLAGS: u16 = 1;
pub(crate) const READ_ONLY: u16 = 2;

pub(crate) const EXPORT_NAME: u32 = 1;
pub(crate) const LIST: u32 = 3;
pub(crate) const START_TLS: u32 = 5;
pub(crate) const GO: u32 = 7;
pub(crate) const STRUCTURED_REPLY: u32 = 8;
pub(crate) const SET_META_CONTEXT: u32 = 10;

pub(crate) const ACK: u32 = 1;
pub(crate) const INFO: u32 = 3;
pub(crate) const META_CONTEXT: u32 = 4;
pub(crate) const UNSUPPORTED: u32 = 1 << 31 | 1;
pub(crate) const POLICY: u32 = 1 << 31 | 2;
pub(crate) const TLS_REQUIRED: u32 = 1 << 31 | 5;

pub(crate) fn greeting(flags: u16) -> Vec<u8> {
    [b"NBDMAGICIHAVEOPT", &flags.to_be_bytes()[..]].concat()
}

pub(crate) fn reply(option: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let head = [option, kind, length].map(u32::to_be_bytes).concat();
    [&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &head, payload].concat()
}

/// What a server says of an export in answer to `NBD_OPT_GO`.
pub(crate) fn export(size: u64, flags: u16) -> Vec<u8> {
    let info = [&[0, 0][..], &size.to_be_bytes(), &flags.to_be_bytes()].concat();
    [reply(GO, INFO, &info), reply(GO, ACK, b"")].concat()
}

/// All that a server says up to the first request, to a client that asks for everything.
pub(crate) fn handshake(size: u64) -> Vec<u8> {
    [
        greeting(FIXED_NEWSTYLE | NO_ZEROES),
        reply(STRUCTURED_REPLY, ACK, b""),
        reply(SET_META_CONTEXT, META_CONTEXT, b"\0\0\0\x05base:allocation"),
        reply(SET_META_CONTEXT, ACK, b""),
        export(size, HAS_FLAGS | READ_ONLY),
    ]
    .concat()
}

/// The same without structured replies.
pub(crate) fn simple_handshake(size: u64) -> Vec<u8> {
    [
        greeting(FIXED_NEWSTYLE | NO_ZEROES),
        reply(STRUCTURED_REPLY, UNSUPPORTED, b""),
        export(size, HAS_FLAGS | READ_ONLY),
    ]
    .concat()
}

pub(crate) fn simple(cookie: u64, error: u32, data: &[u8]) -> Vec<u8> {
    let head = [0x6744_6698, error].map(u32::to_be_bytes).concat();
    [&head, &cookie.to_be_bytes()[..], data].concat()
}

pub(crate) const DONE: u16 = 1;

pub(crate) fn chunk(cookie: u64, flags: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    [
        &0x668e_33ef_u32.to_be_bytes()[..],
        &flags.to_be_bytes(),
        &kind.to_be_bytes(),
        &cookie.to_be_bytes(),
        &length.to_be_bytes(),
        payload,
    ]
    .concat()
}

pub(crate) fn data(cookie: u64, flags: u16, offset: u64, bytes: &[u8]) -> Vec<u8> {
    chunk(cookie, flags, 1, &[&offset.to_be_bytes()[..], bytes].concat())
}

/// A stream that says what it was given and ends.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl Read for Script<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets `talk` answer each client in a thread of its own; it is told how many there were before.
pub(crate) fn listen(talk: impl Fn(usize, TcpStream) -> io::Result<()> + Clone + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (count, client) in listener.incoming().enumerate() {
            let talk = talk.clone();
            let client = client.unwrap();
            thread::spawn(move || talk(count, client));
        }
    });
    Target::tcp("127.0.0.1", port, "/disk?session_id=OpaqueRef:secret")
}

pub(crate) fn take<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn number(stream: &mut impl Read) -> io::Result<u32> {
    Ok(u32::from_be_bytes(take(stream)?))
}

/// The option that comes next, and its data.
pub(crate) fn option(stream: &mut impl Read) -> io::Result<(u32, Vec<u8>)> {
    assert_eq!(&take::<8>(stream)?, b"IHAVEOPT");
    let (option, length) = (number(stream)?, number(stream)?);
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data)?;
    Ok((option, data))
}

pub(crate) struct Request {
    pub(crate) command: u16,
    pub(crate) cookie: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

pub(crate) fn request(stream: &mut impl Read) -> io::Result<Request> {
    assert_eq!(number(stream)?, 0x2560_9513);
    let [_, _, high, low] = take(stream)?;
    Ok(Request {
        command: u16::from_be_bytes([high, low]),
        cookie: u64::from_be_bytes(take(stream)?),
        offset: u64::from_be_bytes(take(stream)?),
        length: number(stream)?,
    })
}

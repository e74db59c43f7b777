//! One connection with a disk at its other end.

use std::io::{BufReader, Read, Write};
use std::ops::Range;

use super::error::{Errno, Error};
use super::flight::{Extent, Flight, Place, Request, Waiting};
use super::negotiation::{Negotiation, array, broken};
use super::protocol::{Command, REQUEST_MAGIC, SIMPLE_REPLY_MAGIC, STATE_ZERO, STRUCTURED_REPLY_MAGIC, chunk};
use super::{Export, ExportName};

const WAITING: &str = "waiting for a reply";
const SENDING: &str = "sending a request";

/// How much is read ahead of what is asked for, so that the head of a reply costs no call of its own.
const BUFFER: usize = 16 << 10;
/// The longest message that comes with an error, and what stands before and behind it.
const LONGEST_ERROR: u32 = 4096 + 14;
/// The longest list of extents: nbdkit sends up to a million.
const LONGEST_STATUS: u32 = 4 + 8 * (1 << 20);

/// One connection to a disk, over any stream: a tunnel, a pipe of `ssh`, a TLS library of one's own.
///
/// For TCP, Unix sockets and TLS, several connections and pipelining there is [`Nbd`](super::Nbd).
///
/// ```no_run
/// use std::net::TcpStream;
/// use vhd_mbr::nbd::{ExportName, Session};
///
/// let mut disk = Session::open(TcpStream::connect("127.0.0.1:10809")?, &ExportName::new("disk"))?;
/// let mut sector = [0; 512];
/// disk.read_exact_at(0, &mut sector)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session<S> {
    stream: BufReader<S>,
    export: Export,
    name: ExportName,
    structured: bool,
    /// The number under which the server tells where data is.
    allocation: Option<u32>,
    next_cookie: u64,
    /// Heads of requests that have not been sent yet.
    outgoing: Vec<u8>,
}

impl<S: Read + Write> Session<S> {
    /// Agrees with the server at the other end of `stream` on everything it can do, and opens an export.
    ///
    /// # Errors
    /// Where the other end is no NBD server, has no such export, wants TLS, or breaks the protocol.
    pub fn open(stream: S, export: &ExportName) -> Result<Self, Error> {
        Self::agree(Negotiation::begin(stream)?, export, true)
    }

    /// `holes`: whether it is worth asking where data is.
    pub(super) fn agree(mut server: Negotiation<S>, name: &ExportName, holes: bool) -> Result<Self, Error> {
        let structured = server.structured_replies()?;
        let allocation = match structured && holes {
            true => server.allocation_context(name)?,
            false => None,
        };
        let (stream, export) = server.open(name)?;
        Ok(Self {
            stream: BufReader::with_capacity(BUFFER, stream),
            export,
            name: name.clone(),
            structured,
            allocation,
            next_cookie: 0,
            outgoing: Vec::new(),
        })
    }

    /// What the server says of the disk.
    pub fn export(&self) -> Export {
        self.export
    }

    /// Whether the server can tell where the disk has data.
    pub fn knows_holes(&self) -> bool {
        self.allocation.is_some()
    }

    /// Fills `buf` from byte `offset` on, request by request. Both must be multiples of the server's
    /// [smallest block](super::BlockSizes::minimum).
    ///
    /// # Errors
    /// Beyond the disk's end, where the server reports an error, and where the connection fails.
    pub fn read_exact_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        in_range(offset, buf.len() as u64, self.export.size)?;
        let most = self.export.blocks.maximum as usize;
        let mut at = offset;
        for part in buf.chunks_mut(most) {
            let length = part.len() as u32;
            self.call(Request::new(Command::Read, at, length), &[], part)?;
            at += u64::from(length);
        }
        Ok(())
    }

    /// Which parts of the disk from byte `offset` on can hold anything but zeros, and up to which byte the server told
    /// it, which can be less than `length` bytes further on. Everything, where it cannot tell.
    ///
    /// # Errors
    /// Beyond the disk's end, where the server reports an error, and where the connection fails.
    pub fn data(&mut self, offset: u64, length: u32) -> Result<(Vec<Range<u64>>, u64), Error> {
        in_range(offset, length.into(), self.export.size)?;
        let mut data = Vec::new();
        let mut at = offset;
        for extent in self.extents(offset, length)? {
            let end = at + u64::from(extent.length);
            if !extent.is_zero {
                data.push(at..end);
            }
            at = end;
        }
        Ok((data, at))
    }

    /// The same, as the server says it, but not beyond `length`.
    pub(super) fn extents(&mut self, offset: u64, length: u32) -> Result<Vec<Extent>, Error> {
        let all = Extent { length, is_zero: false };
        if self.allocation.is_none() || length == 0 {
            return Ok(vec![all]);
        }
        let done = self.call(Request::new(Command::BlockStatus, offset, length), &[], ())?;
        Ok(done.extents.unwrap_or_else(|| vec![all]))
    }

    /// Sends one request and waits for its reply, while nothing else is on its way.
    pub(super) fn call<P: Place>(&mut self, request: Request, payload: &[u8], place: P) -> Result<Waiting<P>, Error> {
        let mut flight = Flight::new();
        self.send(request, payload, place, &mut flight)?;
        self.receive(&mut flight)
    }

    /// Sends a request, or keeps it until [`receive`](Self::receive) is called where it has no payload.
    pub(super) fn send<P: Place>(
        &mut self,
        request: Request,
        payload: &[u8],
        place: P,
        flight: &mut Flight<P>,
    ) -> Result<(), Error> {
        let cookie = self.next_cookie;
        self.next_cookie = self.next_cookie.wrapping_add(1);
        self.head(request, cookie);
        flight.add(cookie, request, place);
        if payload.is_empty() {
            return Ok(());
        }
        self.send_heads()?;
        let stream = self.stream.get_mut();
        stream.write_all(payload).map_err(|source| broken(SENDING, source))
    }

    fn head(&mut self, request: Request, cookie: u64) {
        self.outgoing.extend(REQUEST_MAGIC.to_be_bytes());
        self.outgoing.extend(request.flags.to_be_bytes());
        self.outgoing.extend((request.command as u16).to_be_bytes());
        self.outgoing.extend(cookie.to_be_bytes());
        self.outgoing.extend(request.offset.to_be_bytes());
        self.outgoing.extend(request.length.to_be_bytes());
    }

    fn send_heads(&mut self) -> Result<(), Error> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(&self.outgoing).and_then(|()| stream.flush());
        self.outgoing.clear();
        sent.map_err(|source| broken(SENDING, source))
    }

    /// Waits until one of the requests in flight is done. An error means that the connection cannot be used any more,
    /// unless it is the server's answer to a request.
    pub(super) fn receive<P: Place>(&mut self, flight: &mut Flight<P>) -> Result<Waiting<P>, Error> {
        if !self.outgoing.is_empty() {
            self.send_heads()?;
        }
        loop {
            let finished = match self.number()? {
                SIMPLE_REPLY_MAGIC => self.simple(flight)?,
                STRUCTURED_REPLY_MAGIC if self.structured => match self.chunk(flight)? {
                    Some(finished) => finished,
                    None => continue,
                },
                magic => {
                    let reason = format!("{magic:#x} instead of a reply");
                    return Err(Error::protocol(WAITING, reason));
                }
            };
            let mut done = flight.take(finished);
            return match done.refusal.take() {
                Some(refusal) => Err(refusal),
                None => Ok(done),
            };
        }
    }

    fn simple<P: Place>(&mut self, flight: &mut Flight<P>) -> Result<usize, Error> {
        let error = self.number()?;
        let place = self.which(flight)?;
        let waiting = flight.at(place);
        let request = waiting.request;
        if error != 0 {
            waiting.refusal = Some(request.refused(Errno(error), ""));
            return Ok(place);
        }
        match request.command {
            Command::Read if self.structured => {
                return Err(Error::protocol(
                    WAITING,
                    "data in the old form, after it agreed on the new one",
                ));
            }
            Command::Read => {
                let bytes = waiting.place.bytes();
                self.stream
                    .read_exact(bytes)
                    .map_err(|source| broken("receiving data", source))?;
            }
            _ => {}
        }
        Ok(place)
    }

    /// One part of a reply; the request's place where it was the last one.
    fn chunk<P: Place>(&mut self, flight: &mut Flight<P>) -> Result<Option<usize>, Error> {
        let mut number = || array(&mut self.stream).map(u16::from_be_bytes);
        let head = number().and_then(|flags| Ok((flags, number()?)));
        let (flags, kind) = head.map_err(|source| broken(WAITING, source))?;
        let place = self.which(flight)?;
        let length = self.number()?;
        let waiting = flight.at(place);
        let is_last = flags & chunk::DONE != 0;
        match (kind, waiting.request.command) {
            (chunk::NONE, _) if length == 0 && is_last => {}
            (chunk::DATA, Command::Read) => self.data_chunk(waiting, length)?,
            (chunk::HOLE, Command::Read) if length == 12 => self.hole_chunk(waiting)?,
            (chunk::BLOCK_STATUS, Command::BlockStatus) => self.status_chunk(waiting, length)?,
            (kind, _) if kind & chunk::ERROR != 0 && waiting.refusal.is_none() => self.error_chunk(waiting, length)?,
            (kind, command) => {
                let last = if is_last { "" } else { ", not the last" };
                let reason = format!("a part of {length} bytes, kind {kind}{last}, to `{}`", command.name());
                return Err(Error::protocol(WAITING, reason));
            }
        }
        if !is_last {
            return Ok(None);
        }
        let lacks = waiting.request.command == Command::Read && waiting.received < waiting.request.length;
        if lacks && waiting.refusal.is_none() {
            let reason = format!(
                "only {} of {} bytes at byte {}",
                waiting.received, waiting.request.length, waiting.request.offset
            );
            return Err(Error::protocol(WAITING, reason));
        }
        Ok(Some(place))
    }

    fn data_chunk<P: Place>(&mut self, waiting: &mut Waiting<P>, length: u32) -> Result<(), Error> {
        let offset = self.long()?;
        let bytes = part(waiting, offset, length.checked_sub(8))?;
        self.stream
            .read_exact(bytes)
            .map_err(|source| broken("receiving data", source))
    }

    fn hole_chunk<P: Place>(&mut self, waiting: &mut Waiting<P>) -> Result<(), Error> {
        let (offset, length) = (self.long()?, self.number()?);
        part(waiting, offset, Some(length))?.fill(0);
        Ok(())
    }

    fn status_chunk<P>(&mut self, waiting: &mut Waiting<P>, length: u32) -> Result<(), Error> {
        let well_formed = length >= 12 && length % 8 == 4 && length <= LONGEST_STATUS;
        if !well_formed || waiting.extents.is_some() {
            let reason = format!("a list of extents of {length} bytes");
            return Err(Error::protocol(WAITING, reason));
        }
        let context = self.number()?;
        if Some(context) != self.allocation {
            let reason = format!("extents of context {context}, which was not agreed on");
            return Err(Error::protocol(WAITING, reason));
        }
        let mut rest = waiting.request.length;
        let mut extents = Vec::new();
        for _ in 0..length / 8 {
            let (length, status) = (self.number()?, self.number()?);
            if length == 0 {
                return Err(Error::protocol(WAITING, "an extent of no bytes"));
            }
            // The last one may reach beyond what was asked for.
            let length = length.min(rest);
            rest -= length;
            if length > 0 {
                let is_zero = status & STATE_ZERO != 0;
                extents.push(Extent { length, is_zero });
            }
        }
        waiting.extents = Some(extents);
        Ok(())
    }

    fn error_chunk<P>(&mut self, waiting: &mut Waiting<P>, length: u32) -> Result<(), Error> {
        if !(6..=LONGEST_ERROR).contains(&length) {
            let reason = format!("an error of {length} bytes");
            return Err(Error::protocol(WAITING, reason));
        }
        let mut payload = vec![0; length as usize];
        self.stream
            .read_exact(&mut payload)
            .map_err(|source| broken(WAITING, source))?;
        let [a, b, c, d, high, low, words @ ..] = payload.as_slice() else {
            return Err(Error::protocol(WAITING, "an error that is cut off"));
        };
        let words = words.get(..usize::from(u16::from_be_bytes([*high, *low])));
        let words = words.ok_or_else(|| Error::protocol(WAITING, "an error whose message is cut off"))?;
        let error = Errno(u32::from_be_bytes([*a, *b, *c, *d]));
        waiting.refusal = Some(waiting.request.refused(error, &self.name.censor(words)));
        Ok(())
    }

    /// Which request the reply belongs to.
    fn which<P>(&mut self, flight: &Flight<P>) -> Result<usize, Error> {
        let cookie = self.long()?;
        flight
            .find(cookie)
            .ok_or_else(|| Error::protocol(WAITING, format!("a reply to request {cookie}, which was not made")))
    }

    fn number(&mut self) -> Result<u32, Error> {
        let bytes = array(&mut self.stream).map_err(|source| broken(WAITING, source))?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn long(&mut self) -> Result<u64, Error> {
        let bytes = array(&mut self.stream).map_err(|source| broken(WAITING, source))?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(super) fn stream_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// Takes leave of the server. It does not answer.
    pub(super) fn leave(&mut self) {
        self.head(Request::new(Command::Disconnect, 0, 0), 0);
        let _ = self.send_heads();
    }
}

/// The part of a read's place that a part of its reply fills.
fn part<P: Place>(waiting: &mut Waiting<P>, offset: u64, length: Option<u32>) -> Result<&mut [u8], Error> {
    let request = waiting.request;
    let length = length.filter(|&length| length > 0 && length <= request.length - waiting.received);
    let start = offset
        .checked_sub(request.offset)
        .and_then(|start| usize::try_from(start).ok());
    if let (Some(length), Some(start)) = (length, start)
        && let Some(end) = start.checked_add(length as usize)
        && end <= request.length as usize
    {
        waiting.received += length;
        return Ok(&mut waiting.place.bytes()[start..end]);
    }
    let reason = format!(
        "data for byte {offset}, where {} bytes at byte {} were asked for",
        request.length, request.offset
    );
    Err(Error::protocol(WAITING, reason))
}

pub(super) fn in_range(offset: u64, length: u64, size: u64) -> Result<(), Error> {
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::OutOfRange { offset, length, size }),
    }
}

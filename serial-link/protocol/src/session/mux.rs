use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::error::LinkError;
use crate::message::Port;

/// How many bytes of a stream wait to be sent.
pub(crate) const SEND_BUFFER: usize = 64 << 10;
/// How many bytes of a stream wait to be read at most: what a sender may send unasked.
pub(crate) const STREAM_WINDOW: u64 = 256 << 10;
/// The greatest message.
pub(crate) const MAX_MESSAGE: usize = 64 << 10;
/// How many bytes of messages wait to be sent.
pub(crate) const MAX_QUEUE: usize = 512 << 10;
/// How many channels are open at a time.
pub(crate) const MAX_CHANNELS: usize = 64;
/// Longer than the header of any item.
const ITEM: usize = 16;

/// What a payload is. Bytes follow the first two.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Item {
    /// A piece of a message.
    Message { channel: u32, more: bool },
    /// A piece of a stream.
    Bytes { channel: u32, port: Port },
    /// The stream ends here.
    End { channel: u32, port: Port },
    /// The stream may go up to this position.
    Credit { channel: u32, port: Port, upto: u64 },
    /// Nobody reads the stream any more.
    Stop { channel: u32, port: Port },
}

/// Which end opens channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Opens,
    Accepts,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MuxEvent {
    Message { channel: u32, bytes: Vec<u8> },
    Readable { channel: u32, port: Port },
    Writable { channel: u32, port: Port },
    Stopped { channel: u32, port: Port },
}

/// What [`Link::read`](crate::Link::read) found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// The next bytes, at least one.
    Bytes(Vec<u8>),
    /// Nothing yet.
    Pending,
    /// The stream has ended, and everything has been read.
    End,
}

type Stream = (u32, Port);

/// Messages and streams, each stream with a credit of its own.
#[derive(Debug)]
pub(crate) struct Mux {
    side: Side,
    last_channel: u32,
    /// The open channels, each with the pieces of a message.
    channels: BTreeMap<u32, Vec<u8>>,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    outgoing: BTreeMap<Stream, Outgoing>,
    incoming: BTreeMap<Stream, Incoming>,
    /// The stream that was served last.
    served: Option<Stream>,
    pub(crate) events: VecDeque<MuxEvent>,
    pub(crate) violations: u64,
}

#[derive(Debug)]
struct Outgoing {
    buffer: VecDeque<u8>,
    sent: u64,
    credit: u64,
    ended: bool,
    stopped: bool,
    /// Somebody waits for room.
    wanted: bool,
}

#[derive(Debug)]
struct Incoming {
    pieces: VecDeque<Vec<u8>>,
    received: u64,
    read: u64,
    credit: u64,
    ended: bool,
}

impl Mux {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            last_channel: 0,
            channels: BTreeMap::new(),
            queue: VecDeque::new(),
            queued: 0,
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            served: None,
            events: VecDeque::new(),
            violations: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.outgoing.values().all(|stream| stream.buffer.is_empty())
    }

    /// Opens a channel with its first message.
    pub(crate) fn open(&mut self, message: &[u8]) -> Result<u32, LinkError> {
        if self.channels.len() >= MAX_CHANNELS {
            return Err(LinkError::TooManyChannels { limit: MAX_CHANNELS });
        }
        let channel = self.last_channel + 1;
        self.channels.insert(channel, Vec::new());
        self.send(channel, message).inspect_err(|_| {
            self.channels.remove(&channel);
        })?;
        self.last_channel = channel;
        Ok(channel)
    }

    pub(crate) fn is_open(&self, channel: u32) -> bool {
        self.channels.contains_key(&channel)
    }

    /// Sends a message. It overtakes what waits in streams.
    pub(crate) fn send(&mut self, channel: u32, message: &[u8]) -> Result<(), LinkError> {
        self.check(channel)?;
        if message.len() > MAX_MESSAGE {
            return Err(LinkError::TooLarge {
                size: message.len(),
                limit: MAX_MESSAGE,
            });
        }
        if self.queued + message.len() > MAX_QUEUE {
            return Err(LinkError::Busy { limit: MAX_QUEUE });
        }
        self.push(Item::Message { channel, more: false }, message);
        Ok(())
    }

    /// Takes as much of `bytes` as there is room for. After less than all of it, `Writable` will follow.
    pub(crate) fn write(&mut self, channel: u32, port: Port, bytes: &[u8]) -> Result<usize, LinkError> {
        self.check(channel)?;
        let stream = self.outgoing.entry((channel, port)).or_default();
        if stream.ended || stream.stopped {
            return Err(LinkError::Closed { channel });
        }
        let taken = bytes.len().min(SEND_BUFFER.saturating_sub(stream.buffer.len()));
        stream.buffer.extend(&bytes[..taken]);
        stream.wanted = taken < bytes.len();
        Ok(taken)
    }

    /// Ends a stream behind what was written.
    pub(crate) fn end(&mut self, channel: u32, port: Port) -> Result<(), LinkError> {
        self.check(channel)?;
        self.outgoing.entry((channel, port)).or_default().ended = true;
        Ok(())
    }

    /// Takes up to `most` bytes out of a stream, and lets the other end send as many more.
    pub(crate) fn read(&mut self, channel: u32, port: Port, most: usize) -> Result<Read, LinkError> {
        self.check(channel)?;
        let Some(stream) = self.incoming.get_mut(&(channel, port)) else {
            return Ok(Read::Pending);
        };
        let Some(mut piece) = stream.pieces.pop_front() else {
            return Ok(if stream.ended { Read::End } else { Read::Pending });
        };
        if piece.len() > most {
            stream.pieces.push_front(piece.split_off(most));
        }
        stream.read += piece.len() as u64;
        let upto = stream.read + STREAM_WINDOW;
        if !stream.ended && upto - stream.credit >= STREAM_WINDOW / 4 {
            stream.credit = upto;
            self.push(Item::Credit { channel, port, upto }, &[]);
        }
        Ok(Read::Bytes(piece))
    }

    /// Says that nobody will read the stream, and drops what came.
    pub(crate) fn stop(&mut self, channel: u32, port: Port) -> Result<(), LinkError> {
        self.check(channel)?;
        let stream = self.incoming.entry((channel, port)).or_default();
        if !stream.ended {
            stream.ended = true;
            stream.pieces.clear();
            self.push(Item::Stop { channel, port }, &[]);
        }
        Ok(())
    }

    /// Forgets a channel. Streams that were ended are sent to their end.
    pub(crate) fn close(&mut self, channel: u32) {
        if self.channels.remove(&channel).is_none() {
            return;
        }
        self.incoming.retain(|&(of, _), _| of != channel);
        self.outgoing.retain(|&(of, _), stream| of != channel || stream.ended);
    }

    /// Counts a message without sense, and where there is an answer to that, ends the channel with it.
    pub(crate) fn refuse(&mut self, channel: u32, answer: Option<&[u8]>) {
        self.violations += 1;
        if let Some(answer) = answer
            && self.send(channel, answer).is_ok()
        {
            self.close(channel);
        }
    }

    fn check(&self, channel: u32) -> Result<(), LinkError> {
        if self.is_open(channel) {
            Ok(())
        } else {
            Err(LinkError::Closed { channel })
        }
    }

    fn push(&mut self, item: Item, bytes: &[u8]) {
        self.queued += bytes.len() + ITEM;
        match item {
            // Cut when it goes out, because only then the frames' size is known.
            Item::Message { .. } => self.queue.push_back(encoded(item, bytes)),
            _ => self.queue.push_back(encoded(item, &[])),
        }
    }

    /// The next payload, of at most `limit` bytes.
    pub(crate) fn next(&mut self, limit: usize) -> Option<Vec<u8>> {
        self.next_of_queue(limit).or_else(|| self.next_of_streams(limit))
    }

    fn next_of_queue(&mut self, limit: usize) -> Option<Vec<u8>> {
        let whole = self.queue.pop_front()?;
        if whole.len() > limit
            && let Ok((Item::Message { channel, .. }, bytes)) = postcard::take_from_bytes::<Item>(&whole)
        {
            let (now, later) = bytes.split_at(limit.saturating_sub(ITEM).max(1));
            self.queue
                .push_front(encoded(Item::Message { channel, more: false }, later));
            self.queued = self.queued.saturating_sub(now.len());
            return Some(encoded(Item::Message { channel, more: true }, now));
        }
        self.queued = self.queued.saturating_sub(whole.len());
        if self.queue.is_empty() {
            self.queued = 0;
        }
        Some(whole)
    }

    /// Serves the streams in turn.
    fn next_of_streams(&mut self, limit: usize) -> Option<Vec<u8>> {
        let start = self.served.map_or(Bound::Unbounded, Bound::Excluded);
        let key = self
            .outgoing
            .range((start, Bound::Unbounded))
            .chain(self.outgoing.iter())
            .find(|(_, stream)| stream.has_something())
            .map(|(&key, _)| key)?;
        self.served = Some(key);
        let (channel, port) = key;
        let stream = self.outgoing.get_mut(&key)?;
        if stream.buffer.is_empty() {
            self.outgoing.remove(&key);
            return Some(encoded(Item::End { channel, port }, &[]));
        }
        let allowed = usize::try_from(stream.credit - stream.sent).unwrap_or(usize::MAX);
        let size = stream.buffer.len().min(allowed).min(limit.saturating_sub(ITEM).max(1));
        let mut payload = encoded(Item::Bytes { channel, port }, &[]);
        payload.extend(stream.buffer.drain(..size));
        stream.sent += size as u64;
        if stream.wanted && stream.buffer.len() <= SEND_BUFFER / 2 {
            stream.wanted = false;
            self.events.push_back(MuxEvent::Writable { channel, port });
        }
        Some(payload)
    }

    /// Takes a payload that arrived.
    pub(crate) fn take(&mut self, payload: &[u8]) {
        let Ok((item, bytes)) = postcard::take_from_bytes::<Item>(payload) else {
            self.violations += 1;
            return;
        };
        match item {
            Item::Message { channel, more } => self.take_message(channel, more, bytes),
            Item::Bytes { channel, port } => self.take_bytes(channel, port, bytes),
            Item::End { channel, port } => {
                if self.is_open(channel) {
                    self.incoming.entry((channel, port)).or_default().ended = true;
                    self.events.push_back(MuxEvent::Readable { channel, port });
                }
            }
            Item::Credit { channel, port, upto } => {
                if let Some(stream) = self.outgoing.get_mut(&(channel, port)) {
                    stream.credit = stream.credit.max(upto);
                }
            }
            Item::Stop { channel, port } => {
                if let Some(stream) = self.outgoing.get_mut(&(channel, port)) {
                    stream.stopped = true;
                    stream.buffer = VecDeque::new();
                    self.events.push_back(MuxEvent::Stopped { channel, port });
                }
            }
        }
    }

    fn take_message(&mut self, channel: u32, more: bool, bytes: &[u8]) {
        if self.side == Side::Accepts && channel > self.last_channel {
            self.last_channel = channel;
            if self.channels.len() < MAX_CHANNELS {
                self.channels.insert(channel, Vec::new());
            } else {
                self.violations += 1;
            }
        }
        let Some(message) = self.channels.get_mut(&channel) else {
            return;
        };
        if message.len() + bytes.len() > MAX_MESSAGE {
            self.violations += 1;
            message.clear();
            return;
        }
        message.extend_from_slice(bytes);
        if !more {
            let bytes = std::mem::take(message);
            self.events.push_back(MuxEvent::Message { channel, bytes });
        }
    }

    fn take_bytes(&mut self, channel: u32, port: Port, bytes: &[u8]) {
        if !self.is_open(channel) {
            // Who writes to a closed channel must not wait for credit for ever.
            if self.queued < MAX_QUEUE {
                self.push(Item::Stop { channel, port }, &[]);
            }
            return;
        }
        let stream = self.incoming.entry((channel, port)).or_default();
        if stream.ended {
            return;
        }
        if stream.received + bytes.len() as u64 > stream.credit {
            self.violations += 1;
            return;
        }
        if bytes.is_empty() {
            return;
        }
        stream.received += bytes.len() as u64;
        match stream.pieces.back_mut() {
            // Many short pieces must not cost more than their bytes.
            Some(last) if last.len() + bytes.len() <= 4096 => last.extend_from_slice(bytes),
            _ => stream.pieces.push_back(bytes.to_vec()),
        }
        if stream.pieces.len() == 1 {
            self.events.push_back(MuxEvent::Readable { channel, port });
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            buffer: VecDeque::new(),
            sent: 0,
            credit: STREAM_WINDOW,
            ended: false,
            stopped: false,
            wanted: false,
        }
    }
}

impl Outgoing {
    fn has_something(&self) -> bool {
        if self.buffer.is_empty() {
            self.ended
        } else {
            self.sent < self.credit
        }
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            pieces: VecDeque::new(),
            received: 0,
            read: 0,
            credit: STREAM_WINDOW,
            ended: false,
        }
    }
}

fn encoded(item: Item, bytes: &[u8]) -> Vec<u8> {
    let mut payload = postcard::to_allocvec(&item).expect("items have no unserializable parts");
    payload.extend_from_slice(bytes);
    payload
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let port = prop_oneof![Just(Port::Input), Just(Port::Output), Just(Port::Errors)];
        let item =
            (0_u8..5, 0_u32..100, port, any::<bool>(), any::<u64>()).prop_map(|(kind, channel, port, more, upto)| {
                match kind {
                    0 => Item::Message { channel, more },
                    1 => Item::Bytes { channel, port },
                    2 => Item::End { channel, port },
                    3 => Item::Credit { channel, port, upto },
                    _ => Item::Stop { channel, port },
                }
            });
        let sensible = (item, 0_usize..1024).prop_map(|(item, size)| encoded(item, &vec![7; size]));
        prop_oneof![4 => sensible, 1 => proptest::collection::vec(any::<u8>(), 0..40)]
    }

    fn held(mux: &Mux) -> usize {
        let incoming: usize = mux
            .incoming
            .values()
            .flat_map(|stream| &stream.pieces)
            .map(Vec::len)
            .sum();
        incoming + mux.channels.values().map(Vec::len).sum::<usize>() + mux.queue.iter().map(Vec::len).sum::<usize>()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whoever has the secret can say what he likes, and still not make this end hold more than it promised.
        #[test]
        fn nothing_that_is_said_breaks_or_bursts_it(payloads in proptest::collection::vec(payload(), 0..400), accepts: bool) {
            let mut mux = Mux::new(if accepts { Side::Accepts } else { Side::Opens });
            let own = (!accepts).then(|| mux.open(b"request").unwrap());
            for payload in payloads {
                mux.take(&payload);
                mux.events.clear();
                if let Some(channel) = own {
                    let _ = mux.write(channel, Port::Input, &[1; 5000]);
                    let _ = mux.read(channel, Port::Output, 10);
                }
                while mux.next(100).is_some() {}
            }
            let streams = mux.incoming.len() as u64;
            prop_assert!(held(&mux) as u64 <= streams * STREAM_WINDOW + (MAX_CHANNELS * MAX_MESSAGE + MAX_QUEUE) as u64);
            prop_assert!(mux.channels.len() <= MAX_CHANNELS);
        }
    }

    #[test]
    fn more_than_the_credit_is_dropped_and_counted() {
        let mut mux = Mux::new(Side::Opens);
        let channel = mux.open(b"request").unwrap();
        let piece = encoded(
            Item::Bytes {
                channel,
                port: Port::Output,
            },
            &[7; 1000],
        );
        for _ in 0..1000 {
            mux.take(&piece);
        }
        assert!(held(&mux) as u64 <= STREAM_WINDOW + 100);
        assert!(mux.violations > 700);
    }

    #[test]
    fn a_message_of_any_length_goes_in_payloads_of_any_size() {
        for limit in [32, 100, 1024] {
            let (mut from, mut to) = (Mux::new(Side::Opens), Mux::new(Side::Accepts));
            let message: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
            let channel = from.open(&message).unwrap();
            while let Some(payload) = from.next(limit) {
                assert!(payload.len() <= limit);
                to.take(&payload);
            }
            assert_eq!(
                to.events.pop_front(),
                Some(MuxEvent::Message {
                    channel,
                    bytes: message
                })
            );
        }
    }
}

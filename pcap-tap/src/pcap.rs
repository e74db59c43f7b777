//! Classic pcap, as `tcpdump -w -` writes it.
//!
//! A header of 24 bytes tells the byte order, the unit of the times' fractions, the snapshot length and the link layer;
//! then every packet has 16 bytes in front of it (`pcap-savefile(5)`).

use std::fmt;

use crate::{Packet, Timestamp};

/// A link layer, by its number in the registry of `tcpdump.org`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(
    /// The number.
    pub u16,
);

impl LinkType {
    /// Ethernet, which a VM's interface always is.
    pub const ETHERNET: Self = Self(1);
    /// Linux' cooked form of several interfaces at once (`-i any`), which has no Ethernet addresses.
    pub const LINUX_SLL: Self = Self(113);
    /// The second version of the same.
    pub const LINUX_SLL2: Self = Self(276);
}

impl fmt::Debug for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ETHERNET => f.write_str("ETHERNET"),
            Self::LINUX_SLL => f.write_str("LINUX_SLL"),
            Self::LINUX_SLL2 => f.write_str("LINUX_SLL2"),
            Self(number) => write!(f, "LinkType({number})"),
        }
    }
}

/// What the first 24 bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// What the packets begin with.
    pub link_type: LinkType,
    /// At most so many bytes of each packet were kept.
    pub snapshot_length: u32,
    /// Whether times are exact to the nanosecond rather than to the microsecond.
    pub has_nanoseconds: bool,
    is_big_endian: bool,
}

/// Why bytes are no capture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first four bytes are of nothing known.
    #[error("this is no pcap but begins with {magic:02x?}; what tcpdump says on standard error may tell why")]
    Unknown {
        /// The first four bytes.
        magic: [u8; 4],
    },
    /// It is a capture in another format.
    #[error("this is {format}, and not classic pcap; have it converted with `editcap -F pcap`")]
    OtherFormat {
        /// Its name.
        format: &'static str,
    },
    /// A version that nobody wrote since 1998.
    #[error("pcap of version {major}.{minor} is not read, only 2.4")]
    Version {
        /// The first number.
        major: u16,
        /// The second number.
        minor: u16,
    },
    /// A packet that claims more bytes than any has: the capture is damaged there.
    #[error(
        "the packet at byte {position} claims {captured} bytes, and none has more than {limit}: the capture is damaged"
    )]
    TooLong {
        /// Where its 16 bytes start.
        position: u64,
        /// How many bytes it claims.
        captured: u32,
        /// How many it can have.
        limit: u32,
    },
    /// The capture ends amid a packet, or amid the first header.
    #[error("the capture ends in the middle of what starts at byte {position}")]
    Truncated {
        /// Where that starts.
        position: u64,
    },
}

/// Length of the capture's header.
const HEADER: usize = 24;

/// Length of what is in front of each packet.
const RECORD: usize = 16;

/// libpcap's own limit, `MAXIMUM_SNAPLEN`.
const MOST: u32 = 262_144;

/// Finds the packets in bytes that come in pieces.
///
/// See the [crate's page](crate) for an example. It holds at most one packet, of at most 256 KiB.
#[derive(Debug, Clone, Default)]
pub struct Parser {
    header: Option<Header>,
    /// The beginning of what is not complete yet.
    kept: Vec<u8>,
    /// What `kept` held was handed out, and goes at the next call.
    is_spent: bool,
    /// Where `kept` starts in the capture.
    position: u64,
}

impl Parser {
    /// A parser at the start of a capture.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the capture's header tells, once it is in.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Takes bytes from the front of `input` up to the next packet's end; `None` when it took them all and needs more.
    ///
    /// # Errors
    /// Where the bytes are no capture. What comes after is lost, for nothing tells where the next packet would start.
    pub fn feed<'p, 'i: 'p>(&'p mut self, input: &mut &'i [u8]) -> Result<Option<Packet<'p>>, Error> {
        if std::mem::take(&mut self.is_spent) {
            self.position += self.kept.len() as u64;
            self.kept.clear();
        }
        if self.header.is_none() {
            if !self.keep(input, HEADER) {
                return Ok(None);
            }
            self.header = Some(Header::read(&self.kept)?);
            self.position = HEADER as u64;
            self.kept.clear();
        }
        let Some(header) = self.header else { return Ok(None) };
        if self.kept.is_empty()
            && let Some(record) = input.first_chunk()
        {
            let record = header.record(record, self.position)?;
            let length = RECORD + record.captured;
            if let Some((bytes, rest)) = input.split_at_checked(length) {
                *input = rest;
                self.position += length as u64;
                return Ok(Some(record.packet(&bytes[RECORD..])));
            }
        }
        if !self.keep(input, RECORD) {
            return Ok(None);
        }
        let Some(record) = self.kept.first_chunk() else {
            return Ok(None);
        };
        let record = header.record(record, self.position)?;
        if !self.keep(input, RECORD + record.captured) {
            return Ok(None);
        }
        self.is_spent = true;
        Ok(Some(record.packet(&self.kept[RECORD..])))
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// [`Error::Truncated`] where something is incomplete.
    pub fn finish(&self) -> Result<(), Error> {
        let complete = self.header.is_some() && (self.kept.is_empty() || self.is_spent);
        let position = self.position;
        complete.then_some(()).ok_or(Error::Truncated { position })
    }

    /// Keeps bytes of `input` until there are so many; whether there are.
    fn keep(&mut self, input: &mut &[u8], length: usize) -> bool {
        let missing = length.saturating_sub(self.kept.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.kept.extend_from_slice(taken);
        *input = rest;
        self.kept.len() >= length
    }
}

/// What stands in front of a packet.
struct Record {
    time: Timestamp,
    captured: usize,
    length: u32,
}

impl Record {
    fn packet(self, data: &[u8]) -> Packet<'_> {
        Packet {
            time: self.time,
            length: self.length,
            data,
        }
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let Some((&magic, rest)) = bytes.split_first_chunk::<4>() else {
            return Err(Error::Truncated { position: 0 });
        };
        let (is_big_endian, has_nanoseconds) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            [0x0a, 0x0d, 0x0d, 0x0a] => return Err(Error::OtherFormat { format: "pcapng" }),
            [0x34, 0xcd, 0xb2, 0xa1] | [0xa1, 0xb2, 0xcd, 0x34] => {
                return Err(Error::OtherFormat {
                    format: "pcap in the form of patched Linux systems of the 1990s",
                });
            }
            magic => return Err(Error::Unknown { magic }),
        };
        let mut header = Self {
            link_type: LinkType::ETHERNET,
            snapshot_length: 0,
            has_nanoseconds,
            is_big_endian,
        };
        let [version, _zone, _accuracy, snapshot_length, link] = header.words(rest);
        let version = if is_big_endian {
            version.rotate_left(16)
        } else {
            version
        };
        let (major, minor) = (version as u16, (version >> 16) as u16);
        if (major, minor) != (2, 4) {
            return Err(Error::Version { major, minor });
        }
        header.snapshot_length = snapshot_length;
        // The upper half tells of check sequences at the frames' ends.
        header.link_type = LinkType(link as u16);
        Ok(header)
    }

    fn words<const N: usize>(&self, bytes: &[u8]) -> [u32; N] {
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = if self.is_big_endian {
                u32::from_be_bytes(*bytes)
            } else {
                u32::from_le_bytes(*bytes)
            };
        }
        words
    }

    fn record(&self, bytes: &[u8; RECORD], position: u64) -> Result<Record, Error> {
        let [seconds, fraction, captured, length] = self.words(bytes);
        let limit = MOST;
        if captured > limit {
            return Err(Error::TooLong {
                position,
                captured,
                limit,
            });
        }
        let unit = if self.has_nanoseconds { 1 } else { 1000 };
        Ok(Record {
            time: Timestamp::from_parts(seconds, u64::from(fraction) * unit),
            captured: captured as usize,
            length,
        })
    }
}

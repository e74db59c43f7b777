//! The parts of a file.

use std::ops::Range;

use super::Error;
use super::decompress::Compression;
use super::node::Item;
use crate::bytes::{u16_at, u64_at};

const HEAD: usize = 21;
const LEN: usize = 53;
/// Linux makes compressed extents of 128 KiB at most.
const MOST_COMPRESSED: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Extent {
    /// Which bytes of the file it is.
    pub(super) file: Range<u64>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Hole,
    /// Space without content, from this address on.
    Unwritten {
        logical: u64,
    },
    /// Content from this address on.
    Plain {
        logical: u64,
    },
    /// Content in the tree itself; the place is on the disk.
    Inline {
        data: Vec<u8>,
        place: u64,
    },
    Packed(Packed),
}

/// Compressed content.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) compression: Compression,
    pub(super) source: PackedSource,
    /// How much it becomes.
    pub(super) unpacked: usize,
    /// Where in that the part of the file begins.
    pub(super) skip: usize,
}

#[derive(Debug)]
pub(super) enum PackedSource {
    Inline { data: Vec<u8>, place: u64 },
    At { logical: u64, len: usize },
}

impl Extent {
    pub(super) fn parse(item: &Item) -> Result<Self, Error> {
        let raw = &item.data;
        let damaged = |what| Error::damaged(item.place, what);
        if raw.len() < HEAD {
            return Err(damaged("an extent is cut off"));
        }
        if raw[17] != 0 || u16_at(raw, 18) != 0 {
            return Err(Error::Unsupported {
                feature: "encrypted files",
            });
        }
        let unpacked = u64_at(raw, 8);
        let compression = match raw[16] {
            0 => None,
            1 => Some(Compression::Zlib),
            2 => Some(Compression::Lzo),
            3 => Some(Compression::Zstd),
            _ => {
                return Err(Error::Unsupported {
                    feature: "an unknown compression",
                });
            }
        };
        if compression.is_some() && unpacked > MOST_COMPRESSED {
            return Err(damaged("a compressed extent is too large"));
        }
        let start = item.key.offset;
        let file = |len: u64| start.checked_add(len).map(|end| start..end);
        if raw[20] == 0 {
            let file = file(unpacked).ok_or(damaged("an extent is beyond any file"))?;
            let (data, place) = (raw[HEAD..].to_vec(), item.place + HEAD as u64);
            let body = match compression {
                None if unpacked > data.len() as u64 => return Err(damaged("an extent is cut off")),
                None => Body::Inline { data, place },
                Some(compression) => Body::Packed(Packed {
                    compression,
                    source: PackedSource::Inline { data, place },
                    unpacked: unpacked as usize,
                    skip: 0,
                }),
            };
            return Ok(Self { file, body });
        }
        if raw.len() < LEN {
            return Err(damaged("an extent is cut off"));
        }
        let [logical, len, skip, count] = [21, 29, 37, 45].map(|at| u64_at(raw, at));
        let file = file(count).ok_or(damaged("an extent is beyond any file"))?;
        let whole = if compression.is_some() { unpacked } else { len };
        if logical != 0 && skip.checked_add(count).is_none_or(|end| end > whole) {
            return Err(damaged("an extent is longer than its space"));
        }
        let body = match (raw[20], compression) {
            (1 | 2, _) if logical == 0 => Body::Hole,
            (2, _) => Body::Unwritten {
                logical: logical.checked_add(skip).ok_or(damaged("an extent is nowhere"))?,
            },
            (1, None) => Body::Plain {
                logical: logical.checked_add(skip).ok_or(damaged("an extent is nowhere"))?,
            },
            (1, Some(_)) if len > MOST_COMPRESSED => return Err(damaged("a compressed extent is too large")),
            (1, Some(compression)) => Body::Packed(Packed {
                compression,
                source: PackedSource::At {
                    logical,
                    len: len as usize,
                },
                unpacked: unpacked as usize,
                skip: skip as usize,
            }),
            _ => return Err(damaged("an extent is of no known kind")),
        };
        Ok(Self { file, body })
    }
}

//! The table of checksums at the end of very old archives.

use crate::checksum::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::ova;
use crate::summary::Summary;

/// Blocks beyond this number stay unverified, so that memory stays bounded (4 TiB of disk take 200 MiB).
const LIMIT: usize = 1 << 22;

/// Remembers the checksums of blocks until the table comes.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    blocks: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Index into the summary's disks.
    disk: usize,
    number: u64,
    position: u64,
    hash: [u8; 20],
}

impl Deferred {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Remembers a block; `false` where there are too many.
    pub(crate) fn remember(&mut self, disk: usize, number: u64, position: u64, data: &[u8]) -> bool {
        let Digest::Sha1(hash) = Algorithm::Sha1.digest(data) else {
            return false;
        };
        let room = self.blocks.len() < LIMIT;
        if room {
            self.blocks.push(Waiting {
                disk,
                number,
                position,
                hash,
            });
        }
        room
    }

    /// Compares all remembered blocks with the table and gives the first one that differs.
    pub(crate) fn settle(&mut self, table: &[u8], position: u64, summary: &mut Summary) -> Result<Option<Error>> {
        let table = ova::checksum_table(table).map_err(|source| Error::ChecksumTable { position, source })?;
        let mut first = None;
        for Waiting {
            disk,
            number,
            position,
            hash,
        } in self.blocks.drain(..)
        {
            let Some(id) = summary.disks.get(disk).map(|disk| disk.id.as_str()) else {
                continue;
            };
            let entry = table.get(&format!("{id}/{number:08}"));
            let Some(expected) = entry.and_then(|text| Algorithm::Sha1.parse(text.as_bytes())) else {
                continue;
            };
            summary.unverified -= 1;
            let found = Digest::Sha1(hash);
            if found == expected {
                summary.verified += 1;
            } else {
                summary.damaged += 1;
                first.get_or_insert_with(|| Error::Checksum {
                    position,
                    disk: id.to_owned(),
                    number,
                    expected,
                    found,
                });
            }
        }
        Ok(first)
    }
}

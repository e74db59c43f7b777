use super::fields::{checksum, put, u32_at, u64_at};
use super::footer::VERSION;
use super::{Footer, Locator, Problem};
use crate::Guid;
use crate::bytes::array;

const COOKIE: &[u8; 8] = b"cxsparse";
const CHECKSUM: usize = 36;
const NAME: usize = 64;
const NAME_LEN: usize = 512;
const LOCATORS: usize = 576;

/// The block size that every known program uses.
pub(super) const USUAL_BLOCK_SIZE: u32 = 2 << 20;
/// Larger blocks than any program makes, yet small enough that one bitmap is no burden.
const MAX_BLOCK_SIZE: u32 = 1 << 28;

/// What a dynamic or differencing disk has behind its first footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where the block table is.
    pub table_offset: u64,
    /// How many entries the table has; more than the disk has blocks where it was made to grow.
    pub table_entries: u32,
    /// Bytes of the disk per block, a power of two.
    pub block_size: u32,
    /// The id of the parent; nil in a dynamic disk, and in a differencing one whose parent is a raw image.
    pub parent_id: Guid,
    /// When the parent was last changed, in seconds since the start of the year 2000, UTC.
    pub parent_timestamp: u32,
    /// The parent's name or path, as its maker saw it.
    pub parent_name: String,
    /// Where the file says where its parent is.
    pub locators: [Locator; 8],
}

impl Header {
    /// The length of a header in bytes.
    pub const LEN: usize = 1024;

    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// Where there is none, or a damaged one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let bytes = bytes.get(..Self::LEN).ok_or(Problem::Missing)?;
        let found = array::<8>(bytes, 0);
        if found != *COOKIE {
            return Err(Problem::Cookie { found });
        }
        let stored = u32_at(bytes, CHECKSUM);
        let computed = checksum(bytes, CHECKSUM);
        if stored != computed {
            return Err(Problem::Checksum { stored, computed });
        }
        let version = u32_at(bytes, 24);
        if version >> 16 != VERSION >> 16 {
            return Err(Problem::Version(version));
        }
        let block_size = u32_at(bytes, 32);
        if !block_size.is_power_of_two() || !(512..=MAX_BLOCK_SIZE).contains(&block_size) {
            return Err(Problem::BlockSize(block_size));
        }
        let name = bytes[NAME..NAME + NAME_LEN].chunks_exact(2);
        let name: Vec<u16> = name.map(|unit| u16::from_be_bytes(array(unit, 0))).collect();
        let name = name.split(|&unit| unit == 0).next().unwrap_or_default();
        Ok(Self {
            table_offset: u64_at(bytes, 16),
            table_entries: u32_at(bytes, 28),
            block_size,
            parent_id: Guid::from_u128(u128::from_be_bytes(array(bytes, 40))),
            parent_timestamp: u32_at(bytes, 56),
            parent_name: String::from_utf16_lossy(name),
            locators: std::array::from_fn(|i| Locator::parse(&bytes[LOCATORS + i * Locator::LEN..])),
        })
    }

    /// The header as it stands in the file. A parent's name longer than 256 UTF-16 units is cut.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, 0, *COOKIE);
        put(&mut bytes, 8, u64::MAX.to_be_bytes());
        put(&mut bytes, 16, self.table_offset.to_be_bytes());
        put(&mut bytes, 24, VERSION.to_be_bytes());
        put(&mut bytes, 28, self.table_entries.to_be_bytes());
        put(&mut bytes, 32, self.block_size.to_be_bytes());
        put(&mut bytes, 40, self.parent_id.to_u128().to_be_bytes());
        put(&mut bytes, 56, self.parent_timestamp.to_be_bytes());
        for (i, unit) in self.parent_name.encode_utf16().take(NAME_LEN / 2).enumerate() {
            put(&mut bytes, NAME + 2 * i, unit.to_be_bytes());
        }
        for (i, locator) in self.locators.iter().enumerate() {
            put(&mut bytes, LOCATORS + i * Locator::LEN, locator.to_bytes());
        }
        let sum = checksum(&bytes, CHECKSUM);
        put(&mut bytes, CHECKSUM, sum.to_be_bytes());
        bytes
    }

    /// How many blocks the disk has.
    ///
    /// # Errors
    /// Where the table has fewer entries, or the disk more blocks than can be.
    pub(super) fn blocks(&self, footer: &Footer) -> Result<u32, Problem> {
        let needed = footer.current_size.div_ceil(self.block_size.into());
        if needed > MAX_BLOCKS {
            return Err(Problem::DiskSize(footer.current_size));
        }
        if needed > self.table_entries.into() {
            return Err(Problem::TableTooShort {
                entries: self.table_entries,
                needed,
            });
        }
        Ok(needed as u32)
    }

    /// The length of the bitmap in front of each block, in bytes.
    pub(super) fn bitmap_len(&self) -> u64 {
        u64::from(self.block_size / 512).div_ceil(8).next_multiple_of(512)
    }

    /// Where the block table ends, in whole sectors; blktap's batmap follows.
    pub(super) fn table_end(&self) -> Option<u64> {
        let len = (u64::from(self.table_entries) * 4).next_multiple_of(512);
        self.table_offset.checked_add(len)
    }
}

/// The most blocks that are read, those of a disk of 64 TiB: their table takes 128 MiB.
const MAX_BLOCKS: u64 = 32 << 20;

use super::fields::{checksum, put, u16_at, u32_at, u64_at};
use super::{Creator, Geometry, MAX_DISK, Problem};
use crate::Guid;
use crate::bytes::array;

pub(super) const COOKIE: &[u8; 8] = b"conectix";
const DISABLED: &[u8; 8] = b"v_poison";
const CHECKSUM: usize = 64;
/// Version 1.0 of the format.
pub(super) const VERSION: u32 = 0x0001_0000;
/// The version that blktap gave its first disks, whose bitmaps are in another order.
const TAP_0_1: u32 = 1;
const TAP_1_1: u32 = 0x0001_0001;
const HIDDEN: usize = 85;

/// What a VHD says of itself at its end, and all but fixed disks at their start too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Bits: 0 for a temporary disk, 1 always set.
    pub features: u32,
    /// Where the header is; all ones in a fixed disk.
    pub data_offset: u64,
    /// Seconds since the start of the year 2000, UTC.
    pub timestamp: u32,
    /// The program that made it.
    pub creator: Creator,
    /// That program's version, the major number in the upper half.
    pub creator_version: u32,
    /// The system that the program ran on, as four letters; `Wi2k` for Windows, 0 for XenServer.
    pub creator_os: u32,
    /// The disk's size in bytes when it was made.
    pub original_size: u64,
    /// The disk's size in bytes.
    pub current_size: u64,
    /// The disk's geometry; a mere hint.
    pub geometry: Geometry,
    /// The kind of disk.
    pub kind: Kind,
    /// The disk's id, by which its children name it.
    pub id: Guid,
    /// Whether the machine is saved with this disk.
    pub saved_state: bool,
    /// blktap's mark of a disk that nobody but its children uses.
    pub hidden: bool,
}

/// The kind of disk that a VHD is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All bytes of the disk one after the other, and a footer.
    Fixed,
    /// Blocks, made when they are first written.
    Dynamic,
    /// Blocks that differ from those of another disk, the parent.
    Differencing,
}

impl Footer {
    /// The length of a footer in bytes.
    pub const LEN: usize = 512;

    /// Reads the footer at the start of `sector`. The last of its 512 bytes may be missing, as old programs left it out.
    ///
    /// # Errors
    /// Where there is none, or a damaged one.
    pub fn parse(sector: &[u8]) -> Result<Self, Problem> {
        if sector.len() < Self::LEN - 1 {
            return Err(Problem::Missing);
        }
        let found = array::<8>(sector, 0);
        if found == *DISABLED {
            return Err(Problem::Disabled);
        }
        if found != *COOKIE {
            return Err(Problem::Cookie { found });
        }
        let sector = &sector[..sector.len().min(Self::LEN)];
        let (creator, creator_version) = (Creator(array(sector, 28)), u32_at(sector, 32));
        let stored = u32_at(sector, CHECKSUM);
        let computed = checksum(sector, CHECKSUM);
        // Early programs did not sum up again after they had marked a disk as hidden (libvhd, vhd_validate_footer).
        let forgetful = creator.is_tap() && matches!(creator_version, TAP_0_1 | TAP_1_1);
        let unhidden = computed.wrapping_add(sector[HIDDEN].into());
        if stored != computed && !(forgetful && stored == unhidden) {
            return Err(Problem::Checksum { stored, computed });
        }
        let version = u32_at(sector, 12);
        if version >> 16 != VERSION >> 16 {
            return Err(Problem::Version(version));
        }
        let kind = match u32_at(sector, 60) {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => Kind::Differencing,
            other => return Err(Problem::Kind(other)),
        };
        let current_size = u64_at(sector, 48);
        if current_size > MAX_DISK {
            return Err(Problem::DiskSize(current_size));
        }
        Ok(Self {
            features: u32_at(sector, 8),
            data_offset: u64_at(sector, 16),
            timestamp: u32_at(sector, 24),
            creator,
            creator_version,
            creator_os: u32_at(sector, 36),
            original_size: u64_at(sector, 40),
            current_size,
            geometry: Geometry {
                cylinders: u16_at(sector, 56),
                heads: sector[58],
                sectors: sector[59],
            },
            kind,
            id: Guid::from_u128(u128::from_be_bytes(array(sector, 68))),
            saved_state: sector[84] != 0,
            hidden: sector[HIDDEN] != 0,
        })
    }

    /// The footer as it stands in the file.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, 0, *COOKIE);
        put(&mut bytes, 8, self.features.to_be_bytes());
        put(&mut bytes, 12, VERSION.to_be_bytes());
        put(&mut bytes, 16, self.data_offset.to_be_bytes());
        put(&mut bytes, 24, self.timestamp.to_be_bytes());
        put(&mut bytes, 28, self.creator.0);
        put(&mut bytes, 32, self.creator_version.to_be_bytes());
        put(&mut bytes, 36, self.creator_os.to_be_bytes());
        put(&mut bytes, 40, self.original_size.to_be_bytes());
        put(&mut bytes, 48, self.current_size.to_be_bytes());
        put(&mut bytes, 56, self.geometry.cylinders.to_be_bytes());
        put(&mut bytes, 58, [self.geometry.heads, self.geometry.sectors]);
        let kind: u32 = match self.kind {
            Kind::Fixed => 2,
            Kind::Dynamic => 3,
            Kind::Differencing => 4,
        };
        put(&mut bytes, 60, kind.to_be_bytes());
        put(&mut bytes, 68, self.id.to_u128().to_be_bytes());
        put(&mut bytes, 84, [u8::from(self.saved_state), u8::from(self.hidden)]);
        let sum = checksum(&bytes, CHECKSUM);
        put(&mut bytes, CHECKSUM, sum.to_be_bytes());
        bytes
    }

    /// Whether the bitmaps have the first sector in the lowest bit of their bytes instead of the highest. blktap's first
    /// version did that (libvhd, `vhd_bitmap_test`).
    pub fn has_old_bit_order(&self) -> bool {
        self.creator.is_tap() && self.creator_version == TAP_0_1
    }

    /// Whether a batmap may follow the block table.
    pub(super) fn may_have_batmap(&self) -> bool {
        self.creator.is_tap() && self.creator_version > TAP_0_1
    }
}

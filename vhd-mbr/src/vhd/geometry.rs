/// Sectors of the largest disk that cylinders, heads and sectors can tell: 65535 × 16 × 255.
const MOST_SECTORS: u64 = 65535 * 16 * 255;

/// Cylinders, heads and sectors per track, as a VHD's footer keeps them.
///
/// They tell a size that is smaller than the disk's in most cases. XenServer does not look at them; Virtual PC, and
/// qemu with disks of unknown [creators](super::Creator), go by them.
///
/// ```
/// use vhd_mbr::vhd::Geometry;
///
/// let geometry = Geometry::of_disk(4 << 30);
/// assert_eq!((geometry.cylinders, geometry.heads, geometry.sectors), (8322, 16, 63));
/// assert_eq!(geometry.disk_size(), (4 << 30) - 16384);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// The number of cylinders.
    pub cylinders: u16,
    /// The number of heads.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

impl Geometry {
    /// The geometry that the specification gives to a disk of `size` bytes (Virtual Hard Disk Image Format
    /// Specification 1.0, appendix).
    pub fn of_disk(size: u64) -> Self {
        let total = (size / 512).min(MOST_SECTORS);
        let geometry = |per_track: u64, heads: u64| (per_track, heads, total / per_track);
        let (sectors, heads, tracks) = if total > 65535 * 16 * 63 {
            geometry(255, 16)
        } else {
            let heads = (total / 17).div_ceil(1024).max(4);
            let mut found = geometry(17, heads);
            if found.2 >= heads * 1024 || heads > 16 {
                found = geometry(31, 16);
            }
            if found.2 >= found.1 * 1024 {
                found = geometry(63, 16);
            }
            found
        };
        Self {
            cylinders: (tracks / heads) as u16,
            heads: heads as u8,
            sectors: sectors as u8,
        }
    }

    /// The size that the geometry tells, in bytes.
    pub fn disk_size(self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors) * 512
    }
}

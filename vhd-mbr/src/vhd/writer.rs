use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use xen_disk::ReadAt;

use super::header::USUAL_BLOCK_SIZE;
use super::plan::{Content, Plan};
use super::read::size_of;
use super::tables::UNUSED;
use super::{Creator, Error, Footer, Geometry, Header, Kind, Locator, Platform, plan};
use crate::Guid;

/// Seconds from 1970, which `SystemTime` counts from, to 2000, which VHDs do.
const EPOCH: u64 = 946_684_800;
/// The largest disk that XenServer, qemu and Hyper-V take: 2040 GiB.
const MAX_DISK: u64 = 2040 << 30;
/// A version before the one from which blktap's disks must have a batmap.
const CREATOR_VERSION: u32 = 0x0001_0000;
/// Where the header is, behind the copy of the footer.
const HEADER_OFFSET: u64 = 512;

/// Makes a VHD of a disk: of an image, of a chain of VHDs, of anything that can be read.
///
/// blktap is given as its creator, because qemu then believes the size. The blocks are laid out in the disk's order, as
/// xapi does it, so that the file can be read as a stream.
///
/// ```
/// use vhd_mbr::vhd::{Vhd, Writer};
///
/// let plan = Writer::fixed(vec![1; 1024]).plan()?;
/// assert_eq!(plan.size(), 1024 + 512);
/// let mut file = Vec::new();
/// plan.write_to(&mut file)?;
/// assert_eq!(Vhd::open(file)?.footer().current_size, 1024);
/// # Ok::<(), vhd_mbr::vhd::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<S> {
    source: S,
    wanted: Wanted,
    id: Guid,
    timestamp: u32,
    creator: Creator,
}

#[derive(Debug)]
enum Wanted {
    Fixed,
    Dynamic,
    Differencing { parent: Parent, changed: Vec<Range<u64>> },
}

/// What a differencing disk says about the disk that it differs from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parent {
    id: Guid,
    timestamp: u32,
    path: Option<String>,
}

impl Parent {
    /// A raw image, which has no id.
    pub fn raw() -> Self {
        Self::default()
    }

    /// The VHD with this footer.
    pub fn vhd(footer: &Footer) -> Self {
        Self {
            id: footer.id,
            timestamp: footer.timestamp,
            path: None,
        }
    }

    /// Where the parent is: a path relative to the child's folder, or a whole one, with `/` between its parts.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

impl<S: ReadAt> Writer<S> {
    /// A file that holds all bytes of the disk. XenServer does not import such files.
    pub fn fixed(source: S) -> Self {
        Self::new(source, Wanted::Fixed)
    }

    /// A file that holds the blocks of the disk that are not all zero.
    pub fn dynamic(source: S) -> Self {
        Self::new(source, Wanted::Dynamic)
    }

    /// A file that holds the sectors of the disk that lie in `changed`, to the byte; see
    /// [`changed_ranges`](super::changed_ranges). The ranges can come in any order and overlap.
    pub fn differencing(source: S, parent: Parent, changed: impl IntoIterator<Item = Range<u64>>) -> Self {
        let changed = changed.into_iter().collect();
        Self::new(source, Wanted::Differencing { parent, changed })
    }

    fn new(source: S, wanted: Wanted) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs().saturating_sub(EPOCH));
        Self {
            source,
            wanted,
            id: Guid::from_u128(random_uuid()),
            timestamp: u32::try_from(seconds).unwrap_or(u32::MAX),
            creator: Creator::TAP,
        }
    }

    /// Gives the disk this id instead of a random one.
    pub fn id(mut self, id: Guid) -> Self {
        self.id = id;
        self
    }

    /// Gives the file this time, in seconds since the start of the year 2000, instead of now.
    pub fn timestamp(mut self, timestamp: u32) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Names another creator. qemu may then [size the disk wrongly](Creator::is_sized_by_geometry_in_qemu).
    pub fn creator(mut self, creator: Creator) -> Self {
        self.creator = creator;
        self
    }

    /// Decides which blocks go into the file, and so how long it is. To find those that are zero, the first bytes of
    /// each block that can hold data are read, and more as long as they are zero.
    ///
    /// The disk must not change until the file is written: read from a snapshot.
    ///
    /// # Errors
    /// Where the disk cannot be read, or is larger than 2040 GiB.
    pub fn plan(self) -> Result<Plan<S>, Error> {
        let disk_size = size_of(&self.source)?;
        let current_size = disk_size.next_multiple_of(512);
        let (kind, data_offset) = match self.wanted {
            Wanted::Fixed => (Kind::Fixed, u64::MAX),
            Wanted::Dynamic => (Kind::Dynamic, HEADER_OFFSET),
            Wanted::Differencing { .. } => (Kind::Differencing, HEADER_OFFSET),
        };
        if current_size > MAX_DISK {
            return Err(Error::TooLarge {
                size: disk_size,
                limit: MAX_DISK,
            });
        }
        let footer = Footer {
            features: 2,
            data_offset,
            timestamp: self.timestamp,
            creator: self.creator,
            creator_version: CREATOR_VERSION,
            creator_os: 0,
            original_size: current_size,
            current_size,
            geometry: Geometry::of_disk(current_size),
            kind,
            id: self.id,
            saved_state: false,
            hidden: false,
        };
        let (head, content) = match self.wanted {
            Wanted::Fixed => (Vec::new(), Content::All),
            Wanted::Dynamic => {
                let blocks = plan::blocks_with_data(&self.source, disk_size)?;
                (head(&footer, &Parent::raw(), &blocks), Content::Blocks(blocks))
            }
            Wanted::Differencing { parent, changed } => {
                let changed = plan::in_order(changed, disk_size);
                let blocks = plan::blocks_of(&changed);
                let head = head(&footer, &parent, &blocks);
                (head, Content::Changed { blocks, changed })
            }
        };
        Ok(Plan::new(self.source, disk_size, head, content, &footer))
    }
}

/// Everything in front of the blocks.
fn head(footer: &Footer, parent: &Parent, blocks: &[u32]) -> Vec<u8> {
    let block_size = u64::from(USUAL_BLOCK_SIZE);
    let entries = footer.current_size.div_ceil(block_size) as usize;
    let mut header = Header {
        table_offset: 0,
        table_entries: entries as u32,
        block_size: USUAL_BLOCK_SIZE,
        parent_id: parent.id,
        parent_timestamp: parent.timestamp,
        parent_name: parent.path.clone().unwrap_or_default(),
        locators: [Locator::default(); 8],
    };
    let mut paths = Vec::new();
    let mut at = HEADER_OFFSET + Header::LEN as u64;
    for (i, (platform, path)) in paths_of(parent).into_iter().enumerate() {
        let len = path.len() as u32;
        let space = len.next_multiple_of(512);
        header.locators[i] = Locator {
            platform,
            space,
            len,
            offset: at,
        };
        paths.extend(path);
        paths.resize((at + u64::from(space) - HEADER_OFFSET) as usize - Header::LEN, 0);
        at += u64::from(space);
    }
    header.table_offset = at;

    let table_len = (entries * 4).next_multiple_of(512);
    let first = at + table_len as u64;
    let mut table = vec![0xff; table_len];
    for (&block, place) in blocks.iter().zip((first..).step_by(plan::BLOCK_LEN)) {
        // The largest disk has a million blocks: every place is below 2^32 sectors.
        let entry = u32::try_from(place / 512).unwrap_or(UNUSED);
        table[block as usize * 4..][..4].copy_from_slice(&entry.to_be_bytes());
    }

    let mut head = footer.to_bytes().to_vec();
    head.extend(header.to_bytes());
    head.extend(paths);
    head.extend(table);
    head
}

/// The parent's path as XenServer and as Windows write it.
fn paths_of(parent: &Parent) -> Vec<(Platform, Vec<u8>)> {
    let Some(path) = &parent.path else {
        return Vec::new();
    };
    let windows = if path.starts_with('/') {
        Platform::WINDOWS_ABSOLUTE
    } else {
        Platform::WINDOWS_RELATIVE
    };
    let has_start = ["/", "./", "../"].iter().any(|start| path.starts_with(start));
    let path = if has_start { path.clone() } else { format!("./{path}") };
    [Platform::FILE_URL, windows]
        .map(|platform| (platform, platform.encode(&path)))
        .into()
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> u128 {
    let random = fastrand::u128(..);
    random & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
}

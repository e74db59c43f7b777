//! The order in which marks are looked for: what cannot be mistaken comes first.

use super::{ContentKind, Contents, label, marks};
use crate::bytes::{is_at, u16_at, u32_at, u64_at};
use crate::filetree::{ReadError, Source};

/// All marks but those of ZFS and those at the end are in the first bytes.
const START: u64 = 68 << 10;
/// What has a mark at the end is not smaller.
const SMALLEST: u64 = 64 << 10;
/// Where the first label of a ZFS pool keeps its uberblocks.
const UBERBLOCKS: (u64, usize) = (128 << 10, 128 << 10);
const UBERBLOCK_MAGIC: u64 = 0x00ba_b10c;

pub(super) fn detect(source: &Source<'_>) -> Result<Contents, ReadError> {
    let start = source.read(0, source.size().min(START) as usize)?;
    let found = at_start(&start, source.size());
    let kind = match found {
        Some(kind) => kind,
        None => elsewhere(source, &start)?,
    };
    let (label, id) = label::read(kind, &start);
    Ok(Contents { kind, label, id })
}

fn at_start(start: &[u8], size: u64) -> Option<ContentKind> {
    // What is told by the first sector alone comes before a table in it, what is behind comes after: it may be left over
    // from before the disk was partitioned.
    marks::in_first_sector(start)
        .or_else(|| fat(start))
        .or_else(|| is_dynamic_disk(start).then_some(ContentKind::Ldm))
        .or_else(|| is_partition_table(start, size).then_some(ContentKind::PartitionTable))
        .or_else(|| ext(start))
        .or_else(|| marks::behind(start))
}

fn elsewhere(source: &Source<'_>, start: &[u8]) -> Result<ContentKind, ReadError> {
    let mut is_empty = start.iter().all(|&byte| byte == 0);
    if let Some(places) = Some(UBERBLOCKS).filter(|&(at, len)| at + len as u64 <= source.size()) {
        let uberblocks = source.read(places.0, places.1)?;
        let has_magic = |block: &[u8]| [u64_at(block, 0), u64_at(block, 0).swap_bytes()].contains(&UBERBLOCK_MAGIC);
        if uberblocks.chunks(1024).any(has_magic) {
            return Ok(ContentKind::Zfs);
        }
        is_empty &= uberblocks.iter().all(|&byte| byte == 0);
    }
    for (kind, at, mark) in at_end(source.size()) {
        let sector = source.read(at, 512)?;
        if sector.starts_with(mark) {
            return Ok(kind);
        }
        is_empty &= sector.iter().all(|&byte| byte == 0);
    }
    Ok(if is_empty {
        ContentKind::Empty
    } else {
        ContentKind::Unknown
    })
}

/// What has its mark at the end: versions 1.0 and 0.90 of Linux RAID, and the last sector of LDM's own partition.
fn at_end(size: u64) -> impl Iterator<Item = (ContentKind, u64, &'static [u8])> {
    let places = (size >= 2 * SMALLEST).then(|| {
        let (raid_1_0, raid_0_90) = ((size / 512 - 16) / 8 * 8 * 512, (size / SMALLEST - 1) * SMALLEST);
        [
            (ContentKind::LinuxRaid, raid_1_0, marks::RAID),
            (ContentKind::LinuxRaid, raid_0_90, marks::RAID),
            (ContentKind::Ldm, (size / 512 - 1) * 512, &b"PRIVHEAD"[..]),
        ]
    });
    places.into_iter().flatten()
}

/// Whether a RAID keeps this volume as one of its copies, whatever it holds. That is told at its end, which streams have
/// last.
pub(crate) fn is_raid_member(source: &Source<'_>) -> Result<bool, ReadError> {
    for (kind, at, mark) in at_end(source.size()) {
        if kind == ContentKind::LinuxRaid && source.read(at, 512)?.starts_with(mark) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// ext2, ext3 and ext4 have the same mark and differ in what they use.
fn ext(start: &[u8]) -> Option<ContentKind> {
    if !is_at(start, 1080, &[0x53, 0xef]) || u32_at(start, 1024) == 0 {
        return None;
    }
    const HAS_JOURNAL: u32 = 0x4;
    // Features that ext3 has: filetype, recover, journal_dev and meta_bg; sparse_super, large_file and btree_dir.
    const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x8 | 0x10;
    const EXT3_RO_COMPAT: u32 = 0x7;
    let (compat, incompat, ro_compat) = (u32_at(start, 1116), u32_at(start, 1120), u32_at(start, 1124));
    Some(if incompat & !EXT3_INCOMPAT != 0 || ro_compat & !EXT3_RO_COMPAT != 0 {
        ContentKind::Ext4
    } else if compat & HAS_JOURNAL != 0 {
        ContentKind::Ext3
    } else {
        ContentKind::Ext2
    })
}

/// FAT has no mark: its first sector is known by values that fit together, and the kind by the number of clusters.
fn fat(start: &[u8]) -> Option<ContentKind> {
    let start = start.get(..512)?;
    let jumps = matches!(start, [0xe9, ..] | [0xeb, _, 0x90, ..]);
    let (sector, per_cluster) = (u16_at(start, 11), start[13]);
    let (reserved, tables, media) = (u16_at(start, 14), start[16], start[21]);
    let fits = jumps
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && per_cluster.is_power_of_two()
        && reserved > 0
        && matches!(tables, 1 | 2)
        && (media == 0xf0 || media >= 0xf8);
    if !fits {
        return None;
    }
    let either = |short: u16, long: u32| if short == 0 { long } else { short.into() };
    let is_fat32 = u16_at(start, 22) == 0;
    let table = u64::from(either(u16_at(start, 22), u32_at(start, 36)));
    let sectors = u64::from(either(u16_at(start, 19), u32_at(start, 32)));
    let root = (u64::from(u16_at(start, 17)) * 32).div_ceil(sector.into());
    let before = u64::from(reserved) + u64::from(tables) * table + root;
    let clusters = sectors.checked_sub(before)? / u64::from(per_cluster);
    Some(match clusters {
        0 => return None,
        _ if is_fat32 => ContentKind::Fat32,
        1..4085 => ContentKind::Fat12,
        _ => ContentKind::Fat16,
    })
}

/// A dynamic disk has a table too, all of it one or more partitions of this type.
fn is_dynamic_disk(start: &[u8]) -> bool {
    const LDM: u8 = 0x42;
    is_at(start, 3072, b"PRIVHEAD") && (0..4).any(|entry| start[450 + entry * 16] == LDM)
}

/// A GPT, or an MBR whose entries can be what they say.
fn is_partition_table(start: &[u8], size: u64) -> bool {
    if [512, 4096].iter().any(|&sector| is_at(start, sector, b"EFI PART")) {
        return true;
    }
    let Some(entries) = start.get(446..510).filter(|_| is_at(start, 510, &[0x55, 0xaa])) else {
        return false;
    };
    let mut used = entries.chunks_exact(16).filter(|entry| entry[4] != 0).peekable();
    used.peek().is_some()
        && entries.chunks_exact(16).all(|entry| entry[0] & 0x7f == 0)
        && used.all(|entry| {
            let (first, count) = (u32_at(entry, 8), u32_at(entry, 12));
            first > 0 && count > 0 && u64::from(first) * 512 < size
        })
}

//! Files on the volumes of a disk.

use std::io::{self, Write};
use std::ops::Range;

use anyhow::{Context, bail, ensure};
use vhd_mbr::layout::{Layout, Place};
use vhd_mbr::ntfs::Ntfs;
use vhd_mbr::xen_disk::{ReadAt, Window};
use vhd_mbr::{PartitionTable, ext4, fat, xfs};

/// A file system whose files can be read, at its place on a disk.
#[derive(Debug)]
pub struct Volume<D> {
    window: Window<D>,
    place: Range<u64>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ntfs,
    Ext,
    Xfs,
    Fat,
}

/// How much of a file is copied at once.
const PIECE: usize = 1 << 20;

impl<D: ReadAt + Clone> Volume<D> {
    /// The volume in a partition; without a number, the whole disk, or its only partition that can be read.
    ///
    /// # Errors
    /// Where there is no such partition, or its file system is none that can be read.
    pub fn open(disk: D, partition: Option<u32>) -> anyhow::Result<Self> {
        let whole = 0..disk.size()?;
        if partition.is_none()
            && let Some(kind) = kind(&disk)?
        {
            return Ok(Self::new(disk, whole, kind));
        }
        let table = PartitionTable::read_disk(&disk)?;
        if let Some(number) = partition {
            return Self::of(disk, &table, number);
        }
        let mut readable = Vec::new();
        for entry in table.partitions() {
            if let Some(kind) = kind(&entry.of(&disk))? {
                readable.push((entry.number, kind));
            }
        }
        match readable[..] {
            [(number, _)] => Self::of(disk, &table, number),
            [] => bail!("no partition of the disk holds NTFS, ext, XFS or FAT"),
            _ => {
                let numbers: Vec<_> = readable
                    .iter()
                    .map(|(number, kind)| format!("{number} ({kind:?})"))
                    .collect();
                bail!("choose a partition with --partition: {}", numbers.join(", "))
            }
        }
    }

    /// The volume in a partition of a table that was read before.
    ///
    /// # Errors
    /// Where the table has no such partition, or its file system is none that can be read.
    pub fn of(disk: D, table: &PartitionTable, number: u32) -> anyhow::Result<Self> {
        let entry = table.partition(number).context("the disk has no such partition")?;
        let kind = kind(&entry.of(&disk))?;
        let kind = kind.with_context(|| {
            format!(
                "partition {number} ({}) holds no NTFS, ext, XFS or FAT",
                entry.partition_type()
            )
        })?;
        let end = entry.end().min(disk.size()?);
        Ok(Self::new(disk, entry.start..end, kind))
    }

    fn new(disk: D, place: Range<u64>, kind: Kind) -> Self {
        Self {
            window: Window::new(disk, place.start, place.end - place.start),
            place,
            kind,
        }
    }

    /// Where the volume is on the disk, in bytes.
    pub fn place(&self) -> Range<u64> {
        self.place.clone()
    }

    /// Where a file's bytes are on the volume.
    ///
    /// # Errors
    /// Where the path leads to no file, or the volume is damaged.
    pub fn layout(&self, path: &str) -> anyhow::Result<Layout> {
        Ok(match self.kind {
            Kind::Ntfs => Ntfs::open(&self.window)?.lookup(path)?.layout()?,
            Kind::Ext => ext4::layout(&self.window, path)?,
            Kind::Xfs => xfs::layout(&self.window, path)?,
            Kind::Fat => fat::layout(&self.window, path)?,
        })
    }

    /// Copies a file's content.
    ///
    /// # Errors
    /// Where the path leads to no file that can be read, or the output fails.
    pub fn copy(&self, path: &str, output: &mut impl Write) -> anyhow::Result<u64> {
        if self.kind == Kind::Ntfs {
            let volume = Ntfs::open(&self.window)?;
            let content = volume.lookup(path)?.content()?;
            return Ok(copy(&content, content.len(), output)?);
        }
        let layout = self.layout(path)?;
        for extent in &layout.extents {
            let length = extent.file.end - extent.file.start;
            match extent.place {
                Place::Data { offset } => copy(&Window::new(&self.window, offset, length), length, output)?,
                Place::Hole | Place::Unwritten { .. } => io::copy(&mut io::Read::take(io::repeat(0), length), output)?,
                _ => bail!("{path} is not stored as it is"),
            };
        }
        Ok(layout.size)
    }
}

fn copy(source: &dyn ReadAt, length: u64, output: &mut impl Write) -> io::Result<u64> {
    let mut piece = vec![0; PIECE.min(length as usize)];
    let mut at = 0;
    while at < length {
        let count = (length - at).min(PIECE as u64) as usize;
        source.read_exact_at(at, &mut piece[..count])?;
        output.write_all(&piece[..count])?;
        at += count as u64;
    }
    Ok(length)
}

/// The file system that a volume's first bytes tell of.
fn kind(volume: &impl ReadAt) -> anyhow::Result<Option<Kind>> {
    let mut start = [0; 2048];
    if volume.size()? < start.len() as u64 {
        return Ok(None);
    }
    volume.read_exact_at(0, &mut start)?;
    let is_at = |offset: usize, magic: &[u8]| start[offset..].starts_with(magic);
    ensure!(!is_at(3, b"-FVE-FS-"), "the volume is encrypted with BitLocker");
    ensure!(!is_at(0, b"LUKS\xba\xbe"), "the volume is encrypted with LUKS");
    Ok(if is_at(3, b"NTFS    ") {
        Some(Kind::Ntfs)
    } else if is_at(0, b"XFSB") {
        Some(Kind::Xfs)
    } else if is_at(1080, &[0x53, 0xef]) {
        Some(Kind::Ext)
    } else if is_at(510, &[0x55, 0xaa]) && (is_at(54, b"FAT") || is_at(82, b"FAT32")) {
        Some(Kind::Fat)
    } else {
        None
    })
}

//! Whole files on FAT volumes: `fatfs` writes over an overlay, and what it changed becomes the plan.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use fatfs::{FileSystem, FsOptions};
use xen_disk::{ReadAt, Window, WriteAt};

use super::clock::Clock;
use super::refused::Listed;
use super::{LIMIT, Overlay, Refused, WritePlan};
use crate::fat::{self, PathError};
use crate::filetree::Source;
use crate::layout::Obstacle;
use crate::volume::is_raid_member;

/// Reads and writes after which a damaged volume is given up: FAT entries are read one by one.
const MAX_STEPS: u64 = 1 << 26;
/// `fatfs` counts the bits of a table in 32 bits.
const MAX_TABLE: u64 = (1 << 29) - 1;

/// Why a file is not put on a FAT volume. Nothing has been written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FatError {
    /// The volume is in a state that forbids it.
    #[error("not changed: {}", Listed(.0))]
    Obstacles(Vec<Obstacle>),
    /// The volume cannot be read, or the path leads to something other than a file.
    #[error(transparent)]
    Volume(#[from] fat::Error),
    /// The volume's allocation table has half a gibibyte or more, which the writer cannot count.
    #[error("not changed: the FAT volume's allocation table has {len} bytes, and only those below 512 MiB are written")]
    LargeTable {
        /// How many bytes it has.
        len: u64,
    },
    /// Writing it failed in memory: no room on the volume, no such directory, a name that FAT cannot have.
    #[error("the file cannot be written to the FAT volume")]
    Write(#[source] io::Error),
    /// What was written in memory does not read back.
    #[error("the file would not read back from the FAT volume as it was written; fsck.fat may tell why")]
    ReadBack,
    /// The difference cannot be made a plan.
    #[error(transparent)]
    Plan(#[from] Refused),
}

/// Plans to make `content` all of the file at `path` of a FAT volume, which is at `volume` of `disk`. The file may be new
/// or have any size; its directory has to be there. Names are compared without case.
///
/// Clusters that the file has are written to where they are, so replacing a file by one of the same size changes its bytes
/// and times only.
///
/// # Errors
/// If the volume was not unmounted, is damaged or has no room; if a directory has the name.
pub fn put_on_fat(disk: &dyn ReadAt, volume: Range<u64>, path: &str, content: &[u8]) -> Result<WritePlan, FatError> {
    let len = volume.end.saturating_sub(volume.start);
    let before = Window::new(disk, volume.start, len);
    let mut obstacles = fat::obstacles(&before)?;
    if is_raid_member(&Source::new(&before).map_err(fat::Error::from)?).map_err(fat::Error::from)? {
        obstacles.push(Obstacle::RaidMember);
    }
    if !obstacles.is_empty() {
        return Err(FatError::Obstacles(obstacles));
    }
    let table_len = fat::table_len(&before)?;
    if table_len > MAX_TABLE {
        return Err(FatError::LargeTable { len: table_len });
    }
    // Our reader goes first: it knows damage on the way that the writer would follow.
    match fat::layout(&before, path) {
        Ok(_) | Err(fat::Error::Path(PathError::NotFound { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    let mut overlay = Overlay::new(disk, LIMIT);
    let stream = Stream {
        disk: Window::new(&mut overlay, volume.start, len),
        len,
        at: 0,
        steps: 0,
    };
    write(stream, &path.replace('\\', "/"), content).map_err(FatError::Write)?;
    let after = Window::new(&overlay, volume.start, len);
    if !reads_as(&after, path, content)? {
        return Err(FatError::ReadBack);
    }
    Ok(overlay.plan()?)
}

fn write(stream: Stream<impl WriteAt>, path: &str, content: &[u8]) -> io::Result<()> {
    let volume = FileSystem::new(stream, FsOptions::new().time_provider(&Clock))?;
    {
        let mut file = volume.root_dir().create_file(path)?;
        file.write_all(content)?;
        file.truncate()?;
        file.flush()?;
    }
    volume.unmount()
}

fn reads_as(volume: &dyn ReadAt, path: &str, content: &[u8]) -> Result<bool, FatError> {
    let layout = fat::layout(volume, path)?;
    let size = content.len() as u64;
    let ranges = layout.on_volume(0..size).filter(|_| layout.size == size);
    let Some(ranges) = ranges else {
        return Ok(false);
    };
    let mut at = 0;
    for range in ranges {
        let mut found = vec![0; (range.end - range.start) as usize];
        volume.read_exact_at(range.start, &mut found).map_err(FatError::Write)?;
        if content[at..at + found.len()] != found {
            return Ok(false);
        }
        at += found.len();
    }
    Ok(true)
}

/// A disk with a cursor, for `fatfs`.
struct Stream<D> {
    disk: D,
    len: u64,
    at: u64,
    steps: u64,
}

impl<D> Stream<D> {
    /// How many of `wanted` bytes there are from the cursor on.
    fn step(&mut self, wanted: usize) -> io::Result<usize> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(io::Error::other("the volume's structures lead nowhere"));
        }
        Ok(self.len.saturating_sub(self.at).min(wanted as u64) as usize)
    }
}

impl<D: ReadAt> Read for Stream<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.step(buf.len())?;
        self.disk.read_exact_at(self.at, &mut buf[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<D: WriteAt> Write for Stream<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.step(bytes.len())?;
        self.disk.write_all_at(self.at, &bytes[..count])?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<D> Seek for Stream<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

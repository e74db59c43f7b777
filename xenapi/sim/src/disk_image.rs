//! What is on a virtual disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sample_disks::Kind;

/// The content of a virtual disk: sparse, so that terabytes of zeros cost nothing.
///
/// ```
/// use xenapi_sim::DiskImage;
///
/// let mut disk = DiskImage::new(16 << 30);
/// disk.write(1 << 30, b"far inside");
/// let mut text = [0; 12];
/// disk.read(1 << 30, &mut text)?;
/// assert_eq!(&text, b"far inside\0\0");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DiskImage {
    size: u64,
    /// Chunks by their index; where one is missing, what lies below counts, or else zeros.
    chunks: BTreeMap<u64, Arc<[u8]>>,
    below: Option<Below>,
    /// Where all of the content came from; none once it was written.
    origin: Option<Origin>,
}

/// How the content of an image can be had again.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// It is generated.
    Sample {
        /// The kind of disk.
        kind: Kind,
        /// What tells it from others of its kind.
        seed: u64,
    },
    /// It is a raw image in this file.
    File(PathBuf),
}

/// What an image was laid over.
#[derive(Clone, Debug)]
enum Below {
    File(Arc<Backing>),
    Image(Arc<DiskImage>),
}

impl Below {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read(offset, buffer),
            Self::Image(image) => image.read(offset, buffer),
        }
    }

    fn is_hole(&self, offset: u64, length: u64) -> bool {
        match self {
            Self::File(file) => offset >= file.length,
            Self::Image(image) => image.is_hole(offset, length),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(two)) => Arc::ptr_eq(one, two),
            (Self::Image(one), Self::Image(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// How many bytes of storage there are beside those chunks that others cover.
    fn used_beside(&self, above: &BTreeMap<u64, Arc<[u8]>>) -> u64 {
        match self {
            Self::File(file) => file.length,
            Self::Image(image) => {
                let covered = above.keys().filter(|&index| image.chunks.contains_key(index)).count();
                image.used() - covered as u64 * CHUNK
            }
        }
    }
}

/// The raw image that lies below what was written.
#[derive(Debug)]
struct Backing {
    file: Mutex<File>,
    length: u64,
}

impl Backing {
    /// Fills a buffer, with zeros behind the end of the file.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let there = self.length.saturating_sub(offset).min(buffer.len() as u64) as usize;
        buffer[there..].fill(0);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut buffer[..there])
    }
}

/// How much one chunk holds, in bytes.
const CHUNK: u64 = 4 << 10;
/// How much is compared at a time, in bytes.
const PIECE: u64 = 64 << 10;

impl DiskImage {
    /// A disk of this many bytes, all zero.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            chunks: BTreeMap::new(),
            below: None,
            origin: None,
        }
    }

    /// A disk with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut disk = Self::new(bytes.len() as u64);
        disk.write(0, bytes);
        disk
    }

    /// A disk with the content of a raw image file, which is read when it is wanted and never written.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn from_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let file = Mutex::new(file);
        Ok(Self {
            size: length,
            chunks: BTreeMap::new(),
            below: Some(Below::File(Arc::new(Backing { file, length }))),
            origin: Some(Origin::File(path)),
        })
    }

    /// A disk with the content of another one, which both share until this one is written.
    pub(crate) fn above(image: Arc<Self>) -> Self {
        Self {
            size: image.size,
            chunks: BTreeMap::new(),
            below: Some(Below::Image(image)),
            origin: None,
        }
    }

    /// The same disk, whose content can be had again as a sample.
    pub(crate) fn generated(self, kind: Kind, seed: u64) -> Self {
        Self {
            origin: Some(Origin::Sample { kind, seed }),
            ..self
        }
    }

    /// How the content can be had again, where that is known.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Writes the content as a raw image with holes.
    pub(crate) fn write_raw(&self, file: &mut File) -> io::Result<()> {
        file.set_len(self.size)?;
        let mut piece = vec![0; PIECE as usize];
        for at in (0..self.size).step_by(PIECE as usize) {
            let count = (self.size - at).min(PIECE);
            if !self.is_hole(at, count) {
                let piece = &mut piece[..count as usize];
                self.read(at, piece)?;
                file.seek(SeekFrom::Start(at))?;
                file.write_all(piece)?;
            }
        }
        Ok(())
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes bytes at an offset; the disk grows where they end behind its end. What is all zero takes no memory.
    ///
    /// Above an image in a file the bytes stay in memory. Where that file cannot be read, what surrounds them in their
    /// chunk of 4 KiB becomes zero.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.origin = None;
        self.size = self.size.max(offset.saturating_add(bytes.len() as u64));
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let start = (at % CHUNK) as usize;
            let count = rest.len().min(CHUNK as usize - start);
            self.write_in_chunk(at / CHUNK, start, &rest[..count]);
            rest = &rest[count..];
            at += count as u64;
        }
    }

    fn write_in_chunk(&mut self, index: u64, start: usize, bytes: &[u8]) {
        let zeros = is_zero(bytes);
        if let Some(chunk) = self.chunks.get_mut(&index) {
            let chunk = Arc::make_mut(chunk);
            chunk[start..start + bytes.len()].copy_from_slice(bytes);
            if zeros && self.below.is_none() && is_zero(chunk) {
                self.chunks.remove(&index);
            }
        } else if !zeros || self.below.is_some() {
            let mut chunk = vec![0; CHUNK as usize];
            if let Some(below) = &self.below
                && below.read(index * CHUNK, &mut chunk).is_err()
            {
                chunk.fill(0);
            }
            chunk[start..start + bytes.len()].copy_from_slice(bytes);
            self.chunks.insert(index, chunk.into());
        }
    }

    /// Fills a buffer with what is at an offset; zeros behind the end.
    ///
    /// # Errors
    /// Where the image is in a file that cannot be read.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let wanted = self.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let (mut rest, behind) = buffer.split_at_mut(wanted);
        behind.fill(0);
        let mut at = offset;
        while !rest.is_empty() {
            let start = (at % CHUNK) as usize;
            let count = rest.len().min(CHUNK as usize - start);
            let (part, after) = rest.split_at_mut(count);
            match (self.chunks.get(&(at / CHUNK)), &self.below) {
                (Some(chunk), _) => part.copy_from_slice(&chunk[start..start + count]),
                (None, Some(below)) => below.read(at, part)?,
                (None, None) => part.fill(0),
            }
            rest = after;
            at += count as u64;
        }
        Ok(())
    }

    /// Whether a stretch is known to be all zero without looking at it.
    pub(crate) fn is_hole(&self, offset: u64, length: u64) -> bool {
        let below = self.below.as_ref().is_none_or(|below| below.is_hole(offset, length));
        below && self.chunks_in(offset, length).next().is_none()
    }

    /// The chunks of this layer that touch a stretch.
    fn chunks_in(&self, offset: u64, length: u64) -> impl Iterator<Item = (&u64, &Arc<[u8]>)> {
        let end = offset.saturating_add(length).div_ceil(CHUNK);
        self.chunks.range(offset / CHUNK..end.max(offset / CHUNK))
    }

    /// Whether a stretch has the same bytes as in another image.
    pub(crate) fn has_same(&self, other: &Self, offset: u64, length: u64) -> io::Result<bool> {
        let shares = match (&self.below, &other.below) {
            (Some(one), Some(two)) => one.is_same(two),
            (None, None) => true,
            _ => false,
        };
        let known = |image: &Self| -> Vec<(u64, *const [u8])> {
            let chunks = image.chunks_in(offset, length);
            chunks.map(|(index, chunk)| (*index, Arc::as_ptr(chunk))).collect()
        };
        if shares && known(self) == known(other) {
            return Ok(true);
        }
        let (mut mine, mut theirs) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
        let end = offset.saturating_add(length);
        let mut at = offset;
        while at < end {
            let count = (end - at).min(PIECE);
            if !(self.is_hole(at, count) && other.is_hole(at, count)) {
                let (mine, theirs) = (&mut mine[..count as usize], &mut theirs[..count as usize]);
                self.read(at, mine)?;
                other.read(at, theirs)?;
                if mine != theirs {
                    return Ok(false);
                }
            }
            at += count;
        }
        Ok(true)
    }

    /// How many bytes of storage the content takes.
    pub(crate) fn used(&self) -> u64 {
        let below = self.below.as_ref().map_or(0, |below| below.used_beside(&self.chunks));
        below + self.chunks.len() as u64 * CHUNK
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_across_chunks_read_back() {
        let mut disk = DiskImage::new(1 << 20);
        let bytes: Vec<u8> = (0..200_000).map(|number: u32| number.to_le_bytes()[0]).collect();
        disk.write(50_000, &bytes);
        let mut back = vec![0; bytes.len()];
        disk.read(50_000, &mut back).unwrap();
        assert_eq!(back, bytes);
        assert!(disk.is_hole(512 << 10, 512 << 10));
        assert!(!disk.is_hole(0, 64 << 10));
    }

    #[test]
    fn reading_behind_the_end_gives_zeros() {
        let disk = DiskImage::from_bytes(b"short");
        let mut back = [7; 8];
        disk.read(3, &mut back).unwrap();
        assert_eq!(&back, b"rt\0\0\0\0\0\0");
    }

    #[test]
    fn zeros_take_no_memory() {
        let mut disk = DiskImage::new(1 << 30);
        disk.write(0, &[0; 4096]);
        assert_eq!(disk.used(), 0);
        disk.write(100, b"data");
        disk.write(100, &[0; 4]);
        assert_eq!(disk.used(), 0);
    }

    #[test]
    fn copies_share_what_neither_has_written() {
        let mut disk = DiskImage::from_bytes(b"start");
        let before = disk.clone();
        disk.write(200_000, b"later");
        assert!(disk.has_same(&before, 0, 65536).unwrap());
        assert!(!disk.has_same(&before, 0, 1 << 20).unwrap());
        assert_eq!(before.size(), 5);
    }

    #[test]
    fn a_layer_takes_only_what_was_written_above_the_other_image() {
        let base = Arc::new(DiskImage::from_bytes(&[7; 100_000]));
        let mut disk = DiskImage::above(Arc::clone(&base));
        assert_eq!(disk.used(), base.used());
        disk.write(50_000, b"mine");
        assert_eq!(disk.used(), base.used());
        assert_eq!(disk.chunks.len(), 1);
        let mut back = [0; 6];
        disk.read(49_999, &mut back).unwrap();
        assert_eq!(&back, b"\x07mine\x07");
        base.read(49_999, &mut back).unwrap();
        assert_eq!(back, [7; 6]);
        assert!(disk.has_same(&base, 0, 40_000).unwrap());
        assert!(!disk.has_same(&base, 0, 100_000).unwrap());
        disk.write(0, &[0; 100_000]);
        disk.read(50_000, &mut back).unwrap();
        assert_eq!(back, [0; 6], "zeros above hide what is below");
    }
}

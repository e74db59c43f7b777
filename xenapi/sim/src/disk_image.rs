//! What is on a virtual disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Mutex;

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
#[derive(Debug)]
pub struct DiskImage {
    size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Chunks by their index; a missing one is all zeros.
    Chunks(BTreeMap<u64, Box<[u8]>>),
    File(Mutex<File>),
}

/// How much one chunk holds, in bytes.
const CHUNK: u64 = 64 << 10;

impl DiskImage {
    /// A disk of this many bytes, all zero.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            content: Content::Chunks(BTreeMap::new()),
        }
    }

    /// A disk with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut disk = Self::new(bytes.len() as u64);
        disk.write(0, bytes);
        disk
    }

    /// A disk with the content of a raw image file, which is read when it is wanted.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn from_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            size: file.metadata()?.len(),
            content: Content::File(Mutex::new(file)),
        })
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes bytes at an offset; the disk grows where they end behind its end. Does nothing to an image in a file.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let Content::Chunks(chunks) = &mut self.content else {
            return;
        };
        self.size = self.size.max(offset.saturating_add(bytes.len() as u64));
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let start = (at % CHUNK) as usize;
            let count = rest.len().min(CHUNK as usize - start);
            let chunk = chunks
                .entry(at / CHUNK)
                .or_insert_with(|| vec![0; CHUNK as usize].into());
            chunk[start..start + count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            at += count as u64;
        }
    }

    /// Fills a buffer with what is at an offset; zeros behind the end.
    ///
    /// # Errors
    /// Where the image is in a file that cannot be read.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        let wanted = self.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..wanted];
        match &self.content {
            Content::Chunks(chunks) => {
                let mut done = 0;
                while done < buffer.len() {
                    let at = offset + done as u64;
                    let start = (at % CHUNK) as usize;
                    let count = (buffer.len() - done).min(CHUNK as usize - start);
                    if let Some(chunk) = chunks.get(&(at / CHUNK)) {
                        buffer[done..done + count].copy_from_slice(&chunk[start..start + count]);
                    }
                    done += count;
                }
                Ok(())
            }
            Content::File(file) => {
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(buffer)
            }
        }
    }

    /// Whether a stretch is known to be all zero without looking at it.
    pub(crate) fn is_hole(&self, offset: u64, length: u64) -> bool {
        match &self.content {
            Content::Chunks(chunks) => chunks
                .range(offset / CHUNK..offset.saturating_add(length).div_ceil(CHUNK))
                .next()
                .is_none(),
            Content::File(_) => false,
        }
    }

    /// How many bytes of storage the content takes.
    pub(crate) fn used(&self) -> u64 {
        match &self.content {
            Content::Chunks(chunks) => chunks.len() as u64 * CHUNK,
            Content::File(_) => self.size,
        }
    }
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
}

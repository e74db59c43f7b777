//! The reader over `std::io::Read`.

use std::io::{ErrorKind, Read, Seek, Write};

use super::core::{Core, RunStep};
use super::{Run, behind, image};
use crate::error::{Error, Result};
use crate::ova::{Ova, Vdi};
use crate::summary::{DiskReport, Summary};
use crate::{Block, Compression, Options};

/// Reads an archive from front to back.
///
/// gzip and zstd are recognised by their first bytes. Reading an uncompressed archive never takes a byte more from the
/// source than what was asked for needs, and a compressed one at most 64 KiB more, so a download can stop early. The
/// source needs no buffer of its own.
///
/// ```no_run
/// let mut archive = xva::Reader::new(std::fs::File::open("machine.xva")?);
/// while let Some(mut disk) = archive.next_disk()? {
///     let mut image = std::fs::File::create(format!("{}.raw", disk.id()))?;
///     disk.copy_to(&mut image)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    core: Core,
    source: R,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of an archive.
    pub fn new(source: R) -> Self {
        Self::with_options(source, Options::default())
    }

    /// A reader with limits and checks of the caller's choice.
    pub fn with_options(source: R, options: Options) -> Self {
        Self {
            core: Core::new(options),
            source,
        }
    }

    /// The metadata; reads up to its end where that was not done yet. `None` where the archive has none, as those of
    /// single disks.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged.
    pub fn ova(&mut self) -> Result<Option<&Ova>> {
        self.drive(Core::read_ova)?;
        Ok(self.core.known_ova())
    }

    /// Goes to the next disk, passing over what is left of the one before, or gives `None` after the last.
    ///
    /// Disks come in byte-wise order of their ids, which is not the order of the machine's drives: see
    /// [`Vm::disks`](crate::ova::Vm::disks).
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub fn next_disk(&mut self) -> Result<Option<Disk<'_, R>>> {
        Ok(self.drive(Core::next_disk)?.then_some(Disk { reader: self }))
    }

    /// Reads and verifies everything that is left.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub fn finish(&mut self) -> Result<&Summary> {
        while self.drive(Core::next_disk)? {}
        Ok(self.core.parser().summary())
    }

    /// What the archive held, once its end was read.
    pub fn summary(&self) -> Option<&Summary> {
        self.core.summary()
    }

    /// How the archive is compressed, once its first bytes were read.
    pub fn compression(&self) -> Option<Compression> {
        self.core.compression()
    }

    /// Bytes taken from the source so far, compressed as they are.
    pub fn bytes_read(&self) -> u64 {
        self.core.bytes_read()
    }

    /// Bytes of the decompressed archive taken so far.
    pub fn position(&self) -> u64 {
        self.core.parser().position()
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// The next run of the disk at hand.
    pub(super) fn next_run(&mut self) -> Result<Option<Run<'_>>> {
        let step = self.drive(Core::next_run)?;
        Ok(self.core.run(step))
    }

    /// The metadata, if it was read.
    pub(super) fn known_ova(&self) -> Option<&Ova> {
        self.core.known_ova()
    }

    /// Takes a step over and over, reading whenever it wants bytes.
    fn drive<T>(&mut self, step: fn(&mut Core) -> Result<Option<T>>) -> Result<T> {
        loop {
            if let Some(value) = step(&mut self.core)? {
                return Ok(value);
            }
            match self.source.read(self.core.space()) {
                Ok(n) => self.core.filled(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if self.core.is_over() => self.core.filled(0),
                Err(source) => {
                    return Err(Error::Io {
                        read: self.core.bytes_read(),
                        source,
                    });
                }
            }
        }
    }
}

/// The disk at which a [`Reader`] stands.
#[derive(Debug)]
pub struct Disk<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Disk<'_, R> {
    /// The disk's folder in the archive, which is its id in the metadata.
    pub fn id(&self) -> &str {
        self.report().map_or("", |report| &report.id)
    }

    /// What the metadata tells about the disk.
    pub fn vdi(&self) -> Option<&Vdi> {
        self.reader.core.known_ova()?.vdi(self.id())
    }

    /// The disk's length in bytes, as the metadata gives it.
    pub fn virtual_size(&self) -> Option<u64> {
        self.report()?.virtual_size
    }

    /// The metadata of the archive.
    pub fn ova(&self) -> Option<&Ova> {
        self.reader.core.known_ova()
    }

    /// Bytes taken from the source so far, for all of the archive.
    pub fn bytes_read(&self) -> u64 {
        self.reader.bytes_read()
    }

    /// Reads the disk's first block, usually 1 MiB, with its partition table. Nothing behind its checksum is read.
    ///
    /// # Errors
    /// Where the source fails, the archive is damaged or cut off, or blocks of the disk were read before.
    pub fn first_block(self) -> Result<Vec<u8>> {
        self.reader.core.require_fresh()?;
        let step = self.reader.drive(Core::next_run)?;
        Ok(self.reader.core.first_block(step))
    }

    /// Reads the next block; `None` after the last. What lies between two blocks is zero.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        loop {
            match self.reader.drive(Core::next_run)? {
                RunStep::Hole { .. } => {}
                step => return Ok(self.reader.core.block(step)),
            }
        }
    }

    /// Reads the next run of data or zeros; `None` at the disk's end. For whoever needs every byte of the disk in
    /// order, such as to hash it:
    ///
    /// ```no_run
    /// # use sha2::{Digest, Sha256};
    /// # let mut archive = xva::Reader::new(std::fs::File::open("machine.xva")?);
    /// # let mut disk = archive.next_disk()?.unwrap();
    /// let mut hash = Sha256::new();
    /// while let Some(run) = disk.next_run()? {
    ///     match run {
    ///         xva::Run::Data(block) => hash.update(block.data),
    ///         xva::Run::Hole { len, .. } => (0..len).for_each(|_| hash.update([0])),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub fn next_run(&mut self) -> Result<Option<Run<'_>>> {
        self.reader.next_run()
    }

    /// Writes the disk as a raw image and gives its length in bytes.
    ///
    /// Zeros are not written but passed over, so a new file becomes sparse; a device that was in use has to be zeroed
    /// before. The image begins at the target's first byte, wherever the target stands.
    ///
    /// A second thread writes, while this one reads and verifies up to four blocks ahead. Where no thread can be
    /// started, this one does both.
    ///
    /// # Errors
    /// Where the source or the target fails or the archive is damaged or cut off.
    pub fn copy_to<W: Write + Seek + Send>(&mut self, target: &mut W) -> Result<u64> {
        match behind::write(target, |pieces| self.pass_on(pieces))? {
            Some(len) => Ok(len),
            None => self.copy_alone(target),
        }
    }

    fn pass_on(&mut self, pieces: &behind::Pieces) -> Result<()> {
        loop {
            let passed = match self.reader.drive(Core::next_run)? {
                RunStep::Data(placed, _) => {
                    let buffer = self.reader.core.swap_block(pieces.spare());
                    pieces.data(placed.offset, placed.len as usize, buffer)
                }
                RunStep::Hole { offset, len } => pieces.hole(offset + len),
                RunStep::End => return Ok(()),
            };
            if passed.is_err() {
                return Ok(());
            }
        }
    }

    fn copy_alone<W: Write + Seek>(&mut self, target: &mut W) -> Result<u64> {
        let mut image = image::Writer::new(target);
        while let Some(run) = self.next_run()? {
            match run {
                Run::Data(block) => image.data(block.offset, block.data)?,
                Run::Hole { offset, len } => image.hole(offset + len),
            }
        }
        image.finish()
    }

    fn report(&self) -> Option<&DiskReport> {
        self.reader.core.disk()
    }
}

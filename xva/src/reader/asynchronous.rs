//! The reader over tokio's `AsyncRead`.

use std::io::ErrorKind;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Run;
use super::core::{Core, RunStep};
use crate::error::{Error, Result};
use crate::ova::{Ova, Vdi};
use crate::summary::{DiskReport, Summary};
use crate::{Block, Compression, Options};

/// Reads an archive from front to back, from a source that is read asynchronously.
///
/// It is [`Reader`](crate::Reader) with futures, for a download that is still going on. All futures can be dropped at
/// any time and the same call made again: nothing is lost. Dropping the reader drops the source, which ends a download.
///
/// ```
/// # async fn first_sector(export: impl tokio::io::AsyncRead + Unpin + Send) -> xva::Result<Vec<u8>> {
/// let mut archive = xva::AsyncReader::new(export);
/// let disk = archive.next_disk().await?.unwrap();
/// let block = disk.first_block().await?;
/// println!("{} bytes read", archive.bytes_read());
/// # Ok(block[..512].to_vec())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncReader<R> {
    core: Core,
    source: R,
}

impl<R: AsyncRead + Unpin + Send> AsyncReader<R> {
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
    pub async fn ova(&mut self) -> Result<Option<&Ova>> {
        self.drive(Core::read_ova).await?;
        Ok(self.core.known_ova())
    }

    /// Goes to the next disk, passing over what is left of the one before, or gives `None` after the last.
    ///
    /// Disks come in byte-wise order of their ids, which is not the order of the machine's drives: see
    /// [`Vm::disks`](crate::ova::Vm::disks).
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub async fn next_disk(&mut self) -> Result<Option<AsyncDisk<'_, R>>> {
        Ok(self.drive(Core::next_disk).await?.then_some(AsyncDisk { reader: self }))
    }

    /// Reads and verifies everything that is left.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub async fn finish(&mut self) -> Result<&Summary> {
        while self.drive(Core::next_disk).await? {}
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

    /// Takes a step over and over, reading whenever it wants bytes.
    async fn drive<T: Send>(&mut self, step: fn(&mut Core) -> Result<Option<T>>) -> Result<T> {
        loop {
            if let Some(value) = step(&mut self.core)? {
                return Ok(value);
            }
            match self.source.read(self.core.space()).await {
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

/// The disk at which an [`AsyncReader`] stands.
#[derive(Debug)]
pub struct AsyncDisk<'a, R> {
    reader: &'a mut AsyncReader<R>,
}

impl<R: AsyncRead + Unpin + Send> AsyncDisk<'_, R> {
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
    pub async fn first_block(self) -> Result<Vec<u8>> {
        self.reader.core.require_fresh()?;
        let step = self.reader.drive(Core::next_run).await?;
        Ok(self.reader.core.first_block(step))
    }

    /// Reads the next block; `None` after the last. What lies between two blocks is zero.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub async fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        loop {
            match self.reader.drive(Core::next_run).await? {
                RunStep::Hole { .. } => {}
                step => return Ok(self.reader.core.block(step)),
            }
        }
    }

    /// Reads the next run of data or zeros; `None` at the disk's end.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged or cut off.
    pub async fn next_run(&mut self) -> Result<Option<Run<'_>>> {
        let step = self.reader.drive(Core::next_run).await?;
        Ok(self.reader.core.run(step))
    }

    fn report(&self) -> Option<&DiskReport> {
        self.reader.core.disk()
    }
}

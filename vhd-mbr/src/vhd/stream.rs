use std::io::{self, ErrorKind, Read, Seek, Write};

use xen_disk::{Run, WriteAt};

use super::bitmap::Bitmap;
use super::copy::Sparse;
use super::delta::fits;
use super::fields::u32_at;
use super::tables::UNUSED;
use super::{Error, Footer, Header, Kind, Part, Problem};

/// The most data that is given out at once.
const BATCH: u64 = 1 << 20;
/// How much is skipped at once.
const SKIP: usize = 64 << 10;

/// Reads a dynamic or differencing VHD from front to back, as it arrives.
///
/// Blocks must come in the file in the order in which they are read, whatever their order on the disk; whatever lies
/// between them is skipped. That is how xapi sends them, and how any VHD is whose tables come first. Memory is taken for
/// one stretch of at most 1 MiB and 8 bytes per block.
///
/// ```
/// use vhd_mbr::vhd::{VhdStream, Writer};
///
/// let mut image = vec![0; 8 << 20];
/// image[5 << 20] = 7;
/// let body = Writer::dynamic(&image).plan()?.into_reader(); // or a download
///
/// let mut stream = VhdStream::open(body)?;
/// assert_eq!(stream.footer().current_size, 8 << 20);
/// let mut disk = vec![0; 8 << 20];
/// while let Some(run) = stream.next_run()? {
///     let start = run.offset as usize;
///     disk[start..start + run.data.len()].copy_from_slice(run.data);
/// }
/// assert_eq!(disk, image);
/// # Ok::<(), vhd_mbr::vhd::Error>(())
/// ```
#[derive(Debug)]
pub struct VhdStream<R> {
    source: Forward<R>,
    footer: Footer,
    header: Header,
    /// The sector and number of each block that is still to come, the next one last.
    blocks: Vec<(u32, u32)>,
    /// The block at which the stream stands.
    current: Option<Current>,
    buffer: Vec<u8>,
    over: bool,
}

#[derive(Debug)]
struct Current {
    block: u32,
    bitmap: Bitmap,
    /// Up to which sector of the block the stream was read.
    sector: u64,
}

/// A stretch of the disk that a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRun<'a> {
    /// Where on the disk it is.
    pub offset: u64,
    /// Its bytes.
    pub data: &'a [u8],
}

/// An [`Error`] travels inside of the [`io::Error`].
impl<R: Read> xen_disk::Forward for VhdStream<R> {
    fn next_run(&mut self) -> io::Result<Option<Run<'_>>> {
        let run = self.next_run().map_err(io::Error::other)?;
        Ok(run.map(|run| Run::Data {
            offset: run.offset,
            data: run.data,
        }))
    }
}

impl<R: Read> VhdStream<R> {
    /// Reads the tables at the start of a VHD.
    ///
    /// # Errors
    /// Where the source fails or ends, or what it gives is no VHD that can be read as a stream.
    pub fn open(source: R) -> Result<Self, Error> {
        let mut source = Forward { source, position: 0 };
        let mut sector = [0; Footer::LEN];
        source.fill(&mut sector, Part::FooterCopy)?;
        let footer = Footer::parse(&sector).map_err(Error::NotStreamable)?;
        if footer.kind == Kind::Fixed {
            return Err(Error::NotStreamable(Problem::Kind(2)));
        }
        source.skip_to(footer.data_offset, Part::Header)?;
        let mut bytes = [0; Header::LEN];
        source.fill(&mut bytes, Part::Header)?;
        let damaged = |part, offset| move |problem| Error::Damaged { part, offset, problem };
        let header = Header::parse(&bytes).map_err(damaged(Part::Header, footer.data_offset))?;
        let entries = header
            .blocks(&footer)
            .map_err(damaged(Part::BlockTable, header.table_offset))?;
        source.skip_to(header.table_offset, Part::BlockTable)?;
        let blocks = read_table(&mut source, entries)?;
        Ok(Self {
            source,
            footer,
            header,
            blocks,
            current: None,
            buffer: Vec::new(),
            over: false,
        })
    }

    /// What the VHD says of itself.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many bytes of the source were read.
    pub fn position(&self) -> u64 {
        self.source.position
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source.source
    }

    /// The next stretch of data, in the order of the stream; `None` once the end of the stream has been read, and the
    /// footer there says that it is whole.
    ///
    /// # Errors
    /// Where the source fails or ends too early, or a block lies before what was read.
    pub fn next_run(&mut self) -> Result<Option<StreamRun<'_>>, Error> {
        let block_size = u64::from(self.header.block_size);
        loop {
            let Some(current) = &mut self.current else {
                if self.next_block()? {
                    continue;
                }
                self.finish()?;
                return Ok(None);
            };
            let start = u64::from(current.block) * block_size;
            let sectors = block_size / 512;
            let batch = sectors.min(current.sector + BATCH / 512);
            if current.sector >= sectors {
                self.current = None;
                continue;
            }
            let first = current.sector;
            let is_set = current.bitmap.is_set(first);
            let limit = if is_set { batch } else { sectors };
            current.sector = current.bitmap.run_end(first, limit);
            let (offset, len) = (start + first * 512, (current.sector - first) * 512);
            let part = Part::Block(current.block);
            if !is_set {
                self.source.skip(len, part)?;
                continue;
            }
            self.buffer.resize(len as usize, 0);
            self.source.fill(&mut self.buffer, part)?;
            // The last block may be larger than what is left of the disk.
            let inside = self.footer.current_size.saturating_sub(offset).min(len) as usize;
            if inside > 0 {
                let data = &self.buffer[..inside];
                return Ok(Some(StreamRun { offset, data }));
            }
        }
    }

    /// Goes to the next block; `false` where there is none.
    fn next_block(&mut self) -> Result<bool, Error> {
        let Some((place, block)) = self.blocks.pop() else {
            return Ok(false);
        };
        let part = Part::Block(block);
        self.source.skip_to(u64::from(place) * 512, part)?;
        let mut bitmap = vec![0; self.header.bitmap_len() as usize];
        self.source.fill(&mut bitmap, part)?;
        self.current = Some(Current {
            block,
            bitmap: Bitmap::from_file(bitmap, self.footer.has_old_bit_order()),
            sector: 0,
        });
        Ok(true)
    }

    /// Reads the footer at the end.
    fn finish(&mut self) -> Result<(), Error> {
        if self.over {
            return Ok(());
        }
        let tail = self.source.tail(&mut self.buffer)?;
        let offset = self.source.position - tail.len() as u64;
        let footer = match Footer::parse(tail) {
            Err(Problem::Cookie { .. }) if tail.len() == Footer::LEN => Footer::parse(&tail[1..]),
            other => other,
        };
        match footer {
            Ok(_) => {
                self.over = true;
                Ok(())
            }
            Err(Problem::Missing | Problem::Cookie { .. }) => Err(Error::Truncated {
                position: self.source.position,
                part: Part::Footer,
            }),
            Err(problem) => Err(Error::Damaged {
                part: Part::Footer,
                offset,
                problem,
            }),
        }
    }

    /// Writes the disk as a raw image with holes, and gives its size. `target` must be empty, or zero wherever the disk
    /// is.
    ///
    /// # Errors
    /// [`Error::NeedsBase`] for a differencing disk, which [`apply_to`](Self::apply_to) takes. Else as
    /// [`next_run`](Self::next_run), and where writing fails.
    pub fn copy_to(&mut self, target: &mut (impl Write + Seek)) -> Result<u64, Error> {
        if self.footer.kind == Kind::Differencing {
            return Err(Error::NeedsBase {
                parent: self.header.parent_id,
            });
        }
        let mut image = Sparse::new(target);
        while let Some(run) = self.next_run()? {
            image.put(run.offset, run.data)?;
        }
        let size = self.footer.current_size;
        image.finish(size)?;
        Ok(size)
    }

    /// Writes what the stream holds onto `base`, which is what a difference must be applied to, and gives the number of
    /// bytes written.
    ///
    /// # Errors
    /// [`Error::TargetTooSmall`] where `base` ends before the disk does, before anything is written. Else as
    /// [`next_run`](Self::next_run), and where writing fails; `base` is then half changed.
    pub fn apply_to(&mut self, base: &mut (impl WriteAt + ?Sized)) -> Result<u64, Error> {
        fits(self.footer.current_size, base)?;
        let mut written = 0;
        while let Some(run) = self.next_run()? {
            let put = base.write_all_at(run.offset, run.data);
            put.map_err(|source| Error::Write {
                offset: run.offset,
                source,
            })?;
            written += run.data.len() as u64;
        }
        let size = self.footer.current_size;
        base.flush().map_err(|source| Error::Write { offset: size, source })?;
        Ok(written)
    }
}

/// The blocks that a table places, the first in the stream last.
fn read_table(source: &mut Forward<impl Read>, entries: u32) -> Result<Vec<(u32, u32)>, Error> {
    let mut blocks = Vec::new();
    let mut entry = 0;
    let mut piece = vec![0; SKIP.min(entries as usize * 4)];
    while entry < entries {
        let len = piece.len().min((entries - entry) as usize * 4);
        source.fill(&mut piece[..len], Part::BlockTable)?;
        for place in piece[..len].chunks_exact(4).map(|place| u32_at(place, 0)) {
            if place != UNUSED {
                blocks.push((place, entry));
            }
            entry += 1;
        }
    }
    blocks.sort_unstable_by(|one, two| two.cmp(one));
    Ok(blocks)
}

/// A source that cannot go back.
#[derive(Debug)]
struct Forward<R> {
    source: R,
    position: u64,
}

impl<R: Read> Forward<R> {
    /// Reads on; 0 bytes where the source is over.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.source.read(buf) {
                Ok(n) => {
                    self.position += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Read {
                        offset: self.position,
                        len: buf.len() as u64,
                        source,
                    });
                }
            }
        }
    }

    fn fill(&mut self, mut buf: &mut [u8], part: Part) -> Result<(), Error> {
        while !buf.is_empty() {
            let n = self.read(buf)?;
            if n == 0 {
                let position = self.position;
                return Err(Error::Truncated { position, part });
            }
            buf = &mut buf[n..];
        }
        Ok(())
    }

    fn skip(&mut self, len: u64, part: Part) -> Result<(), Error> {
        let mut scratch = vec![0; len.min(SKIP as u64) as usize];
        let mut left = len;
        while left > 0 {
            let n = left.min(SKIP as u64);
            self.fill(&mut scratch[..n as usize], part)?;
            left -= n;
        }
        Ok(())
    }

    /// Skips what lies in front of a part.
    fn skip_to(&mut self, offset: u64, part: Part) -> Result<(), Error> {
        let position = self.position;
        let gap = offset.checked_sub(position);
        let gap = gap.ok_or(Error::Backwards { part, offset, position })?;
        self.skip(gap, part)
    }

    /// Reads to the end and gives the last sector, less where there is less.
    fn tail<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], Error> {
        buffer.resize(SKIP + Footer::LEN, 0);
        let mut kept = 0;
        loop {
            let n = self.read(&mut buffer[kept..kept + SKIP])?;
            if n == 0 {
                return Ok(&buffer[..kept]);
            }
            let end = kept + n;
            let start = end.saturating_sub(Footer::LEN);
            buffer.copy_within(start..end, 0);
            kept = end - start;
        }
    }
}

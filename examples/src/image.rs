//! Disk images in whatever format they are.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use vhd_mbr::qcow2::{self, Qcow2};
use vhd_mbr::vhd::{Chain, Kind, Vhd, Writer, copy_to_raw};
use vhd_mbr::xen_disk::ReadAt;
use xva::Archive;

use crate::Meter;

/// The format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImageFormat {
    /// The disk's bytes and nothing else; with holes where they are zero.
    Raw,
    /// VHD: fixed, dynamic or a chain of differences.
    Vhd,
    /// qcow2, with its backing files.
    Qcow2,
}

impl ImageFormat {
    /// The format that a file's name stands for.
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match &*extension {
            "raw" | "img" => Some(Self::Raw),
            "vhd" | "vpc" => Some(Self::Vhd),
            "qcow2" => Some(Self::Qcow2),
            _ => None,
        }
    }

    /// The format of a file, by what stands at its start and its end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of_file(file: &File) -> io::Result<Self> {
        let size = ReadAt::size(file)?;
        let is_there = |offset: Option<u64>, magic: &[u8]| -> io::Result<bool> {
            let Some(offset) = offset.filter(|offset| offset + magic.len() as u64 <= size) else {
                return Ok(false);
            };
            let mut found = vec![0; magic.len()];
            ReadAt::read_exact_at(file, offset, &mut found)?;
            Ok(found == magic)
        };
        Ok(if is_there(Some(0), b"QFI\xfb")? {
            Self::Qcow2
        } else if is_there(size.checked_sub(512), b"conectix")? || is_there(Some(0), b"conectix")? {
            Self::Vhd
        } else {
            Self::Raw
        })
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Vhd => "VHD",
            Self::Qcow2 => "qcow2",
        })
    }
}

/// A disk of any origin.
pub type AnyDisk = Box<dyn ReadAt + Send + Sync>;

/// An opened image.
pub struct Image {
    /// Its format.
    pub format: ImageFormat,
    /// The disk in it.
    pub disk: AnyDisk,
}

impl Image {
    /// Opens an image with all that it is built on. Its format is the one that is said, else that of its name, else the
    /// one that its content shows.
    ///
    /// What a guest writes to a raw disk can look like an image that is built on any file of this machine. So an image
    /// whose format was not said, and is not told by its name, is opened only where it stands alone.
    ///
    /// # Errors
    /// Where it cannot be read, what it is built on is not there, or its format has to be said.
    pub fn open(path: &Path, format: Option<ImageFormat>) -> anyhow::Result<Self> {
        let cannot = || format!("cannot open {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let said = format.or_else(|| ImageFormat::of_name(path));
        let format = match said {
            Some(format) => format,
            None => ImageFormat::of_file(&file).with_context(cannot)?,
        };
        ensure!(
            said.is_some() || !is_built_on_another(&file, format).with_context(cannot)?,
            "{} looks like {format} that is built on another file, as anybody can make a disk look who may write to it: \
             say --image-format {} if that is what it is, or --image-format raw",
            path.display(),
            format.to_string().to_lowercase()
        );
        let disk: AnyDisk = match format {
            ImageFormat::Raw => {
                ensure!(
                    Archive::open(&file).is_err(),
                    "{} is an archive of VMs: xva-tool takes its disks out",
                    path.display()
                );
                ensure!(
                    said.is_some() || !is_compressed(&file).with_context(cannot)?,
                    "{} is compressed: xva-tool reads compressed archives, and --image-format raw takes it as it is",
                    path.display()
                );
                Box::new(file)
            }
            ImageFormat::Vhd => Box::new(Chain::open(path)?),
            ImageFormat::Qcow2 => Box::new(Qcow2::open(path)?),
        };
        Ok(Self { format, disk })
    }

    /// Opens VHDs of differences on what they are built on, the nearest first, whatever ids these have: exports of a
    /// pool name ids that no exported file has.
    ///
    /// # Errors
    /// Where one cannot be read, or all but the last are no differences.
    pub fn open_on(path: &Path, below: &[PathBuf]) -> anyhow::Result<Self> {
        let Some((base, between)) = below.split_last() else {
            return Self::open(path, None);
        };
        let mut disk = Self::open(base, None)?.disk;
        for file in between.iter().map(PathBuf::as_path).rev().chain([path]) {
            let cannot = || format!("cannot open {}", file.display());
            let vhd = Vhd::open(File::open(file).with_context(cannot)?).with_context(cannot)?;
            ensure!(
                vhd.footer().kind == Kind::Differencing,
                "{} holds no differences: it is built on nothing",
                file.display()
            );
            disk = Box::new(vhd.with_parent(disk));
        }
        let format = ImageFormat::Vhd;
        Ok(Self { format, disk })
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Whether an image names other files that its content comes from.
fn is_built_on_another(file: &File, format: ImageFormat) -> io::Result<bool> {
    let mut head = [0; 104];
    let size = ReadAt::size(file)?.min(head.len() as u64) as usize;
    ReadAt::read_exact_at(file, 0, &mut head[..size])?;
    Ok(match format {
        ImageFormat::Raw => false,
        // A file that cannot be opened is told of later.
        ImageFormat::Vhd => Vhd::open(file).is_ok_and(|vhd| vhd.footer().kind == Kind::Differencing),
        // The name of a backing file, and the bit for data in a file of its own.
        ImageFormat::Qcow2 => head[8..16] != [0; 8] || head[79] & 4 != 0,
    })
}

/// Whether a file starts as those of gzip and zstd do.
fn is_compressed(file: &File) -> io::Result<bool> {
    let mut start = [0; 4];
    if ReadAt::size(file)? < start.len() as u64 {
        return Ok(false);
    }
    ReadAt::read_exact_at(file, 0, &mut start)?;
    Ok(start.starts_with(&[0x1f, 0x8b, 8]) || start == [0x28, 0xb5, 0x2f, 0xfd])
}

/// Writes a disk as a new image. One that could not be completed is taken away again.
///
/// # Errors
/// Where there is a file of that name, the disk cannot be read or the image not be written.
pub fn write_image(disk: &dyn ReadAt, path: &Path, format: ImageFormat, meter: &Meter) -> anyhow::Result<()> {
    let measured = Measured { disk, meter };
    let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
    let written = write(&measured, path, file, format);
    if written.is_err() {
        // Half an image is of no use to anybody.
        let _ = std::fs::remove_file(path);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn write(disk: &Measured<'_>, path: &Path, mut file: File, format: ImageFormat) -> anyhow::Result<()> {
    match format {
        ImageFormat::Raw => {
            let size = copy_to_raw(disk, &mut file)?;
            file.set_len(size)?;
        }
        ImageFormat::Vhd => {
            let plan = Writer::dynamic(disk).plan()?;
            plan.write_with_holes(&mut file)?;
        }
        ImageFormat::Qcow2 => {
            // The writer makes the file itself.
            std::fs::remove_file(path)?;
            qcow2::write(disk, path)?;
            file = File::open(path)?;
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file.sync_all()?)
}

/// Tells a meter how far a disk was read.
struct Measured<'a> {
    disk: &'a dyn ReadAt,
    meter: &'a Meter,
}

impl ReadAt for Measured<'_> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_exact_at(offset, buf)?;
        self.meter.set(offset + buf.len() as u64);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.next_data(from)
    }
}

//! A disk of an archive as an image in another format.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use vhd_mbr::Size;
use xenapi_examples::{AnyDisk, ImageFormat, Meter, Total, note, write_image};
use xva::{Archive, ReadAt, Reader, StreamedDisk};

use crate::choice::Choice;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, plain or compressed; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The image to make, such as web.vhd; it must not be there yet
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// The image's format; otherwise its name tells
    #[arg(long, value_enum)]
    format: Option<ImageFormat>,
}

/// Reads a plain archive where its data is; a compressed one, and standard input, from the start, beside a sparse
/// temporary file.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    ensure!(
        flags.image.extension().is_none_or(|extension| extension != "xva"),
        "`xva-tool pack` makes archives, of images in any format"
    );
    let format = flags.format.or_else(|| ImageFormat::of_name(&flags.image));
    let format = format.context("the image's name ends in none of .raw, .img, .vhd and .qcow2: say --format")?;
    let disk = open(flags)?;
    let size = disk.size()?;
    let meter = Meter::new(Total::Known(size));
    write_image(&*disk, &flags.image, format, &meter)?;
    drop(meter);
    let length = std::fs::metadata(&flags.image)?.len();
    note(format!("a disk of {} as {format}, {} long", Size(size), Size(length)));
    Ok(())
}

fn open(flags: &Flags) -> anyhow::Result<AnyDisk> {
    let mut reader = Reader::new(crate::stream(&flags.file)?);
    let ova = reader.ova()?.context("the archive has no metadata")?.clone();
    let folder = flags.choice.folder(&ova)?;
    if reader.compression().is_none() && flags.file != Path::new("-") {
        let archive = Archive::open(crate::open(&flags.file)?)?;
        return Ok(Box::new(archive.disk(&folder)?));
    }
    let beside = flags.image.parent().filter(|folder| !folder.as_os_str().is_empty());
    let spool = tempfile::tempfile_in(beside.unwrap_or(".".as_ref()))?;
    Ok(Box::new(StreamedDisk::open(reader, Some(&folder), spool)?))
}

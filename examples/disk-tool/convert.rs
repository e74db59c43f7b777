//! An image in another format.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use vhd_mbr::Size;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::{Image, ImageFormat, Meter, Total, note, write_image};

#[derive(Args)]
pub(crate) struct Flags {
    /// The image, with all that it is built on
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Its format, where its name does not tell
    #[arg(long, value_name = "FORMAT")]
    image_format: Option<ImageFormat>,
    /// For a VHD of differences: what it is built on, the nearest first, whatever its id; an export of a pool needs it
    #[arg(long, value_name = "IMAGE", conflicts_with = "image_format")]
    on: Vec<PathBuf>,
    /// The image to make; it must not be there yet
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The new image's format; otherwise its name tells
    #[arg(long, value_enum)]
    format: Option<ImageFormat>,
    /// Only say what would be made
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let format = flags.format.or_else(|| ImageFormat::of_name(&flags.new));
    let format = format.context("the new image's name ends in none of .raw, .img, .vhd and .qcow2: say --format")?;
    let image = match flags.on.is_empty() {
        true => Image::open(&flags.image, flags.image_format)?,
        false => Image::open_on(&flags.image, &flags.on)?,
    };
    let size = image.disk.size()?;
    if flags.dry_run {
        note(format!(
            "would make a disk of {} as {format} of {}",
            Size(size),
            image.format
        ));
        return Ok(());
    }
    let meter = Meter::new(Total::Known(size));
    write_image(&image.disk, &flags.new, format, &meter)?;
    drop(meter);
    let length = flags.new.metadata()?.len();
    note(format!("a disk of {} as {format}, {} long", Size(size), Size(length)));
    Ok(())
}

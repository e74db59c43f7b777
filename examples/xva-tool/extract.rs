//! Disks as raw images.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use xenapi_examples::{Meter, Printable, note};
use xva::{Options, Reader, Verify};

use crate::choice;
use crate::measured::Measured;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, plain or compressed; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder for the images, which are called like the disks' folders: Ref-12.raw
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    to: PathBuf,
    /// Only this disk: its position in the VM (0, 1, …) or its folder in the archive (Ref:12)
    #[arg(long, value_name = "DISK")]
    disk: Option<String>,
    /// Replace images that are there
    #[arg(long)]
    overwrite: bool,
    /// Keep blocks that differ from their checksums, and count them
    #[arg(long)]
    keep_damaged: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Flags {
    /// What helps where an image is there already.
    fn hint(&self, image: &Path) -> &'static str {
        match !self.overwrite && image.exists() {
            true => "; --overwrite replaces what is there",
            false => "",
        }
    }
}

/// Reads the archive once, verifies all of it, and writes what was asked for.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    crate::make_folder(&flags.to)?;
    let source = crate::stream(&flags.file)?;
    let meter = Meter::new(crate::total(&flags.file));
    let verify = if flags.keep_damaged {
        Verify::Report
    } else {
        Verify::Strict
    };
    let measured = Measured::new(source, meter.clone());
    let mut archive = Reader::with_options(measured, Options::new().verify(verify));
    let wanted = match (&flags.disk, archive.ova()?) {
        (Some(disk), Some(ova)) => Some(choice::folder(ova, disk)?),
        (disk, _) => disk.clone(),
    };
    let mut made = Vec::new();
    while let Some(mut disk) = archive.next_disk()? {
        if wanted.as_ref().is_some_and(|wanted| *wanted != disk.id()) {
            continue;
        }
        let path = flags.to.join(image_name(disk.id()));
        let mut image = File::options()
            .write(true)
            .create(flags.overwrite)
            .create_new(!flags.overwrite)
            .truncate(flags.overwrite)
            .open(&path)
            .with_context(|| format!("cannot create {}{}", path.display(), flags.hint(&path)))?;
        match disk.copy_to(&mut image) {
            Ok(size) => made.push((path, size)),
            Err(error) => {
                // Half an image is of no use to anybody; `salvage` is for what is left of an archive.
                let _ = std::fs::remove_file(&path);
                return Err(error.into());
            }
        }
    }
    let summary = archive.finish()?.clone();
    let read = meter.summary(archive.bytes_read());
    drop((archive, meter));
    ensure!(!made.is_empty(), "the archive has no such disk");
    let mut out = io::stdout().lock();
    if flags.json {
        let image = |(path, size): &(PathBuf, u64)| json!({ "image": path, "virtual_size": size });
        let images: Vec<_> = made.iter().map(image).collect();
        let document = json!({ "images": images, "verified": summary.verified, "damaged": summary.damaged });
        writeln!(out, "{document:#}")?;
    } else {
        for (path, size) in made {
            writeln!(out, "{:>10}  {}", Size(size), Printable(&path.display().to_string()))?;
        }
    }
    note(format!(
        "{} blocks verified, {} damaged, {read}",
        summary.verified, summary.damaged
    ));
    Ok(())
}

/// What the image of a disk is called. The folder's name comes from the archive: only letters and digits of it may
/// become a path.
pub(crate) fn image_name(folder: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{}.raw", folder.chars().map(plain).collect::<String>())
}

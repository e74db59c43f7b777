//! Images that are changed in place.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use vhd_mbr::vhd::{Kind, Vhd};
use vhd_mbr::xen_disk::WriteAt;
use xenapi_examples::ImageFormat;

/// The disk in an image, to be changed in place.
pub(crate) fn writable(path: &Path, format: Option<ImageFormat>) -> anyhow::Result<Box<dyn WriteAt>> {
    let file = File::options().read(true).write(true).open(path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    let format = match format.or_else(|| ImageFormat::of_name(path)) {
        Some(format) => format,
        None => ImageFormat::of_file(&file)?,
    };
    match format {
        ImageFormat::Raw => Ok(Box::new(file)),
        ImageFormat::Vhd => {
            let vhd = Vhd::open(file)?;
            ensure!(
                vhd.footer().kind != Kind::Differencing,
                "{} holds differences only: make one image of the chain with disk-tool convert first",
                path.display()
            );
            Ok(Box::new(vhd))
        }
        ImageFormat::Qcow2 => bail!(
            "{} is qcow2, which is not changed in place: make another image of it with disk-tool convert first",
            path.display()
        ),
    }
}

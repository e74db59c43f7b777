//! Images that are changed in place.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use vhd_mbr::Guid;
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
            ensure_no_children(path, vhd.footer().id)?;
            // A file's zeros may be in no block of the image.
            Ok(Box::new(vhd.allocating()?))
        }
        ImageFormat::Qcow2 => bail!(
            "{} is qcow2, which is not changed in place: make another image of it with disk-tool convert first",
            path.display()
        ),
    }
}

/// Makes sure that no VHD beside it, as far as it can be read, holds differences from this one: such a disk would change
/// with it, and no longer fit together.
fn ensure_no_children(path: &Path, id: Guid) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?
    {
        let beside = entry?.path();
        let is_vhd = |name: &OsStr| ["vhd", "avhd"].iter().any(|known| name.eq_ignore_ascii_case(known));
        if !beside.extension().is_some_and(is_vhd) || !beside.is_file() {
            continue;
        }
        let opened = File::open(&beside).ok().and_then(|file| Vhd::open(file).ok());
        let is_child = opened.is_some_and(|vhd| vhd.footer().kind == Kind::Differencing && vhd.parent_id() == id);
        ensure!(
            !is_child,
            "{} is built on {}: a change of the one would damage the other",
            beside.display(),
            path.display()
        );
    }
    Ok(())
}

//! What is on the disks: described where that is possible, else in files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xenapi::{ToValue, Value};

use super::InventoryError;
use crate::disk_image::{DiskImage, Origin};
use crate::sample_disks::{Kind, SampleDisks};
use crate::state::State;

/// An image and the UUID of its VDI.
pub(super) type Image = (String, Arc<DiskImage>);

/// The images of all disks, by the VDI's reference.
pub(super) fn all(state: &State) -> BTreeMap<String, Image> {
    let images = state.images.iter().map(|(vdi, image)| {
        let uuid = state.uuid("VDI", vdi);
        (vdi.clone(), (uuid, Arc::clone(image)))
    });
    images.collect()
}

/// Describes the images; those that cannot be had again are written to a folder beside the inventory.
pub(super) fn save(images: &BTreeMap<String, Image>, inventory: &Path) -> Result<Vec<(String, Value)>, InventoryError> {
    let described = images.iter().map(|(vdi, (uuid, image))| {
        let members = match image.origin() {
            Some(Origin::Sample { kind, seed }) => vec![
                ("sample".to_owned(), kind.name().to_value()),
                ("seed".to_owned(), Value::Int(seed.cast_signed())),
                ("size".to_owned(), Value::Int(image.size().cast_signed())),
            ],
            Some(Origin::File(path)) => vec![("file".to_owned(), near(path, inventory).to_string_lossy().to_value())],
            None => vec![("file".to_owned(), write(image, uuid, inventory)?.to_value())],
        };
        Ok((vdi.clone(), Value::Struct(members)))
    });
    described.collect()
}

/// The path of a file from the folder of the inventory where it is inside, so that the folder can be moved.
fn near(path: &Path, inventory: &Path) -> PathBuf {
    let folder = std::path::absolute(inventory).ok();
    let inside = folder
        .as_deref()
        .and_then(Path::parent)
        .map(|folder| path.strip_prefix(folder));
    inside.and_then(Result::ok).unwrap_or(path).to_owned()
}

/// Writes an image; answers with the file's path from the inventory's folder.
fn write(image: &DiskImage, uuid: &str, inventory: &Path) -> Result<String, InventoryError> {
    let folder = inventory.with_extension("disks");
    let path = folder.join(format!("{uuid}.raw"));
    let written = fs::create_dir_all(&folder).and_then(|()| {
        // A pool that was loaded from this very file goes on reading it.
        let partial = folder.join(format!("{uuid}.raw.partial"));
        image.write_raw(&mut File::create(&partial)?)?;
        fs::rename(&partial, &path)
    });
    written.map_err(|source| InventoryError::Write {
        path: path.clone(),
        source,
    })?;
    let name = folder.file_name().unwrap_or_default();
    Ok(Path::new(name)
        .join(format!("{uuid}.raw"))
        .to_string_lossy()
        .into_owned())
}

/// Makes the images again.
#[derive(Debug)]
pub(super) struct Loader<'a> {
    inventory: &'a Path,
    samples: SampleDisks,
}

impl<'a> Loader<'a> {
    pub(super) fn new(inventory: &'a Path) -> Self {
        Self {
            inventory,
            samples: SampleDisks::default(),
        }
    }

    /// The image that a description stands for; the error says what is wrong with the description.
    pub(super) fn image(&mut self, described: &Value) -> Result<Result<DiskImage, &'static str>, InventoryError> {
        let text = |name: &str| described.get(name).and_then(Value::as_str);
        let number = |name: &str| described.get(name).and_then(Value::as_int);
        if let Some(file) = text("file") {
            let path = self.inventory.parent().unwrap_or(Path::new("")).join(file);
            return self.open(path).map(Ok);
        }
        let Some(kind) = text("sample").and_then(Kind::from_name) else {
            return Ok(Err("neither \"file\" nor a known \"sample\""));
        };
        let size = number("size").and_then(|size| u64::try_from(size).ok());
        let Some(size) = size.filter(|size| (kind.least_size()..=1 << 46).contains(size)) else {
            return Ok(Err("no \"size\" that a sample of this kind can have"));
        };
        let seed = number("seed").unwrap_or_default().cast_unsigned();
        Ok(Ok(self.samples.take(kind, size, seed)))
    }

    fn open(&self, path: PathBuf) -> Result<DiskImage, InventoryError> {
        DiskImage::from_file(&path).map_err(|source| InventoryError::Read { path, source })
    }
}

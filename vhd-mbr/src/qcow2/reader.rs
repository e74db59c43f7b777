use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use imago::file::File;
use imago::{FormatAccess, FormatDriverBuilder, Mapping};
use xen_disk::ReadAt;

use super::Error;
use super::gate::Gate;
use super::header;

/// An opened qcow2 image, with its backing files.
pub struct Qcow2 {
    image: FormatAccess<File>,
}

/// How an image is opened.
///
/// An image can name any file as the one that it is built on. Only files in the folder of the image are opened, and in
/// those that are named here.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    folders: Vec<PathBuf>,
}

impl OpenOptions {
    /// The usual way: the files that belong together are in one folder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the image name files in this folder too.
    pub fn allow_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Opens an image for reading.
    ///
    /// # Errors
    /// Where it cannot be read or is no qcow2 image, or names a file elsewhere.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Qcow2, Error> {
        let path = path.as_ref();
        let open = || {
            header::check(path)?;
            let gate = Gate::new(path, &self.folders)?;
            imago::qcow2::Qcow2::<File>::builder_path(path).open(gate)
        };
        let image = open().map_err(|source| Error::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Qcow2 {
            image: FormatAccess::new(image),
        })
    }
}

impl Qcow2 {
    /// Opens an image for reading, with the files in its folder that it is built on.
    ///
    /// # Errors
    /// Where it cannot be read or is no qcow2 image, or names a file elsewhere.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        OpenOptions::new().open(path)
    }
}

impl fmt::Debug for Qcow2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qcow2")
            .field("size", &self.image.size())
            .finish_non_exhaustive()
    }
}

impl ReadAt for Qcow2 {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        end.filter(|&end| end <= self.image.size())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.image.read(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.image.size())
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.image.size();
        let mut at = from;
        while at < size {
            let (mapping, len) = self.image.get_mapping(at, size - at)?;
            match mapping {
                _ if len == 0 => break,
                Mapping::Zero { .. } => at += len,
                Mapping::Eof { .. } => break,
                _ => return Ok(Some(at..at + len)),
            }
        }
        Ok(None)
    }
}

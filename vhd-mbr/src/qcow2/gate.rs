//! Decides which other files an image may name.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use imago::file::File;
use imago::format::gate::ImplicitOpenGate;
use imago::{FormatAccess, FormatDriverBuilder, Storage, StorageOpenOptions};

use super::header;

/// More than any chain of snapshots has; a chain that is a loop ends here.
const MAX_DEPTH: usize = 128;

/// Lets an image open files in some folders.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    /// Without symbolic links.
    folders: Vec<PathBuf>,
    /// How many more images may be opened below this one.
    depth: usize,
}

impl Gate {
    pub(super) fn new(image: &Path, folders: &[PathBuf]) -> io::Result<Self> {
        let own = image.canonicalize()?;
        let own = own.parent().map(Path::to_owned);
        let others = folders.iter().map(|folder| folder.canonicalize());
        Ok(Self {
            folders: own.into_iter().map(Ok).chain(others).collect::<io::Result<_>>()?,
            depth: MAX_DEPTH,
        })
    }

    fn admit(&self, path: Option<&Path>) -> io::Result<()> {
        let refused = |reason: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        let Some(path) = path else {
            return refused("the image names something that is no file".to_owned());
        };
        let real = path.canonicalize()?;
        if !self.folders.iter().any(|folder| real.starts_with(folder)) {
            return refused(format!(
                "the image is built on {}, which is in none of the folders that may be looked into",
                path.display()
            ));
        }
        let kind = fs::metadata(&real)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return refused(format!("the image is built on {}, which is no file", path.display()));
        }
        header::check(&real)
    }
}

impl ImplicitOpenGate<File> for Gate {
    fn open_format<F: FormatDriverBuilder<File>>(&mut self, builder: F) -> io::Result<FormatAccess<File>> {
        self.admit(builder.get_image_path().as_deref())?;
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| io::Error::other(format!("more than {MAX_DEPTH} images, one on the other")))?;
        let gate = Self { depth, ..self.clone() };
        Ok(FormatAccess::new(builder.open(gate)?))
    }

    fn open_storage(&mut self, builder: StorageOpenOptions) -> io::Result<File> {
        self.admit(builder.get_filename())?;
        File::open(builder)
    }
}

//! From the datamodel's folder to the text of the Rust files.

use std::io;
use std::path::{Path, PathBuf};

use crate::docs::{Docs, DocsError};
use crate::emit;
use crate::format::{FormatError, format};
use crate::store::{self, StoreError};

/// Why nothing could be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The datamodel.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sentences about it.
    #[error(transparent)]
    Docs(#[from] DocsError),
    /// The formatting.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A folder to format in.
    #[error("no temporary folder: {0}")]
    Folder(#[from] io::Error),
}

/// The files with their paths from `package`, the folder of the crate `xenapi`, as they should be.
///
/// # Errors
/// Where the datamodel or its sentences are not what they should be, or rustfmt fails.
pub fn files(package: &Path) -> Result<Vec<(PathBuf, String)>, GenerateError> {
    let datamodel = package.join("datamodel");
    let model = store::load(&datamodel)?;
    let docs = Docs::load(&datamodel.join("docs"), &model)?;
    let folder = tempfile::tempdir()?;
    Ok(format(
        &emit::files(&model, &docs),
        &package.join("../rustfmt.toml"),
        folder.path(),
    )?)
}

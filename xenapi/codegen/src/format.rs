//! Formats what was written, with the workspace's own settings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why the files could not be formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A file could not be written or read, or there is no rustfmt.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// rustfmt does not take the files.
    #[error("rustfmt failed: {0}")]
    Refused(String),
}

/// Whether rustfmt is there.
pub fn is_available() -> bool {
    Command::new("rustfmt")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Formats files by running rustfmt once over copies of them in an empty folder.
///
/// # Errors
/// Where the folder cannot be written, or rustfmt is missing or fails.
pub fn format(
    files: &[(PathBuf, String)],
    settings: &Path,
    folder: &Path,
) -> Result<Vec<(PathBuf, String)>, FormatError> {
    let io = |what: &Path| {
        let what = what.display().to_string();
        move |source| FormatError::Io { what, source }
    };
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(io(parent))?;
        fs::write(&path, text).map_err(io(&path))?;
    }
    let output = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(settings)
        .args(files.iter().map(|(path, _)| folder.join(path)))
        .output()
        .map_err(io(Path::new("rustfmt")))?;
    if !output.status.success() {
        return Err(FormatError::Refused(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    let read = |(path, _): &(PathBuf, String)| {
        let full = folder.join(path);
        Ok((path.clone(), fs::read_to_string(&full).map_err(io(&full))?))
    };
    files.iter().map(read).collect()
}

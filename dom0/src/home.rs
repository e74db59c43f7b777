use std::path::PathBuf;

/// A file among the user's own of SSH; relative where no home is known.
pub(crate) fn ssh_file(name: &str) -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(".ssh").join(name)
}

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serial_link_protocol::{Secret, SecretTooShort};

/// More than any secret has.
const MOST: u64 = 4096;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretFileError {
    #[error("cannot read the secret in {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("others than its owner may read or change {}: run `chmod 600 {}`, and change the secret", path.display(), path.display())]
    #[cfg(unix)]
    Open { path: PathBuf },
    #[error("{}: {error}", path.display())]
    Short { path: PathBuf, error: SecretTooShort },
}

/// Reads a secret that nobody else can.
pub(crate) fn read(path: &Path) -> Result<Secret, SecretFileError> {
    let unreadable = |error| SecretFileError::Read {
        path: path.into(),
        error,
    };
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Of what was opened, not of what has the name by now.
        if file.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
            return Err(SecretFileError::Open { path: path.into() });
        }
    }
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(unreadable)?;
    Secret::new(bytes).map_err(|error| SecretFileError::Short {
        path: path.into(),
        error,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with(content: &str, mode: u32) -> Result<Secret, SecretFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        assert!(with("0123456789abcdef\n", 0o600).is_ok());
        assert!(with("0123456789abcdef\n", 0o400).is_ok());
        let error = with("0123456789abcdef\n", 0o640).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        assert!(matches!(with("short\n", 0o600), Err(SecretFileError::Short { .. })));
    }
}

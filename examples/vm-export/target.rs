//! Where an archive goes.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, Stdout};

/// Where an archive is to go, before anything is written.
pub(crate) enum Place {
    Stdout,
    File { path: PathBuf, keep_part: bool },
}

impl Place {
    /// Refuses a file that is there, unless it may be replaced: before the server has begun to work.
    pub(crate) fn new(path: &Path, overwrite: bool, keep_part: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        ensure!(path.file_name().is_some(), "{} is no name for a file", path.display());
        ensure!(
            overwrite || !path.exists(),
            "{} is there already; --overwrite replaces it",
            path.display()
        );
        let path = path.to_owned();
        Ok(Self::File { path, keep_part })
    }

    pub(crate) async fn open(self) -> anyhow::Result<Target> {
        let (path, keep) = match self {
            Self::Stdout => return Ok(Target::Stdout(tokio::io::stdout())),
            Self::File { path, keep_part } => (path, keep_part),
        };
        let mut name = path.clone().into_os_string();
        name.push(".part");
        let part = PathBuf::from(name);
        let file = File::create(&part)
            .await
            .with_context(|| format!("cannot write {}", part.display()))?;
        Ok(Target::File {
            file,
            part: Part { path: part, keep },
            path,
        })
    }
}

/// An archive that is being written.
pub(crate) enum Target {
    Stdout(Stdout),
    File { file: File, part: Part, path: PathBuf },
}

/// The file that has no right to its name yet. It goes away unless it is to be kept.
pub(crate) struct Part {
    path: PathBuf,
    keep: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.keep {
            // It may have its name by now, or somebody was faster.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Target {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout(out) => out.write_all(bytes).await.map_err(unread),
            Self::File { file, part, .. } => file
                .write_all(bytes)
                .await
                .with_context(|| format!("cannot write {}", part.path.display())),
        }
    }

    /// The archive is complete: gives the file its name.
    pub(crate) async fn complete(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush().await.map_err(unread),
            Self::File { mut file, part, path } => {
                let named = async {
                    file.flush().await?;
                    file.sync_all().await?;
                    tokio::fs::rename(&part.path, &path).await
                };
                named.await.with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }

    /// The archive will not be complete. Says what is left of it.
    pub(crate) fn abandon(self, received: &str) -> String {
        let left = match &self {
            Self::File { part, .. } if part.keep => format!("{} has it", part.path.display()),
            _ => "nothing is kept of it".to_owned(),
        };
        format!("the export broke off after {received}, and {left}; it cannot be resumed, only begun anew")
    }
}

/// Unlike a list that is not read to its end, an archive that is not is worth nothing.
fn unread(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => anyhow!("whoever reads standard output closed it before the archive's end"),
        _ => anyhow!(error).context("cannot write to standard output"),
    }
}

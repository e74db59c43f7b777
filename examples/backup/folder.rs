//! Backups in a folder.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::block_in_place;
use xenapi_examples::AnyDisk;

/// How much is read at once.
const PIECE: usize = 1 << 20;

pub(crate) struct Folder {
    root: PathBuf,
}

/// A file that is being written.
pub(crate) struct NewFile {
    file: tokio::fs::File,
    path: PathBuf,
}

/// Held for as long as it lives; the system takes it from a process that ends.
pub(crate) struct FolderLock(File);

impl Folder {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// The names of the folders in a folder, in order; none where that is not there.
    pub(crate) fn folders(&self, key: &str) -> anyhow::Result<Vec<String>> {
        let folder = self.path(key);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| cannot("read", &folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    pub(crate) fn read(&self, key: &str) -> anyhow::Result<Option<String>> {
        let path = self.path(key);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => text.with_context(|| cannot("read", &path)).map(Some),
        }
    }

    pub(crate) fn write(&self, key: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(key);
        let written = || -> anyhow::Result<()> {
            let folder = parent(&path)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            // The name, too.
            Ok(File::open(folder)?.sync_all()?)
        };
        block_in_place(written).with_context(|| cannot("write", &path))
    }

    pub(crate) async fn create(&self, key: &str) -> anyhow::Result<NewFile> {
        let path = self.path(key);
        let folder = parent(&path)?;
        fs::create_dir_all(folder).with_context(|| cannot("make", folder))?;
        let file = tokio::fs::File::create(&path).await;
        Ok(NewFile {
            file: file.with_context(|| cannot("make", &path))?,
            path,
        })
    }

    pub(crate) fn open(&self, key: &str) -> anyhow::Result<AnyDisk> {
        let path = self.path(key);
        Ok(Box::new(File::open(&path).with_context(|| cannot("open", &path))?))
    }

    pub(crate) async fn each_piece(&self, key: &str, mut take: impl FnMut(&[u8]) + Send) -> anyhow::Result<()> {
        let path = self.path(key);
        let read = || -> std::io::Result<()> {
            let mut file = File::open(&path)?;
            let mut piece = vec![0; PIECE];
            loop {
                match file.read(&mut piece)? {
                    0 => return Ok(()),
                    count => take(&piece[..count]),
                }
            }
        };
        block_in_place(read).with_context(|| cannot("read", &path))
    }

    pub(crate) fn remove(&self, key: &str, first: &str) -> anyhow::Result<()> {
        let folder = self.path(key);
        let removed = || match fs::remove_file(folder.join(first)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
        };
        block_in_place(removed).with_context(|| cannot("remove", &folder))
    }

    pub(crate) fn lock(&self, key: &str) -> anyhow::Result<FolderLock> {
        let folder = self.path(key);
        fs::create_dir_all(&folder).with_context(|| cannot("make", &folder))?;
        let path = folder.join("lock");
        let file = File::create(&path).with_context(|| cannot("make", &path))?;
        file.try_lock().context("another run backs it up at the moment")?;
        Ok(FolderLock(file))
    }
}

impl NewFile {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.file.write_all(bytes).await;
        written.with_context(|| cannot("write", &self.path))
    }

    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        let finished = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        finished.await.with_context(|| cannot("write", &self.path))
    }
}

impl FolderLock {
    pub(crate) fn release(self) -> anyhow::Result<()> {
        Ok(self.0.unlock()?)
    }
}

fn parent(path: &Path) -> anyhow::Result<&Path> {
    path.parent().context("a file without a folder")
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {}", path.display())
}

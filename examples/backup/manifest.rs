//! What a backup is. It is written last: without it there is no backup.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const NAME: &str = "manifest.json";

/// What a backup is of, and what it is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// When it was taken, which is its name: `20261124T001500Z`.
    pub(crate) id: String,
    pub(crate) vm: String,
    pub(crate) name: String,
    pub(crate) cpus: i64,
    pub(crate) memory_bytes: i64,
    pub(crate) firmware: String,
    /// The snapshot on the pool that the next difference is to.
    pub(crate) snapshot: String,
    pub(crate) disks: Vec<Disk>,
}

/// A disk in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Its place in the VM.
    pub(crate) position: String,
    pub(crate) name: String,
    pub(crate) vdi: String,
    pub(crate) size_bytes: u64,
    /// The disk of the snapshot.
    pub(crate) snapshot: String,
    /// The backup that the file is a difference to; all of the disk if absent.
    pub(crate) base: Option<String>,
    pub(crate) file: String,
    pub(crate) file_bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    /// Reads it; none where there is no backup.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(NAME);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        let damaged = || format!("{} is damaged", path.display());
        let (sum, document) = text.split_once('\n').with_context(damaged)?;
        ensure!(sum == checksum(document.as_bytes()), "{}", damaged());
        serde_json::from_str(document).map(Some).with_context(damaged)
    }

    /// Writes it in one piece. Its first line is the checksum of the others.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let document = serde_json::to_string_pretty(self)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        write!(file, "{}\n{document}", checksum(document.as_bytes()))?;
        file.as_file().sync_all()?;
        file.persist(folder.join(NAME))?;
        // The name, too.
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}

pub(crate) fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What a backup is. It is written last: without it there is no backup.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What it is called in the backup's folder.
pub(crate) const NAME: &str = "manifest.json";

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
    /// The snapshot that it was taken from; the pool may have kept its disks alone.
    pub(crate) snapshot: String,
    pub(crate) disks: Vec<Disk>,
    /// Backups of earlier releases have none.
    #[serde(default)]
    pub(crate) nics: Vec<Nic>,
}

/// A NIC of the VM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Nic {
    /// Its number in the VM.
    pub(crate) device: String,
    pub(crate) mac: String,
    /// The network's UUID, and what it was called.
    pub(crate) network: String,
    pub(crate) network_name: String,
}

/// A disk in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Its place in the VM.
    pub(crate) position: String,
    pub(crate) name: String,
    pub(crate) vdi: String,
    pub(crate) size_bytes: u64,
    /// The disk of the snapshot, which the next difference is to.
    pub(crate) snapshot: String,
    /// The backup that the file is a difference to; all of the disk if absent.
    pub(crate) base: Option<String>,
    pub(crate) file: String,
    pub(crate) file_bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    /// Out of a file's text, which has to be of this backup.
    pub(crate) fn parse(text: &str, vm: &str, id: &str) -> anyhow::Result<Self> {
        let (sum, document) = text.split_once('\n').context("it has one line")?;
        ensure!(sum == checksum(document.as_bytes()), "its checksum differs");
        let manifest: Self = serde_json::from_str(document)?;
        ensure!(manifest.vm == vm && manifest.id == id, "it is of another backup");
        ensure!(
            manifest.disks.iter().all(|disk| is_plain(&disk.file)),
            "a disk's file lies elsewhere"
        );
        Ok(manifest)
    }

    /// The file's text. Its first line is the checksum of the others.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        let document = serde_json::to_string_pretty(self)?;
        Ok(format!("{}\n{document}", checksum(document.as_bytes())))
    }
}

/// Whether a name leads nowhere else.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_usual)
}

fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

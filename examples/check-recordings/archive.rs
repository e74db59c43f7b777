//! An archive: every block verified, every disk hashed and its partitions read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use vhd_mbr::PartitionTable;
use xva::{Disk, Reader, Run};

const SECTOR: usize = 512;

/// Reads the whole archive and prints its disks in the VM's order.
pub(crate) fn check(path: &Path) -> anyhow::Result<String> {
    let mut archive = Reader::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?);
    let ova = archive.ova()?.cloned().context("no ova.xml")?;
    let mut images = HashMap::new();
    while let Some(disk) = archive.next_disk()? {
        images.insert(disk.id().to_owned(), Image::read(disk)?);
    }
    let summary = archive.finish()?.clone();
    let metadata_only = images.is_empty();
    ensure!(metadata_only || summary.is_complete(), "not complete: {summary:?}");
    ensure!(summary.damaged == 0, "{} blocks are damaged", summary.damaged);

    let mut said = format!("{} blocks verified", summary.verified);
    for vm in ova.vms() {
        said.push_str(&format!("\n      VM {:?}", vm.name_label));
        for disk in &vm.disks {
            said.push_str(&format!("\n      {} {:?}: ", disk.userdevice, disk.name_label));
            match images.get(&disk.id) {
                Some(image) => said.push_str(&image.to_string()),
                None => said.push_str(&format!("{} bytes, not in the archive", disk.virtual_size.unwrap_or(0))),
            }
        }
    }
    Ok(said)
}

/// What is told of a disk.
struct Image {
    size: u64,
    sha256: String,
    /// Where the last sector that is not all zeros ends, and the hash up to there.
    data: (u64, String),
    table: String,
}

impl Image {
    fn read<R: std::io::Read>(mut disk: Disk<'_, R>) -> anyhow::Result<Self> {
        let mut hash = Hash::default();
        let mut image = tempfile::tempfile()?;
        while let Some(run) = disk.next_run()? {
            match run {
                Run::Data(block) => {
                    hash.data(block.data);
                    image.seek(SeekFrom::Start(block.offset))?;
                    image.write_all(block.data)?;
                }
                Run::Hole { len, .. } => hash.zeros(len),
            }
        }
        image.set_len(hash.size)?;
        let table = match PartitionTable::read_disk(&image) {
            Ok(table) => table.to_string(),
            Err(error) => format!("{error}\n"),
        };
        let sha256 = hex(hash.all.finalize().as_slice());
        Ok(Self {
            size: hash.size,
            sha256,
            data: (hash.data_end, hex(hash.data.finalize().as_slice())),
            table,
        })
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, sha256 {}", self.size, self.sha256)?;
        if self.data.0 < self.size {
            write!(
                f,
                "\n        data ends at {}, sha256 up to there {}",
                self.data.0, self.data.1
            )?;
        }
        self.table.lines().try_for_each(|line| write!(f, "\n        {line}"))
    }
}

/// The hash of a disk, and of the part of it before its last zeros.
#[derive(Default)]
struct Hash {
    all: Sha256,
    size: u64,
    data: Sha256,
    data_end: u64,
}

impl Hash {
    fn data(&mut self, bytes: &[u8]) {
        let used = bytes
            .chunks(SECTOR)
            .rposition(|sector| sector.iter().any(|&byte| byte != 0));
        let (used, zeros) = bytes.split_at(used.map_or(0, |last| ((last + 1) * SECTOR).min(bytes.len())));
        if !used.is_empty() {
            self.all.update(used);
            self.size += used.len() as u64;
            self.data = self.all.clone();
            self.data_end = self.size;
        }
        self.zeros(zeros.len() as u64);
    }

    fn zeros(&mut self, length: u64) {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let mut left = length;
        while left > 0 {
            let step = left.min(ZEROS.len() as u64);
            self.all.update(&ZEROS[..step as usize]);
            left -= step;
        }
        self.size += length;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

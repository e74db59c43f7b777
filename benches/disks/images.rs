//! The disks that are read: made by the programs of the distribution.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Result, quiet};

/// All disks, as long as they are needed.
pub(crate) struct Images {
    pub(crate) folder: TempDir,
    pub(crate) disk_size: u64,
    pub(crate) file_size: u64,
    /// File systems with the file `/big`.
    pub(crate) volumes: Vec<VolumeImage>,
    /// A disk with three partitions.
    pub(crate) partitioned: PathBuf,
    /// A dynamic VHD of the densest disk, where qemu-img is there to make it.
    pub(crate) vhd: Option<PathBuf>,
    /// A disk without a hole.
    pub(crate) dense: PathBuf,
}

/// A file system, and the program that reads it.
pub(crate) struct VolumeImage {
    pub(crate) kind: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) path: PathBuf,
}

impl VolumeImage {
    /// Has the peer read the file.
    pub(crate) fn cat(&self, path: &Path) -> Result<()> {
        let mut command = Command::new(self.peer);
        match self.peer {
            "debugfs" => command.args(["-R", "cat /big"]).arg(path),
            _ => command.arg("--force").arg(path).arg("/big"),
        };
        quiet(&mut command)
    }
}

impl VolumeImage {
    /// The same by libguestfs, whose appliance mounts the file system; `virt-cat` does so behind a search for a system.
    pub(crate) fn cat_in_appliance(&self, path: &Path) -> Result<()> {
        let mut command = Command::new("guestfish");
        command
            .env("LIBGUESTFS_BACKEND", "direct")
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
            .args(["--ro", "--mount", "/dev/sda", "--add"])
            .arg(path)
            .args(["download", "/big", "/dev/null"]);
        quiet(&mut command)
    }
}

impl Images {
    /// Makes disks of so many MiB, and a file of so many in each file system.
    pub(crate) fn make(disk: u64, file: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = |name: &str| folder.path().join(name);
        let tree = place("tree");
        std::fs::create_dir(&tree)?;
        random(&tree.join("big"), file)?;
        let dense = place("dense.raw");
        random(&dense, disk / 4)?;

        let sparse = |name: &str| -> Result<PathBuf> {
            let path = place(name);
            File::create(&path)?.set_len(disk << 20)?;
            Ok(path)
        };
        let mut volumes = Vec::new();
        let ext4 = sparse("ext4")?;
        if quiet(
            Command::new("mke2fs")
                .args(["-q", "-F", "-t", "ext4", "-d"])
                .args([&tree, &ext4]),
        )
        .is_ok()
        {
            let (kind, peer) = ("ext4", "debugfs");
            volumes.push(VolumeImage { kind, peer, path: ext4 });
        }
        let ntfs = sparse("ntfs")?;
        let is_made = quiet(Command::new("mkntfs").args(["-q", "-F", "-Q"]).arg(&ntfs)).is_ok()
            && quiet(
                Command::new("ntfscp")
                    .arg("--force")
                    .arg(&ntfs)
                    .arg(tree.join("big"))
                    .arg("/big"),
            )
            .is_ok();
        if is_made {
            let (kind, peer) = ("NTFS", "ntfscat");
            volumes.push(VolumeImage { kind, peer, path: ntfs });
        }

        let vhd = place("dense.vhd");
        let convert = quiet(
            Command::new("qemu-img")
                .args(["convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on"])
                .args([&dense, &vhd]),
        );
        Ok(Self {
            disk_size: disk << 20,
            file_size: file << 20,
            partitioned: partitioned(sparse("partitioned")?)?,
            vhd: convert.is_ok().then_some(vhd),
            volumes,
            dense,
            folder,
        })
    }
}

/// So many MiB that nothing can be left out of.
fn random(path: &Path, mebibytes: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut state = 7_u64;
    for _ in 0..mebibytes << 17 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        file.write_all(&state.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Puts an MBR with three partitions onto a disk.
fn partitioned(path: PathBuf) -> Result<PathBuf> {
    let mut mbr = [0; 512];
    for number in 0..3 {
        let at = 446 + 16 * number;
        mbr[at + 4] = 0x83;
        mbr[at + 8..at + 12].copy_from_slice(&(2048 * (1 + 40 * number as u32)).to_le_bytes());
        mbr[at + 12..at + 16].copy_from_slice(&65_536_u32.to_le_bytes());
    }
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    File::options().write(true).open(&path)?.write_all(&mbr)?;
    Ok(path)
}

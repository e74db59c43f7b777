//! Takes one file off a virtual machine's disk, and reads no more of the disk than it takes.
//!
//!     cargo run --release --example vm-cat -- --vm web-01 /etc/fstab
//!     cargo run --release --example vm-cat -- --vm win-01 '\Windows\System32\config\SYSTEM' --output SYSTEM
//!     cargo run --release --example vm-cat -- --xva backup.xva.zst /etc/passwd --partition 2
//!     cargo run --release --example vm-cat -- --image web-01.vhd /etc/hostname
//!
//! Reads NTFS, ext2 to ext4, XFS, btrfs, FAT and ISO 9660. From a pool, the disk comes over NBD, or as an export that is
//! left off when the file is there; what has passed of that is kept in a sparse temporary file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use vhd_mbr::Size;
use xenapi_examples::{AnyDisk, Connection, FoundVolume, OpenDisk, WantedDisk, WhichVolume, arguments, finish, note};

/// Takes one file off a VM's disk, and reads no more of the disk than it takes
#[derive(Parser)]
struct Flags {
    /// The file, such as /etc/fstab or \Windows\win.ini
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    volume: WhichVolume,
    /// Where the content goes; it must not be there yet. Otherwise standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    disk: WantedDisk,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    finish(run(arguments::<Flags>()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    let work = async |disk: &OpenDisk| {
        let (path, volume, output) = (flags.path.clone(), flags.volume.clone(), flags.output.clone());
        disk.work(move |disk| take(disk, &path, &volume, output.as_deref()))
            .await?;
        if disk.bytes_read() > 0 {
            note(format!("{} read", Size(disk.bytes_read())));
        }
        Ok(())
    };
    flags.disk.read("vm-cat", &flags.connection, work).await
}

fn take(disk: &AnyDisk, path: &str, which: &WhichVolume, output: Option<&Path>) -> anyhow::Result<()> {
    let found = FoundVolume::open(disk, which, Some(path))?;
    let content = found.volume.content(path)?;
    let Some(output) = output else {
        let mut out = io::stdout().lock();
        content.copy_to(&mut out)?;
        return Ok(out.flush()?);
    };
    let mut file = File::create_new(output).with_context(|| format!("cannot create {}", output.display()))?;
    let copied = content.copy_to(&mut file).and_then(|_| file.sync_all());
    if copied.is_err() {
        // A part of a file is of no use to anybody.
        let _ = std::fs::remove_file(output);
    }
    Ok(copied?)
}

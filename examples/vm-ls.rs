//! Lists what is on a virtual machine's disk: its volumes, and the files of one.
//!
//!     cargo run --release --example vm-ls -- --vm web-01
//!     cargo run --release --example vm-ls -- --vm web-01 /var/log
//!     cargo run --release --example vm-ls -- --image win-01.vhd '\Windows\System32\drivers' --json
//!
//! Without a path it tells what each partition holds. The disk comes from a pool, from an archive or from an image, as
//! with `vm-cat`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use vhd_mbr::volume::Contents;
use vhd_mbr::xen_disk::ReadAt;
use vhd_mbr::{PartitionTable, Size};
use xenapi_examples::{
    AnyDisk, Connection, EntryLine, FoundVolume, OpenDisk, WantedDisk, WhichVolume, arguments, finish,
};

/// Lists what is on a VM's disk: its volumes, and the files of one
#[derive(Parser)]
struct Flags {
    /// The directory, such as /etc or \Windows; without it, the volumes
    #[arg(value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    volume: WhichVolume,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
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
        let (path, volume, json) = (flags.path.clone(), flags.volume.clone(), flags.json);
        disk.work(move |disk| match path {
            Some(path) => files(disk, &volume, &path, json),
            None => volumes(disk, json),
        })
        .await
    };
    flags.disk.read("vm-ls", &flags.connection, work).await
}

fn volumes(disk: &AnyDisk, as_json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let whole = Contents::detect(disk)?;
    let mut tell = |partition: Option<u32>, start: u64, size: u64, contents: &Contents| {
        if as_json {
            let line = json!({
                "partition": partition, "start_bytes": start, "size_bytes": size, "holds": contents.kind.name(),
                "label": contents.label, "id": contents.id, "files": contents.kind.is_readable(),
            });
            return writeln!(out, "{line}");
        }
        let number = partition.map_or("-".to_owned(), |number| number.to_string());
        writeln!(out, "{number:>3}  {:>10}  {contents}", Size(size).to_string())
    };
    match PartitionTable::read_disk(disk) {
        Ok(table) if !whole.kind.is_readable() => {
            for entry in table.partitions() {
                let contents = Contents::detect(&entry.of(disk))?;
                tell(Some(entry.number), entry.start, entry.end() - entry.start, &contents)?;
            }
        }
        _ => tell(None, 0, disk.size()?, &whole)?,
    }
    Ok(out.flush()?)
}

fn files(disk: &AnyDisk, which: &WhichVolume, path: &str, as_json: bool) -> anyhow::Result<()> {
    let found = FoundVolume::open(disk, which, Some(path))?;
    let mut out = io::stdout().lock();
    for entry in found.volume.list(path)? {
        let entry = entry?;
        match as_json {
            true => writeln!(out, "{}", EntryLine(&entry).json())?,
            false => writeln!(out, "{}", EntryLine(&entry))?,
        }
    }
    Ok(out.flush()?)
}

//! Shows a virtual machine's partition table and boot code from the first block of its export.
//!
//!     cargo run --example vm-mbr -- --url https://10.0.0.2 --pin 3f:9a:… --vm web-01
//!     cargo run --example vm-mbr -- --xva backup.xva.zst
//!     ssh host xe vm-export … | cargo run --example vm-mbr -- --xva -
//!
//! The export is still streaming when the table is printed: it is cancelled as soon as the block is there.

use anyhow::{Context, bail};
use clap::Parser;
use serde_json::json;
use tokio::io::AsyncRead;
use vhd_mbr::{PartitionTable, Size};
use xenapi::vm::PowerState;
use xenapi::{Ref, Vm};
use xenapi_examples::{Connection, Pool};
use xva::AsyncReader;

#[derive(Parser)]
#[command(about = "Shows a VM's partition table and boot code from the first block of its export")]
struct Flags {
    #[command(flatten)]
    connection: Connection,
    /// The VM's name or UUID; on a simulated pool, its first halted VM if left out.
    #[arg(long, conflicts_with = "xva")]
    vm: Option<String>,
    /// An archive in place of a pool; - reads standard input.
    #[arg(long)]
    xva: Option<String>,
    /// The disk's position in the VM (0, 1, …); otherwise the first disk that the archive holds.
    #[arg(long)]
    disk: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What the first block of a disk tells.
struct Found {
    vm: String,
    position: String,
    name: String,
    table: PartitionTable,
    bytes_read: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let wanted = flags.disk.as_deref();
    let found = match flags.xva.as_deref() {
        Some("-") => peek(tokio::io::stdin(), wanted).await.0?,
        Some(path) => {
            let file = tokio::fs::File::open(path)
                .await
                .with_context(|| format!("cannot open {path}"))?;
            peek(file, wanted).await.0?
        }
        None => {
            let pool = flags.connection.open("vm-mbr").await?;
            let vm = find(&pool, flags.vm.as_deref()).await?;
            let (found, export) = peek(pool.vm(vm).export().await?, wanted).await;
            export.cancel().await;
            pool.close().await?;
            found?
        }
    };
    if flags.json {
        print_json(&found)
    } else {
        print_text(&found)
    }
}

/// Reads on to the first block of a disk and no further, and gives the source back.
async fn peek<R: AsyncRead + Unpin + Send>(source: R, wanted: Option<&str>) -> (anyhow::Result<Found>, R) {
    let mut archive = AsyncReader::new(source);
    let found = first_table(&mut archive, wanted).await;
    (found, archive.into_inner())
}

async fn first_table<R: AsyncRead + Unpin + Send>(
    archive: &mut AsyncReader<R>,
    wanted: Option<&str>,
) -> anyhow::Result<Found> {
    let ova = archive.ova().await?.cloned().context("the archive has no ova.xml")?;
    loop {
        let Some(disk) = archive.next_disk().await? else {
            bail!(
                "the archive holds no {}",
                wanted.map_or("disk".to_owned(), |at| format!("disk at position {at}"))
            );
        };
        let attached = ova
            .vms()
            .iter()
            .flat_map(|vm| vm.disks.iter().map(move |disk| (vm, disk)));
        let known = attached.into_iter().find(|(_, attached)| attached.id == disk.id());
        let position = known.map(|(_, disk)| disk.userdevice.clone()).unwrap_or_default();
        if wanted.is_some_and(|wanted| wanted != position) {
            continue;
        }
        let mut options = PartitionTable::options();
        if let Some(bytes) = disk.virtual_size() {
            options = options.disk_size(bytes);
        }
        let name = known.map(|(_, disk)| disk.name_label.clone()).unwrap_or_default();
        let others = known.map_or(0, |(vm, _)| vm.disks.len().saturating_sub(1));
        let table = options.read(&disk.first_block().await?).with_context(|| {
            format!("disk {position} {name:?} (the VM has {others} more; --disk POSITION reads on to one of them)")
        })?;
        return Ok(Found {
            vm: known.map(|(vm, _)| vm.name_label.clone()).unwrap_or_default(),
            position,
            name,
            table,
            bytes_read: archive.bytes_read(),
        });
    }
}

async fn find(pool: &Pool, wanted: Option<&str>) -> anyhow::Result<Ref<Vm>> {
    let vms = pool.vms().all_records().await?;
    let mut real: Vec<_> = vms.iter().filter(|(_, vm)| vm.is_real_vm()).collect();
    real.sort_by(|(_, a), (_, b)| a.name_label.cmp(&b.name_label));
    let Some(wanted) = wanted else {
        let first = real
            .iter()
            .find(|(_, vm)| pool.is_simulated() && vm.power_state == PowerState::Halted);
        return first.map(|&(&vm, _)| vm).context("which VM? say --vm NAME");
    };
    let mut matching = real
        .iter()
        .filter(|(_, vm)| vm.name_label == wanted || vm.uuid == wanted);
    match (matching.next(), matching.next()) {
        (Some(&(&vm, _)), None) => Ok(vm),
        (Some(_), Some(_)) => bail!("several VMs are called {wanted:?}: say --vm UUID"),
        (None, _) => bail!("the pool has no VM called {wanted:?}"),
    }
}

fn print_text(found: &Found) -> anyhow::Result<()> {
    println!("{}, disk {} {:?}", found.vm, found.position, found.name);
    print!("{}", found.table);
    println!("{} read", Size(found.bytes_read));
    Ok(())
}

fn print_json(found: &Found) -> anyhow::Result<()> {
    let partitions: Vec<_> = found
        .table
        .partitions()
        .iter()
        .map(|partition| {
            json!({
                "number": partition.number,
                "start": partition.start,
                "length": partition.len,
                "type": partition.partition_type().to_string(),
                "bootable": partition.is_bootable(),
                "name": partition.name(),
            })
        })
        .collect();
    let document = json!({
        "vm": found.vm,
        "disk": { "position": found.position, "name": found.name, "size": found.table.disk_size() },
        "boot_code": found.table.boot_code().to_string(),
        "scheme": if found.table.gpt().is_some() { "gpt" } else { "mbr" },
        "partitions": partitions,
        "not_read": found.table.unread().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": found.table.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "bytes_read": found.bytes_read,
    });
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

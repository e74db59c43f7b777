//! The main job end to end: list VMs with their disk sizes, put an ISO into forty of them at once, stream an export and
//! print its partition table after the first block.
//!
//!     cargo run --release --example tour
//!     cargo run --release --example tour -- --url https://10.0.0.2 --pin 3f:9a:…
//!
//! Without --url it does so on a simulated pool in this process, over HTTPS with a pinned certificate.

use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use vhd_mbr::{PartitionTable, Size};
use xenapi::bulk;
use xenapi_examples::Connection;
use xva::AsyncReader;

#[derive(Parser)]
#[command(about = "Lists VMs, puts an ISO into forty of them, and shows a partition table from a streaming export")]
struct Flags {
    #[command(flatten)]
    connection: Connection,
    /// The ISO to insert; otherwise the first that the pool has.
    #[arg(long)]
    iso: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let pool = flags.connection.open("tour").await?;
    println!("Connected to {} over {:?}.\n", pool.address(), pool.encoding());

    // Every VM with its disks: three calls, however many VMs there are.
    let (vms, vbds, vdis) = tokio::try_join!(
        pool.vms().all_records(),
        pool.vbds().all_records(),
        pool.vdis().all_records()
    )?;
    let mut real: Vec<_> = vms.iter().filter(|(_, vm)| vm.is_real_vm()).collect();
    real.sort_by(|(_, a), (_, b)| a.name_label.cmp(&b.name_label));
    println!("{} VMs:", real.len());
    for (_, vm) in real.iter().take(5) {
        let disks: Vec<_> = vm
            .disks(&vbds, &vdis)
            .iter()
            .map(|disk| Size(disk.vdi.virtual_size as u64).to_string())
            .collect();
        println!("  {:<24} {:<10} {}", vm.name_label, vm.power_state, disks.join(" + "));
    }
    println!("  …\n");

    // One ISO into forty of them, eight at a time.
    let isos = pool.isos().await?;
    let wanted = isos
        .iter()
        .find(|(_, iso)| flags.iso.as_ref().is_none_or(|name| *name == iso.name_label));
    let (iso, record) = wanted.context("the pool has no such ISO")?;
    let targets: Vec<_> = real.iter().map(|&(&vm, _)| vm).take(40).collect();
    println!("Inserting {} into {} VMs:", record.name_label, targets.len());
    let style = ProgressStyle::with_template("  {bar:40} {pos}/{len}")?;
    let bar = ProgressBar::new(targets.len() as u64).with_style(style);
    let (began, shown) = (Instant::now(), bar.clone());
    let results = bulk(targets.iter().map(|&vm| pool.vm(vm).insert_iso(*iso)))
        .concurrency(8)
        .on_done(move |done| shown.set_position(done as u64))
        .run()
        .await;
    bar.finish();
    let failed: Vec<_> = targets
        .iter()
        .zip(&results)
        .filter_map(|(vm, result)| Some((vm, result.as_ref().err()?)))
        .collect();
    for (vm, error) in &failed {
        println!("  {}: {error}", vms[*vm].name_label);
    }
    println!(
        "  {} done in {:.1?}, {} failed.\n",
        results.len() - failed.len(),
        began.elapsed(),
        failed.len()
    );

    // The partition table of a VM while its export is still streaming.
    let &(&vm, record) = real
        .iter()
        .find(|(_, vm)| vm.power_state == xenapi::vm::PowerState::Halted)
        .context("no halted VM")?;
    println!(
        "Exporting {} up to the first block of its first disk:",
        record.name_label
    );
    let began = Instant::now();
    let mut archive = AsyncReader::new(pool.vm(vm).export().await?);
    let disk = archive.next_disk().await?.context("the VM has no disk")?;
    let size = disk.virtual_size();
    let table = PartitionTable::read(&disk.first_block().await?)?;
    let read = archive.bytes_read();
    archive.into_inner().cancel().await;
    table.to_string().lines().for_each(|line| println!("  {line}"));
    println!(
        "  {} read of a disk of {} in {:.1?}; the export is cancelled.",
        Size(read),
        Size(size.unwrap_or(0)),
        began.elapsed()
    );

    pool.close().await
}

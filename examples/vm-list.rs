//! Lists the pool's virtual machines with the sizes of their disks.
//!
//!     cargo run --example vm-list -- --url https://10.0.0.2 --pin 3f:9a:…
//!     cargo run --example vm-list -- --json
//!
//! Without --url it lists a simulated pool.

use clap::Parser;
use serde_json::json;
use vhd_mbr::Size;
use xenapi::{Disk, VmRecord};
use xenapi_examples::Connection;

#[derive(Parser)]
#[command(about = "Lists the pool's virtual machines with the sizes of their disks")]
struct Flags {
    #[command(flatten)]
    connection: Connection,
    /// Print one JSON document in place of the table.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let pool = flags.connection.open("vm-list").await?;

    let (vms, vbds, vdis) = tokio::try_join!(
        pool.vms().all_records(),
        pool.vbds().all_records(),
        pool.vdis().all_records()
    )?;
    let mut listed: Vec<(&VmRecord, Vec<Disk<'_>>)> = vms
        .values()
        .filter(|vm| vm.is_real_vm())
        .map(|vm| (vm, vm.disks(&vbds, &vdis)))
        .collect();
    listed.sort_by(|(a, _), (b, _)| a.name_label.cmp(&b.name_label));

    if flags.json {
        let document: Vec<_> = listed.iter().map(|(vm, disks)| as_json(vm, disks)).collect();
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        println!("{:<32} {:<10} {:>9}  DISKS", "NAME", "STATE", "TOTAL");
        for (vm, disks) in &listed {
            let total: u64 = disks.iter().map(|disk| bytes(disk)).sum();
            let each: Vec<_> = disks.iter().map(|disk| Size(bytes(disk)).to_string()).collect();
            println!(
                "{:<32} {:<10} {:>9}  {}",
                vm.name_label,
                vm.power_state,
                Size(total).to_string(),
                each.join(" + ")
            );
        }
    }
    pool.close().await
}

fn bytes(disk: &Disk<'_>) -> u64 {
    u64::try_from(disk.vdi.virtual_size).unwrap_or(0)
}

fn as_json(vm: &VmRecord, disks: &[Disk<'_>]) -> serde_json::Value {
    let disks: Vec<_> = disks
        .iter()
        .map(|disk| {
            json!({
                "position": disk.vbd.userdevice,
                "device": disk.vbd.device,
                "name": disk.vdi.name_label,
                "uuid": disk.vdi.uuid,
                "virtual_size": disk.vdi.virtual_size,
                "physical_utilisation": disk.vdi.physical_utilisation,
                "bootable": disk.vbd.bootable,
            })
        })
        .collect();
    json!({ "name": vm.name_label, "uuid": vm.uuid, "power_state": vm.power_state.as_str(), "disks": disks })
}

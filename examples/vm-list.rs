//! Lists the pool's virtual machines with the sizes of their disks.
//!
//!     cargo run --example vm-list -- --url https://10.0.0.2 --pin 3f:9a:…
//!     cargo run --example vm-list -- --json
//!
//! Without --url it lists a simulated pool.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi::{Disk, VmRecord};
use xenapi_examples::{Connection, Listing, Pool, Printable, arguments, finish};

/// Lists the pool's virtual machines with the sizes of their disks
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Flags { listing, connection } = arguments();
    finish(
        listing
            .run(&connection, "vm-list", async |pool| list(pool, listing.json).await)
            .await,
    )
}

async fn list(pool: &Pool, json: bool) -> anyhow::Result<Option<Value>> {
    let records = async {
        tokio::try_join!(
            pool.vms().all_records(),
            pool.vbds().all_records(),
            pool.vdis().all_records()
        )
    };
    let (vms, vbds, vdis) = pool.unless_interrupted(records).await?;
    let mut listed: Vec<(&VmRecord, Vec<Disk<'_>>)> = vms
        .values()
        .filter(|vm| vm.is_real_vm())
        .map(|vm| (vm, vm.disks(&vbds, &vdis)))
        .collect();
    listed.sort_by(|(a, _), (b, _)| a.name_label.cmp(&b.name_label));

    if json {
        return Ok(Some(listed.iter().map(|(vm, disks)| as_json(vm, disks)).collect()));
    }
    let mut out = io::stdout();
    writeln!(out, "{:<32} {:<10} {:>9}  DISKS", "NAME", "STATE", "TOTAL")?;
    for (vm, disks) in &listed {
        let total = disks.iter().map(bytes).fold(0, u64::saturating_add);
        let each: Vec<_> = disks.iter().map(|disk| Size(bytes(disk)).to_string()).collect();
        writeln!(
            out,
            "{:<32} {:<10} {:>9}  {}",
            Printable(&vm.name_label),
            Printable(vm.power_state.as_str()),
            Size(total).to_string(),
            each.join(" + ")
        )?;
    }
    Ok(None)
}

fn bytes(disk: &Disk<'_>) -> u64 {
    u64::try_from(disk.vdi.virtual_size).unwrap_or(0)
}

fn as_json(vm: &VmRecord, disks: &[Disk<'_>]) -> Value {
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

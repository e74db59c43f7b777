//! The main job end to end: list VMs with their disk sizes, put an ISO into forty of them at once, stream an export and
//! print its partition table after the first block.
//!
//!     cargo run --release --example tour
//!     cargo run --release --example tour -- --url https://10.0.0.2 --pin 3f:9a:… --iso tools.iso
//!
//! Without --url it does so on a simulated pool in this process, over HTTPS with a pinned certificate. With --url it
//! says first what it would do and asks; in the end it takes out the ISO again.

mod iso;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use vhd_mbr::{PartitionTable, Size};
use xenapi::vm::PowerState;
use xenapi::{Map, Ref, Vbd, VbdRecord, Vdi, VdiRecord, Vm, VmRecord};
use xenapi_examples::{Connection, Interrupted, Pool, Printable, arguments, confirm, finish};
use xva::AsyncReader;

use crate::iso::Plan;

/// Lists VMs, puts an ISO into forty of them, and shows a partition table from a streaming export
#[derive(Parser)]
struct Flags {
    /// The ISO to insert; on a simulated pool, its first if left out
    #[arg(long, value_name = "NAME")]
    iso: Option<String>,
    /// Change the VMs of a real pool without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    finish(run(&arguments::<Flags>()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(flags: &Flags) -> anyhow::Result<()> {
    ensure!(
        flags.iso.is_some() || !flags.connection.is_real(),
        "which ISO? On a real pool, say --iso NAME"
    );
    flags
        .connection
        .run("tour", async |pool: &Pool| tour(pool, flags).await)
        .await
}

/// What the pool has: three calls, however many VMs there are.
struct Inventory {
    vms: Map<Ref<Vm>, VmRecord>,
    vbds: Map<Ref<Vbd>, VbdRecord>,
    vdis: Map<Ref<Vdi>, VdiRecord>,
}

impl Inventory {
    async fn read(pool: &Pool) -> xenapi::Result<Self> {
        let (vms, vbds, vdis) = tokio::try_join!(
            pool.vms().all_records(),
            pool.vbds().all_records(),
            pool.vdis().all_records()
        )?;
        Ok(Self { vms, vbds, vdis })
    }

    fn real_vms(&self) -> Vec<(Ref<Vm>, &VmRecord)> {
        let real = self.vms.iter().filter(|(_, vm)| vm.is_real_vm());
        let mut real: Vec<_> = real.map(|(&reference, vm)| (reference, vm)).collect();
        real.sort_by(|(_, a), (_, b)| a.name_label.cmp(&b.name_label));
        real
    }
}

async fn tour(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "Connected to {} over {}.\n",
        Printable(pool.url()),
        pool.protocol()
    )?;
    let inventory = pool.unless_interrupted(Inventory::read(pool)).await?;
    let vms = inventory.real_vms();
    list(&inventory, &vms)?;

    let plan = pool
        .unless_interrupted(Plan::make(pool, &inventory, &vms, flags.iso.as_deref()))
        .await?;
    writeln!(out, "{plan}")?;
    if !pool.is_simulated() && !flags.yes && !plan.is_empty() {
        pool.unless_interrupted(confirm(
            "Insert it, export a halted VM up to its first block, and eject it again?",
        ))
        .await?;
    }
    let shown = insert_and_look(pool, &plan, &vms).await;
    let ejected = plan.eject(pool).await;
    shown?;
    if let Some(ejected) = ejected {
        writeln!(out, "\nEjecting the ISO again:\n{ejected}")?;
    }
    Ok(())
}

fn list(inventory: &Inventory, vms: &[(Ref<Vm>, &VmRecord)]) -> io::Result<()> {
    const SHOWN: usize = 5;
    let mut out = io::stdout();
    writeln!(out, "{} VMs{}", vms.len(), if vms.is_empty() { "." } else { ":" })?;
    for (_, vm) in vms.iter().take(SHOWN) {
        let disks: Vec<_> = vm
            .disks(&inventory.vbds, &inventory.vdis)
            .iter()
            .map(|disk| Size(u64::try_from(disk.vdi.virtual_size).unwrap_or(0)).to_string())
            .collect();
        writeln!(
            out,
            "  {:<24} {:<10} {}",
            Printable(&vm.name_label),
            Printable(vm.power_state.as_str()),
            disks.join(" + ")
        )?;
    }
    if vms.len() > SHOWN {
        writeln!(out, "  …")?;
    }
    writeln!(out)
}

async fn insert_and_look(pool: &Pool, plan: &Plan<'_>, vms: &[(Ref<Vm>, &VmRecord)]) -> anyhow::Result<()> {
    let inserted = plan.insert(pool).await;
    if pool.is_interrupted() {
        return Err(Interrupted.into());
    }
    let mut out = io::stdout();
    if let Some(inserted) = inserted {
        writeln!(out, "{inserted}\n")?;
    }
    match vms.iter().find(|(_, vm)| vm.power_state == PowerState::Halted) {
        Some(&(vm, record)) => look(pool, vm, record).await,
        None => Ok(writeln!(out, "No VM is halted, so there is none to export.")?),
    }
}

/// The partition table of a VM while its export is still streaming.
async fn look(pool: &Pool, vm: Ref<Vm>, record: &VmRecord) -> anyhow::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "Exporting {} up to the first block of its first disk:",
        Printable(&record.name_label)
    )?;
    let began = Instant::now();
    let mut export = pool.unless_interrupted(pool.vm(vm).export()).await?;
    let mut archive = AsyncReader::new(&mut export);
    let first_block = async {
        let disk = archive.next_disk().await?.context("the VM has no disk")?;
        anyhow::Ok((disk.virtual_size(), disk.first_block().await?))
    };
    let block = pool.unless_interrupted(first_block).await;
    let read = archive.bytes_read();
    export.cancel().await;
    let (size, block) = block?;
    match PartitionTable::read(&block) {
        Ok(table) => {
            for line in table.to_string().lines() {
                writeln!(out, "  {}", Printable(line))?;
            }
        }
        Err(reason) => writeln!(out, "  {reason}")?,
    }
    writeln!(
        out,
        "  {} read of a disk of {} in {:.1?}; the export is cancelled.",
        Size(read),
        Size(size.unwrap_or(0)),
        began.elapsed()
    )?;
    Ok(())
}

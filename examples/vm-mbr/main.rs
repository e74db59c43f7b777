//! Shows a virtual machine's partition table and boot code from the first block of its export.
//!
//!     cargo run --example vm-mbr -- --url https://10.0.0.2 --pin 3f:9a:… --vm web-01
//!     cargo run --example vm-mbr -- --xva backup.xva.zst
//!     ssh host xe vm-export … | cargo run --example vm-mbr -- --xva -
//!
//! The export is still streaming when the table is printed: it is cancelled as soon as the block is there.

mod answer;
mod peek;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use xenapi::vm::PowerState;
use xenapi::{ErrorCode, Map, Ref, Vm, VmRecord};
use xenapi_examples::{Connection, Pool, arguments, choose_vm, finish, with_snapshot};

use crate::peek::{Answer, peek};

/// Shows a VM's partition table and boot code from the first block of its export
#[derive(Parser)]
struct Flags {
    /// The name or UUID of a VM, snapshot or template; on a simulated pool, its first halted VM if left out
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// Take a snapshot of the VM, export that, and destroy it in the end: for a VM that runs
    #[arg(long)]
    snapshot: bool,
    /// An archive in place of a pool; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = Connection::FLAGS, conflicts_with_all = ["vm", "snapshot"])]
    xva: Option<String>,
    /// The disk's position in the VM (0, 1, …); otherwise the first in the archive that has a partition table
    #[arg(long, value_name = "POSITION")]
    disk: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    finish(run(&arguments::<Flags>()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(flags: &Flags) -> anyhow::Result<()> {
    let disk = flags.disk.as_deref();
    let answer = match flags.xva.as_deref() {
        Some("-") => peek(tokio::io::stdin(), disk).await?,
        Some(path) => {
            let file = tokio::fs::File::open(path)
                .await
                .with_context(|| format!("cannot open {path}"))?;
            peek(file, disk).await?
        }
        None => {
            let look = async |pool: &Pool| look(pool, flags).await;
            flags.connection.run("vm-mbr", look).await?
        }
    };
    if flags.json {
        answer::print_json(&answer)
    } else {
        answer::print_text(&answer)
    }
}

async fn look(pool: &Pool, flags: &Flags) -> anyhow::Result<Answer> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let may_be_taken = |vm: &VmRecord| pool.is_simulated() && vm.power_state == PowerState::Halted;
    let (vm, record) = choose_vm(&vms, flags.vm.as_deref(), may_be_taken)?;
    let disk = flags.disk.as_deref();
    if !flags.snapshot {
        return export(pool, vm, disk)
            .await
            .map_err(|error| explain(error, record, &vms));
    }
    let name = format!("vm-mbr of {}", record.name_label);
    with_snapshot(pool, vm, &name, async |snapshot| export(pool, snapshot, disk).await).await
}

/// Looks at what a VM's export begins with, and has the server end it.
async fn export(pool: &Pool, vm: Ref<Vm>, disk: Option<&str>) -> anyhow::Result<Answer> {
    let mut export = pool.unless_interrupted(pool.vm(vm).export()).await?;
    let answer = pool.unless_interrupted(peek(&mut export, disk)).await;
    export.cancel().await;
    answer
}

/// Says what to do about a VM that runs.
fn explain(error: anyhow::Error, vm: &VmRecord, vms: &Map<Ref<Vm>, VmRecord>) -> anyhow::Error {
    let refusal = error.downcast_ref::<xenapi::Error>().and_then(xenapi::Error::code);
    if refusal != Some(&ErrorCode::VmBadPowerState) {
        return error;
    }
    let mut advice = format!(
        "{:?} is {} and cannot be exported itself: --snapshot takes a snapshot, reads that and destroys it",
        vm.name_label,
        vm.power_state.as_str().to_lowercase()
    );
    let snapshots: Vec<_> = vm
        .snapshots
        .iter()
        .filter_map(|snapshot| vms.get(snapshot))
        .map(|snapshot| format!("{:?} {}", snapshot.name_label, snapshot.uuid))
        .collect();
    if !snapshots.is_empty() {
        advice.push_str(&format!(
            "; or name one that it has with --vm: {}",
            snapshots.join(", ")
        ));
    }
    anyhow!(error).context(advice)
}

//! Back to the snapshots.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use xenapi::vm::PowerState;
use xenapi_examples::{Pool, Printable, confirm, note};

use crate::Dangerous;
use crate::file::{Block, Environment};
use crate::machine::{Machine, disks};
use crate::marks::{DONE, ENVIRONMENT, MACHINE, SELF, mark_vdi, mark_vm};
use crate::steps::find_snapshot;

pub(crate) async fn run(pool: &Pool, environment: &Environment, flags: &Dangerous) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let there = Machine::all(&vms, &environment.name);
    let mut machines = Vec::new();
    for block in environment.blocks.iter().filter(|block| block.snapshot.is_some()) {
        for name in block.machines() {
            let machine = there
                .iter()
                .find(|machine| machine.name == name && machine.done().is_some());
            machines.push((
                block,
                machine.with_context(|| format!("{name} is not there; `up` makes it"))?,
            ));
        }
    }
    if machines.is_empty() {
        note("No block has a snapshot.");
        return Ok(ExitCode::FAILURE);
    }
    let names: Vec<_> = machines.iter().map(|(_, machine)| machine.name.as_str()).collect();
    note(names.join("\n"));
    if flags.dry_run {
        note("Would take these back to their snapshots.");
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.yes {
        pool.unless_interrupted(confirm(
            "Take these back to their snapshots? What is on their disks since then is lost.",
        ))
        .await?;
    }
    let work = iter(machines).map(async |(block, machine)| {
        let reverted = revert(pool, environment, block, machine).await;
        let said = match &reverted {
            Ok(()) => "is as it was".to_owned(),
            Err(error) => format!("failed: {error:#}"),
        };
        // That nobody reads it any more does not stop the work.
        let _ = writeln!(io::stdout(), "{}: {}", Printable(&machine.name), Printable(&said));
        reverted.is_err()
    });
    let outcomes = work.buffer_unordered(flags.common.parallel.max(1)).collect::<Vec<_>>();
    let failed = pool.unless_interrupted(async { anyhow::Ok(outcomes.await) }).await?;
    Ok(ExitCode::from(u8::from(failed.contains(&true))))
}

async fn revert(pool: &Pool, environment: &Environment, block: &Block, machine: &Machine) -> anyhow::Result<()> {
    let name = block.snapshot.as_deref().unwrap_or_default();
    let snapshot = find_snapshot(pool, machine.vm, name).await?;
    let snapshot = snapshot.with_context(|| format!("it has no snapshot {name:?}"))?;
    pool.vm(snapshot).revert().await?;
    // The marks, too, are those of the moment of the snapshot, and the disks are new ones.
    let marks = [(ENVIRONMENT, environment.name.as_str()), (MACHINE, &machine.name)];
    mark_vm(pool, machine.vm, &marks).await?;
    mark_vm(pool, machine.vm, &[(SELF, &machine.record.uuid), (DONE, "snapshot")]).await?;
    for disk in disks(pool, machine.vm).await? {
        let uuid = pool.vdi(disk).uuid().await?;
        mark_vdi(pool, disk, &marks).await?;
        mark_vdi(pool, disk, &[(SELF, &uuid)]).await?;
    }
    let vm = pool.vm(machine.vm);
    match vm.power_state().await? {
        PowerState::Halted if block.start => vm.start(false, false).await?,
        PowerState::Suspended if block.start => vm.resume(false, false).await?,
        _ => {}
    }
    Ok(())
}

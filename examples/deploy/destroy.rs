//! The end of an environment.

use std::process::ExitCode;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use xenapi::{Ref, Vdi, VdiRecord};
use xenapi_examples::{Pool, confirm, destroy_disk, note};

use crate::Dangerous;
use crate::file::Environment;
use crate::leftovers::lone_disks;
use crate::machine::Machine;
use crate::marks::unless_gone;
use crate::targets::{lone_networks, remove_network};

pub(crate) async fn run(pool: &Pool, environment: &Environment, flags: &Dangerous) -> anyhow::Result<ExitCode> {
    let all = async { tokio::try_join!(pool.vms().all_records(), pool.vdis().all_records()) };
    let (vms, vdis) = pool.unless_interrupted(all).await?;
    let machines = Machine::all(&vms, &environment.name);
    let disks: Vec<_> = lone_disks(&vdis, &environment.name).collect();
    let code = destroy(pool, environment, flags, machines, disks).await?;
    // Those that other machines have NICs on stay.
    let networks = pool.unless_interrupted(pool.networks().all_records()).await?;
    for (network, record) in lone_networks(&networks, &environment.name) {
        match flags.dry_run {
            true => note(format!("Would remove the network {}", record.name_label)),
            false => remove_network(pool, network).await?,
        }
    }
    Ok(code)
}

/// Destroys machines and disks that belong to none, where that is wanted.
pub(crate) async fn destroy(
    pool: &Pool,
    environment: &Environment,
    flags: &Dangerous,
    machines: Vec<Machine>,
    disks: Vec<(Ref<Vdi>, &VdiRecord)>,
) -> anyhow::Result<ExitCode> {
    let named = machines
        .iter()
        .map(|machine| format!("{}  {}", machine.record.uuid, machine.record.name_label));
    let lone = disks
        .iter()
        .map(|(_, disk)| format!("{}  {} (a disk)", disk.uuid, disk.name_label));
    let list: Vec<_> = named.chain(lone).collect();
    if list.is_empty() {
        note("There is nothing to destroy.");
        return Ok(ExitCode::SUCCESS);
    }
    note(list.join("\n"));
    if flags.dry_run {
        note("Would destroy these, with their snapshots and disks.");
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.yes {
        pool.unless_interrupted(confirm("Destroy these, with their snapshots and disks?"))
            .await?;
    }
    let count = machines.len();
    let work = iter(machines).map(async |machine| {
        let destroyed = machine.destroy(pool, &environment.name).await;
        if let Err(error) = &destroyed {
            note(format!("{}: {error:#}", machine.name));
        }
        destroyed.is_err()
    });
    let outcomes = work.buffer_unordered(flags.common.parallel.max(1)).collect::<Vec<_>>();
    let failed = pool.unless_interrupted(async { anyhow::Ok(outcomes.await) }).await?;
    for (disk, _) in disks {
        unless_gone(destroy_disk(pool, disk).await)?;
    }
    let failed = failed.into_iter().filter(|failed| *failed).count();
    note(format!("{} of {count} machines are destroyed", count - failed));
    Ok(ExitCode::from(u8::from(failed > 0)))
}

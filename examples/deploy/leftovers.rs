//! What interrupted runs have left.

use std::process::ExitCode;

use xenapi::{Map, Ref, Vdi, VdiRecord};
use xenapi_examples::Pool;

use crate::Dangerous;
use crate::destroy::destroy;
use crate::file::Environment;
use crate::machine::Machine;
use crate::marks::is_disk_of;

pub(crate) async fn run(pool: &Pool, environment: &Environment, flags: &Dangerous) -> anyhow::Result<ExitCode> {
    let all = async { tokio::try_join!(pool.vms().all_records(), pool.vdis().all_records()) };
    let (vms, vdis) = pool.unless_interrupted(all).await?;
    let mut machines = Machine::all(&vms, &environment.name);
    machines.retain(|machine| machine.done().is_none());
    let disks: Vec<_> = lone_disks(&vdis, &environment.name).collect();
    destroy(pool, environment, flags, machines, disks).await
}

/// Disks that were made for a machine, and that no VM has.
pub(crate) fn lone_disks<'a>(
    vdis: &'a Map<Ref<Vdi>, VdiRecord>,
    environment: &str,
) -> impl Iterator<Item = (Ref<Vdi>, &'a VdiRecord)> {
    let is_one = move |vdi: &VdiRecord| is_disk_of(vdi, environment) && vdi.vbds.is_empty() && !vdi.is_a_snapshot;
    vdis.iter()
        .filter(move |(_, vdi)| is_one(vdi))
        .map(|(vdi, record)| (*vdi, record))
}

//! How machines of an environment are known in the pool: entries of `other_config`, so that nothing else has to remember.

use sha2::{Digest as _, Sha256};
use xenapi::{Client, Error, ErrorCode, Map, Ref, Vdi, VdiRecord, Vif, Vm, VmRecord};

/// The environment, on VMs and disks.
pub(crate) const ENVIRONMENT: &str = "deploy-environment";
/// The machine, on VMs and disks.
pub(crate) const MACHINE: &str = "deploy-machine";
/// The last step that was done.
pub(crate) const DONE: &str = "deploy-done";
/// Which of a machine's further disks or NICs this is.
pub(crate) const NUMBER: &str = "deploy-number";

/// The UUID of the VM or disk that the marks were set on. A clone that somebody makes of it has the same marks and another
/// UUID: it is his, and none of ours.
pub(crate) const SELF: &str = "deploy-self";

/// The name that a machine has until it is one: whoever is killed while it is made can be cleaned up after. Nobody gives
/// it to a VM of his own by chance.
pub(crate) fn unfinished_name(environment: &str, machine: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [environment, "\0", machine] {
        hasher.update(part.as_bytes());
    }
    let sum: String = hasher
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("deploy {environment} {machine} {sum}")
}

/// Whether a VM is a machine of an environment, whole or not.
pub(crate) fn machine_of(record: &VmRecord, environment: &str) -> Option<String> {
    if record.is_a_snapshot {
        return None;
    }
    let marks = &record.other_config;
    if entry(marks, ENVIRONMENT) == Some(environment) && entry(marks, SELF) == Some(&record.uuid) {
        return entry(marks, MACHINE).map(str::to_owned);
    }
    let (machine, _) = record
        .name_label
        .strip_prefix("deploy ")?
        .strip_prefix(environment)?
        .strip_prefix(' ')?
        .rsplit_once(' ')?;
    (record.name_label == unfinished_name(environment, machine)).then(|| machine.to_owned())
}

/// Whether a disk was made for an environment. It has no mark of its own for the moment in which it is made.
pub(crate) fn is_disk_of(record: &VdiRecord, environment: &str) -> bool {
    let marks = &record.other_config;
    entry(marks, ENVIRONMENT) == Some(environment) && entry(marks, SELF).is_none_or(|uuid| uuid == record.uuid)
}

/// The entry of a map.
pub(crate) fn entry<'a>(map: &'a Map<String, String>, key: &str) -> Option<&'a str> {
    map.get(key).map(String::as_str)
}

/// Sets marks on a VM, also over those that a clone has from its template.
pub(crate) async fn mark_vm(client: &Client, vm: Ref<Vm>, marks: &[(&str, &str)]) -> xenapi::Result<()> {
    let vm = client.vm(vm);
    for (key, value) in marks {
        vm.remove_from_other_config(key).await?;
        vm.add_to_other_config(key, value).await?;
    }
    Ok(())
}

/// Takes marks away that a clone has from a template that was itself deployed.
pub(crate) async fn unmark(client: &Client, vm: Ref<Vm>, disks: &[Ref<Vdi>], vifs: &[Ref<Vif>]) -> xenapi::Result<()> {
    for key in [DONE, SELF] {
        client.vm(vm).remove_from_other_config(key).await?;
    }
    for disk in disks {
        for key in [NUMBER, SELF] {
            client.vdi(*disk).remove_from_other_config(key).await?;
        }
    }
    for vif in vifs {
        client.vif(*vif).remove_from_other_config(NUMBER).await?;
    }
    Ok(())
}

/// The same on a disk.
pub(crate) async fn mark_vdi(client: &Client, vdi: Ref<Vdi>, marks: &[(&str, &str)]) -> xenapi::Result<()> {
    let vdi = client.vdi(vdi);
    for (key, value) in marks {
        vdi.remove_from_other_config(key).await?;
        vdi.add_to_other_config(key, value).await?;
    }
    Ok(())
}

/// Destroyed by somebody else in the meantime is destroyed.
pub(crate) fn unless_gone(outcome: xenapi::Result<()>) -> xenapi::Result<()> {
    match outcome {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome,
    }
}

pub(crate) fn is_gone(error: &Error) -> bool {
    error.code() == Some(&ErrorCode::HandleInvalid)
}

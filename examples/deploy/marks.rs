//! How machines of an environment are known in the pool: entries of `other_config`, so that nothing else has to remember.

use xenapi::{Client, Error, ErrorCode, Map, Ref, Vdi, Vm, VmRecord};

/// The environment, on VMs and disks.
pub(crate) const ENVIRONMENT: &str = "deploy-environment";
/// The machine, on VMs and disks.
pub(crate) const MACHINE: &str = "deploy-machine";
/// The last step that was done.
pub(crate) const DONE: &str = "deploy-done";
/// Which of a machine's further disks or NICs this is.
pub(crate) const NUMBER: &str = "deploy-number";

/// The name that a machine has until it is one: whoever is killed while it is made can be cleaned up after.
pub(crate) fn unfinished_name(environment: &str, machine: &str) -> String {
    format!("deploy {environment} {machine}")
}

/// Whether a VM is a machine of an environment, whole or not.
pub(crate) fn machine_of(record: &VmRecord, environment: &str) -> Option<String> {
    if record.is_a_snapshot {
        return None;
    }
    if entry(&record.other_config, ENVIRONMENT) == Some(environment) {
        return entry(&record.other_config, MACHINE).map(str::to_owned);
    }
    let unfinished = record.name_label.strip_prefix("deploy ")?.strip_prefix(environment)?;
    unfinished.strip_prefix(' ').map(str::to_owned)
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

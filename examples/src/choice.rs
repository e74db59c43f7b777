//! Objects by the name or UUID that people give.

use anyhow::{Context, bail};
use xenapi::{Map, Object, Ref, Vm, VmRecord};

/// Finds the one object of a kind that has this name or UUID. `known_as` tells an object's name and UUID.
///
/// # Errors
/// Where there is none, or several: then their UUIDs are in the message.
pub fn named<'a, T: Object>(
    objects: &'a Map<Ref<T>, T::Record>,
    kind: &str,
    wanted: &str,
    known_as: impl Fn(&T::Record) -> (&str, &str),
) -> anyhow::Result<(Ref<T>, &'a T::Record)> {
    let is_wanted = |record| {
        let (name, uuid) = known_as(record);
        name == wanted || uuid == wanted
    };
    let found: Vec<_> = objects.iter().filter(|(_, record)| is_wanted(record)).collect();
    match found[..] {
        [(only, record)] => Ok((*only, record)),
        [] => bail!("the pool has no {kind} with the name or UUID {wanted:?}"),
        _ => {
            let uuids: String = found
                .iter()
                .map(|(_, record)| format!("\n  {}", known_as(record).1))
                .collect();
            bail!("{wanted:?} is the name of {}; say a UUID:{uuids}", found.len())
        }
    }
}

/// Finds the VM, snapshot or template with this name or UUID. Without one, the first VM by name that may be taken
/// unasked.
///
/// # Errors
/// Where none or several have the name, or none was named and none may be taken unasked.
pub fn choose_vm<'a>(
    vms: &'a Map<Ref<Vm>, VmRecord>,
    wanted: Option<&str>,
    unasked: impl Fn(&VmRecord) -> bool,
) -> anyhow::Result<(Ref<Vm>, &'a VmRecord)> {
    if let Some(wanted) = wanted {
        return named(vms, "VM, snapshot or template", wanted, |vm| (&vm.name_label, &vm.uuid));
    }
    let mut real: Vec<_> = vms.iter().filter(|(_, vm)| vm.is_real_vm()).collect();
    real.sort_by(|(_, a), (_, b)| (&a.name_label, &a.uuid).cmp(&(&b.name_label, &b.uuid)));
    let taken = real.iter().copied().find(|(_, vm)| unasked(vm));
    let (&vm, record) = taken.with_context(|| which(real.iter().map(|(_, vm)| *vm)))?;
    Ok((vm, record))
}

fn which<'a>(vms: impl Iterator<Item = &'a VmRecord>) -> String {
    let lines: String = vms
        .map(|vm| format!("\n  {:<32} {}", vm.name_label, vm.power_state.as_str().to_lowercase()))
        .collect();
    if lines.is_empty() {
        return "the pool has no VM".to_owned();
    }
    format!("which VM? Say --vm NAME or --vm UUID; the pool has{lines}")
}

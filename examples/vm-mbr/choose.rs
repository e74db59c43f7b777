//! Which VM is meant.

use anyhow::{Context, bail};
use xenapi::vm::PowerState;
use xenapi::{Map, Ref, Vm, VmRecord};

/// The VM that was asked for.
pub(crate) struct Choice<'a> {
    pub(crate) vm: Ref<Vm>,
    pub(crate) record: &'a VmRecord,
    /// The names and UUIDs of its snapshots.
    pub(crate) snapshots: Vec<String>,
}

/// Finds what has this name or UUID. Without one, a simulated pool offers its first halted VM.
pub(crate) fn find<'a>(
    vms: &'a Map<Ref<Vm>, VmRecord>,
    wanted: Option<&str>,
    simulated: bool,
) -> anyhow::Result<Choice<'a>> {
    let mut sorted: Vec<_> = vms.iter().collect();
    sorted.sort_by(|(_, a), (_, b)| (&a.name_label, &a.uuid).cmp(&(&b.name_label, &b.uuid)));
    let (&vm, record) = match wanted {
        Some(wanted) => named(&sorted, wanted)?,
        None => {
            sorted.retain(|(_, vm)| vm.is_real_vm());
            let halted = sorted.iter().find(|(_, vm)| vm.power_state == PowerState::Halted);
            *halted
                .filter(|_| simulated)
                .with_context(|| which(sorted.iter().map(|(_, vm)| *vm)))?
        }
    };
    let snapshots = record.snapshots.iter().filter_map(|snapshot| vms.get(snapshot));
    Ok(Choice {
        vm,
        record,
        snapshots: snapshots
            .map(|snapshot| format!("{:?} {}", snapshot.name_label, snapshot.uuid))
            .collect(),
    })
}

type Known<'a> = (&'a Ref<Vm>, &'a VmRecord);

fn named<'a>(vms: &[Known<'a>], wanted: &str) -> anyhow::Result<Known<'a>> {
    let matches = |vm: &VmRecord| vm.name_label == wanted || vm.uuid == wanted;
    let found: Vec<_> = vms.iter().filter(|(_, vm)| matches(vm)).collect();
    match found[..] {
        [&only] => Ok(only),
        [] => bail!("the pool has no VM, snapshot or template with the name or UUID {wanted:?}"),
        _ => {
            let lines: String = found
                .iter()
                .map(|(_, vm)| format!("\n  {}  {}", vm.uuid, kind(vm)))
                .collect();
            bail!("{wanted:?} is the name of {}; say --vm UUID:{lines}", found.len())
        }
    }
}

fn which<'a>(vms: impl Iterator<Item = &'a VmRecord>) -> String {
    let lines: String = vms
        .map(|vm| format!("\n  {:<32} {}", vm.name_label, kind(vm)))
        .collect();
    if lines.is_empty() {
        return "the pool has no VM".to_owned();
    }
    format!("which VM? Say --vm NAME or --vm UUID; the pool has{lines}")
}

fn kind(vm: &VmRecord) -> String {
    let state = vm.power_state.as_str().to_lowercase();
    match vm {
        _ if vm.is_a_snapshot => "snapshot".to_owned(),
        _ if vm.is_control_domain => "control domain".to_owned(),
        _ if vm.is_a_template || vm.is_default_template => "template".to_owned(),
        _ => format!("VM, {state}"),
    }
}

//! Objects by the name or UUID that people give.

use anyhow::{Context, bail};
use xenapi::{Map, Object, Ref, SrRecord, Vm, VmRecord};

/// What people tell objects of a kind apart by.
pub trait Nameable {
    /// What the kind is called in an error.
    const KIND: &'static str;

    /// The name that people gave it.
    fn name(&self) -> &str;

    /// Its UUID.
    fn uuid(&self) -> &str;

    /// What sort of its kind it is, where several have one name.
    fn sort(&self) -> String;
}

impl Nameable for VmRecord {
    const KIND: &'static str = "VM, snapshot or template";

    fn name(&self) -> &str {
        &self.name_label
    }

    fn uuid(&self) -> &str {
        &self.uuid
    }

    fn sort(&self) -> String {
        match self {
            _ if self.is_a_snapshot => "snapshot".to_owned(),
            _ if self.is_control_domain => "control domain".to_owned(),
            _ if self.is_a_template || self.is_default_template => "template".to_owned(),
            _ => format!("VM, {}", self.power_state.as_str().to_lowercase()),
        }
    }
}

impl Nameable for SrRecord {
    const KIND: &'static str = "SR";

    fn name(&self) -> &str {
        &self.name_label
    }

    fn uuid(&self) -> &str {
        &self.uuid
    }

    fn sort(&self) -> String {
        self.kind.clone()
    }
}

/// Finds the one object of a kind that has this name or UUID.
///
/// # Errors
/// Where there is none, or several: then their UUIDs are in the message.
pub fn named<'a, T: Object>(
    objects: &'a Map<Ref<T>, T::Record>,
    wanted: &str,
) -> anyhow::Result<(Ref<T>, &'a T::Record)>
where
    T::Record: Nameable,
{
    let is_wanted = |record: &T::Record| record.name() == wanted || record.uuid() == wanted;
    let found: Vec<_> = objects.iter().filter(|(_, record)| is_wanted(record)).collect();
    match found[..] {
        [(only, record)] => Ok((*only, record)),
        [] => bail!("the pool has no {} with the name or UUID {wanted:?}", T::Record::KIND),
        _ => {
            let lines: String = found
                .iter()
                .map(|(_, record)| format!("\n  {}  {}", record.uuid(), record.sort()))
                .collect();
            bail!("{wanted:?} is the name of {}; say a UUID:{lines}", found.len())
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
        return named(vms, wanted);
    }
    let mut real: Vec<_> = vms.iter().filter(|(_, vm)| vm.is_real_vm()).collect();
    real.sort_by(|(_, a), (_, b)| (&a.name_label, &a.uuid).cmp(&(&b.name_label, &b.uuid)));
    let taken = real.iter().copied().find(|(_, vm)| unasked(vm));
    let (&vm, record) = taken.with_context(|| which(real.iter().map(|(_, vm)| *vm)))?;
    Ok((vm, record))
}

fn which<'a>(vms: impl Iterator<Item = &'a VmRecord>) -> String {
    let lines: String = vms
        .map(|vm| format!("\n  {:<32} {}", vm.name_label, vm.sort()))
        .collect();
    if lines.is_empty() {
        return "the pool has no VM".to_owned();
    }
    format!("which VM? Say --vm NAME or --vm UUID; the pool has{lines}")
}

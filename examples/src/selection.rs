//! Many VMs at once, by what people call them.

use anyhow::{Context, bail, ensure};
use clap::Args;
use glob::Pattern;
use xenapi::{Map, Ref, Vm, VmRecord};

/// The entry of `other_config` that XenCenter and Xen Orchestra keep a VM's folder in.
const FOLDER: &str = "folder";

/// Which VMs are meant. Templates, snapshots and control domains never are.
#[derive(Args, Debug)]
pub struct Selection {
    /// VMs by name, UUID, pattern ('web-*') or tag (tag:lab)
    #[arg(value_name = "VM", required_unless_present_any = ["all_in", "all"])]
    vms: Vec<String>,
    /// Every VM in this folder and those below it, such as /Lab/Windows
    #[arg(long, value_name = "FOLDER")]
    all_in: Option<String>,
    /// Every VM of the pool
    #[arg(long, conflicts_with_all = ["vms", "all_in"])]
    all: bool,
}

/// A VM that was meant.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The VM.
    pub vm: Ref<Vm>,
    /// What it was when it was looked up.
    pub record: VmRecord,
}

impl Selection {
    /// The VMs that these words mean, as if they were typed.
    pub fn of(words: impl IntoIterator<Item = String>) -> Self {
        Self {
            vms: words.into_iter().collect(),
            all_in: None,
            all: false,
        }
    }

    /// The VMs that are meant, each once: in the order in which they were named, and by name within one pattern.
    ///
    /// # Errors
    /// Where a name, a pattern, a tag or the folder fits no VM, or a name fits several.
    pub fn choose(&self, vms: &Map<Ref<Vm>, VmRecord>) -> anyhow::Result<Vec<Chosen>> {
        let mut real: Vec<_> = vms.iter().filter(|(_, vm)| vm.is_real_vm()).collect();
        real.sort_by(|(_, a), (_, b)| (&a.name_label, &a.uuid).cmp(&(&b.name_label, &b.uuid)));
        let mut chosen: Vec<Chosen> = Vec::new();
        let mut add = |fits: &dyn Fn(&VmRecord) -> bool| {
            let mut count = 0;
            for &(&vm, record) in real.iter().filter(|(_, record)| fits(record)) {
                count += 1;
                if chosen.iter().all(|known| known.vm != vm) {
                    chosen.push(Chosen {
                        vm,
                        record: record.clone(),
                    });
                }
            }
            count
        };
        if self.all {
            ensure!(add(&|_| true) > 0, "the pool has no VM");
        }
        if let Some(folder) = &self.all_in {
            let folder = folder.trim_end_matches('/');
            let found = add(&|vm| is_in(vm, folder));
            ensure!(found > 0, "no VM is in the folder {folder:?}");
        }
        for wanted in &self.vms {
            let found = match wanted.strip_prefix("tag:") {
                Some(tag) => add(&|vm| vm.tags.iter().any(|known| known == tag)),
                None if wanted.contains(['*', '?', '[']) => {
                    let pattern = Pattern::new(wanted).with_context(|| format!("{wanted:?} is no pattern"))?;
                    add(&|vm| pattern.matches(&vm.name_label))
                }
                None => match add(&|vm| vm.name_label == *wanted || vm.uuid == *wanted) {
                    several @ 2.. => bail!("{several} VMs are called {wanted:?}; say their UUIDs"),
                    found => found,
                },
            };
            ensure!(found > 0, "no VM fits {wanted:?}");
        }
        Ok(chosen)
    }
}

fn is_in(vm: &VmRecord, folder: &str) -> bool {
    let entry = vm.other_config.iter().find(|(key, _)| *key == FOLDER);
    let below = entry.and_then(|(_, path)| path.strip_prefix(folder));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

//! One ISO into many VMs, eight at a time, and out again.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use xenapi::vbd::VbdType;
use xenapi::{Ref, Vdi, Vm, VmRecord, bulk};
use xenapi_examples::{Pool, Printable};

use crate::Inventory;

const MOST: usize = 40;
const AT_ONCE: usize = 8;

/// Which ISO goes where.
pub(crate) struct Plan<'a> {
    iso: Ref<Vdi>,
    name: String,
    targets: Vec<(Ref<Vm>, &'a str)>,
    /// How many VMs stay as they are because they have no empty drive.
    left: usize,
}

impl<'a> Plan<'a> {
    /// Takes the first VMs with an empty CD drive: a disc that is in one belongs to somebody.
    pub(crate) async fn make(
        pool: &Pool,
        inventory: &Inventory,
        vms: &[(Ref<Vm>, &'a VmRecord)],
        wanted: Option<&str>,
    ) -> anyhow::Result<Self> {
        let isos = pool.isos().await?;
        let (iso, record) = isos
            .into_iter()
            .find(|(_, iso)| wanted.is_none_or(|name| *name == iso.name_label))
            .with_context(|| match wanted {
                Some(name) => format!("the pool has no ISO called {name:?}"),
                None => "the pool has no ISO".to_owned(),
            })?;
        let (targets, left): (Vec<_>, Vec<_>) = vms.iter().partition(|(_, vm)| has_empty_drive(inventory, vm));
        let targets: Vec<_> = targets
            .into_iter()
            .map(|&(vm, record)| (vm, record.name_label.as_str()))
            .collect();
        Ok(Self {
            iso,
            name: record.name_label,
            targets: targets.into_iter().take(MOST).collect(),
            left: left.len(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Inserts it. After ctrl-c what has begun goes on and nothing more begins, so that all of it can be ejected.
    pub(crate) async fn insert(&self, pool: &Pool) -> Option<Report<'a>> {
        self.each(|vm| {
            let insert = pool.vm(vm).insert_iso(self.iso);
            async move {
                if pool.is_interrupted() {
                    return Ok(());
                }
                insert.await
            }
        })
        .await
    }

    /// Empties the drives.
    pub(crate) async fn eject(&self, pool: &Pool) -> Option<Report<'a>> {
        self.each(|vm| pool.vm(vm).eject_iso()).await
    }

    async fn each<F: Future<Output = xenapi::Result<()>>>(&self, call: impl Fn(Ref<Vm>) -> F) -> Option<Report<'a>> {
        if self.is_empty() {
            return None;
        }
        let bar = ProgressBar::new(self.targets.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos}/{len}") {
            bar.set_style(style);
        }
        let (began, shown) = (Instant::now(), bar.clone());
        let results = bulk(self.targets.iter().map(|&(vm, _)| call(vm)))
            .concurrency(AT_ONCE)
            .on_done(move |done| shown.set_position(done as u64))
            .run()
            .await;
        bar.finish_and_clear();
        let names = self.targets.iter().map(|&(_, name)| name);
        Some(Report {
            all: results.len(),
            took: began.elapsed(),
            failed: names
                .zip(results)
                .filter_map(|(name, result)| Some((name, result.err()?)))
                .collect(),
        })
    }
}

fn has_empty_drive(inventory: &Inventory, vm: &VmRecord) -> bool {
    let drives = vm.vbds.iter().filter_map(|vbd| inventory.vbds.get(vbd));
    let mut drives = drives.filter(|vbd| vbd.kind == VbdType::Cd).peekable();
    drives.peek().is_some() && drives.all(|drive| drive.empty)
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, count) = (Printable(&self.name), self.targets.len());
        write!(f, "Inserting {name} into {count} VMs")?;
        if self.left > 0 {
            write!(f, " ({} without an empty CD drive stay as they are)", self.left)?;
        }
        f.write_str(if count == 0 { "." } else { ":" })
    }
}

/// How it went.
pub(crate) struct Report<'a> {
    all: usize,
    took: Duration,
    failed: Vec<(&'a str, xenapi::Error)>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, error) in &self.failed {
            writeln!(f, "  {}: {}", Printable(name), Printable(&error.to_string()))?;
        }
        let (done, failed) = (self.all - self.failed.len(), self.failed.len());
        write!(f, "  {done} done in {:.1?}, {failed} failed.", self.took)
    }
}

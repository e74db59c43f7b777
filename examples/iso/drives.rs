//! Images into drives, and out of them.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use xenapi::vm::PowerState;
use xenapi::{Client, Map, Ref, Result, Vdi, VdiRecord, Vm, VmRecord};
use xenapi_examples::{Batch, Job, Pool, Printable, Selection, note};

#[derive(Args)]
pub(crate) struct InsertFlags {
    /// The image, by its name or UUID
    #[arg(value_name = "ISO")]
    iso: String,
    #[command(flatten)]
    vms: Selection,
    #[command(flatten)]
    batch: Batch,
    /// Boot from it once: VMs that run are rebooted hard, the others are started
    #[arg(long)]
    reboot_to_cd: bool,
}

#[derive(Args)]
pub(crate) struct EjectFlags {
    #[command(flatten)]
    vms: Selection,
    #[command(flatten)]
    batch: Batch,
}

pub(crate) async fn insert(pool: &Pool, flags: &InsertFlags) -> anyhow::Result<ExitCode> {
    let lookup = async { tokio::try_join!(pool.isos(), pool.vms().all_records()) };
    let (isos, vms) = pool.unless_interrupted(lookup).await?;
    let (iso, record) = one(&isos, &flags.iso)?;
    let name = Printable(&record.name_label).to_string();
    let chosen = flags.vms.choose(&vms)?;
    let to_cd = flags.reboot_to_cd;
    let job = |vm: Ref<Vm>, chosen: &xenapi_examples::Chosen| {
        let plan = match to_cd {
            true => format!("insert {name} and boot from it"),
            false => format!("insert {name}"),
        };
        let (client, record) = ((**pool).clone(), chosen.record.clone());
        let done = format!("has {name}");
        Job {
            plan,
            work: Box::pin(async move {
                if to_cd {
                    ensure_bootable(&client, vm).await?;
                }
                client.vm(vm).insert_iso(iso).await?;
                if to_cd {
                    boot_from_cd(&client, vm, &record).await?;
                }
                Ok(done)
            }),
        }
    };
    flags.batch.run(pool, chosen, job).await
}

pub(crate) async fn eject(pool: &Pool, flags: &EjectFlags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let chosen = flags.vms.choose(&vms)?;
    let job = |vm: Ref<Vm>, _: &xenapi_examples::Chosen| {
        let client = (**pool).clone();
        Job {
            plan: "empty its drives".to_owned(),
            work: Box::pin(async move {
                client.vm(vm).eject_iso().await?;
                Ok("its drives are empty".to_owned())
            }),
        }
    };
    flags.batch.run(pool, chosen, job).await
}

/// The image that is meant.
fn one<'a>(isos: &'a [(Ref<Vdi>, VdiRecord)], wanted: &str) -> anyhow::Result<(Ref<Vdi>, &'a VdiRecord)> {
    let is_wanted = |iso: &VdiRecord| iso.name_label == wanted || iso.uuid == wanted;
    let found: Vec<_> = isos.iter().filter(|(_, iso)| is_wanted(iso)).collect();
    match found[..] {
        [(iso, record)] => Ok((*iso, record)),
        [] => {
            let close = isos.iter().map(|(_, iso)| iso.name_label.as_str());
            let close: Vec<_> = close
                .filter(|name| name.to_lowercase().contains(&wanted.to_lowercase()))
                .collect();
            let hint = match close[..] {
                [] => "`iso ls` lists what there is, `iso sr-scan` looks for new ones".to_owned(),
                _ => format!("do you mean {}?", close.join(", ")),
            };
            bail!("no library has an image {wanted:?}; {hint}")
        }
        _ => bail!(
            "{} libraries have an image {wanted:?}; say its UUID, which `iso ls --json` tells",
            found.len()
        ),
    }
}

/// A VM that is suspended would lose its memory.
async fn ensure_bootable(client: &Client, vm: Ref<Vm>) -> anyhow::Result<()> {
    match client.vm(vm).power_state().await? {
        PowerState::Halted | PowerState::Running | PowerState::Paused => Ok(()),
        state => bail!("it is {state}, and a reboot would throw its memory away: resume it or shut it down first"),
    }
}

/// Boots the VM once from its drive. The order is read when the VM starts, so that it is put back right after.
async fn boot_from_cd(client: &Client, reference: Ref<Vm>, record: &VmRecord) -> anyhow::Result<()> {
    let vm = client.vm(reference);
    let before = BootOrder {
        client: client.clone(),
        vm: reference,
        params: Some(record.hvm_boot_params.clone()),
    };
    let mut from_cd = record.hvm_boot_params.clone();
    from_cd.insert("order".to_owned(), "dcn".to_owned());
    vm.set_hvm_boot_params(&from_cd).await?;
    let booted = match vm.power_state().await? {
        PowerState::Halted => vm.start(false, false).await,
        _ => vm.hard_reboot().await,
    };
    let restored = before.restore().await;
    booted?;
    restored.context("it booted from the drive, but its boot order could not be put back")
}

/// The boot order that a VM had. It is put back also where the work is given up, or every later boot would start the
/// installer again.
struct BootOrder {
    client: Client,
    vm: Ref<Vm>,
    params: Option<Map<String, String>>,
}

impl BootOrder {
    async fn restore(mut self) -> Result<()> {
        match self.params.take() {
            Some(params) => self.client.vm(self.vm).set_hvm_boot_params(&params).await,
            None => Ok(()),
        }
    }
}

impl Drop for BootOrder {
    fn drop(&mut self) {
        let Some(params) = self.params.take() else { return };
        let call = self.client.vm(self.vm).set_hvm_boot_params(&params);
        tokio::spawn(async move {
            if let Err(error) = call.await {
                note(format!("the boot order of a VM could not be put back: {error}"));
            }
        });
    }
}

//! A new VM out of a backup.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use vhd_mbr::xen_disk::Window;
use xenapi::vdi::VdiType;
use xenapi::{Map, Network, NetworkRecord, Ref, Sr, Vdi, VdiRecord, Vm};
use xenapi_examples::{AnyDisk, NewNic, NewVm, Pool, Printable, destroy_disk, ensure_equal, named, note, upload};

use crate::Which;
use crate::manifest::Manifest;
use crate::store::Store;

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    which: Which,
    /// The new VM's name
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// The storage for its disks, by name or UUID; otherwise the pool's default
    #[arg(long, value_name = "NAME")]
    sr: Option<String>,
    /// A NIC on this network, in place of those that the VM had; several may be given
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// With the MAC addresses that the VM had, which must be gone
    #[arg(long, conflicts_with = "networks")]
    same_macs: bool,
    /// What the VM is made from
    #[arg(long, value_name = "NAME", default_value = "Other install media")]
    template: String,
    /// Only say what would be made
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(pool: &Pool, store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let backup = store.find(&flags.which).await?;
    let all = async {
        tokio::try_join!(
            pool.vms().all_records(),
            pool.srs().all_records(),
            pool.networks().all_records(),
            pool.pools().all_records(),
        )
    };
    let (vms, srs, networks, pools) = pool.unless_interrupted(all).await?;
    let template = named(&vms, &flags.template)?.0;
    let sr = match &flags.sr {
        Some(wanted) => named(&srs, wanted)?.0,
        None => {
            let standard = pools.values().map(|pool| pool.default_sr).find(|sr| !sr.is_null());
            standard.context("the pool has no default SR: say --sr")?
        }
    };
    let nics = nics(flags, &backup, &networks)?;
    if flags.dry_run {
        note(format!(
            "Would make the VM {} of the backup {} with {} disks.",
            Printable(&flags.name),
            backup.id,
            backup.disks.len()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut disks = Vec::new();
    let outcome = restore(pool, store, &backup, flags, template, sr, &nics, &mut disks).await;
    if let Err(error) = outcome {
        for (_, disk) in disks {
            if let Err(left) = destroy_disk(pool, disk).await {
                return Err(error.context(format!("and a disk of it is left on the pool: {left}")));
            }
        }
        return Err(error.context("nothing of it is left on the pool"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The NICs that the new VM gets: those that are said, or those that the VM had, where their networks are.
fn nics(flags: &Flags, backup: &Manifest, networks: &Map<Ref<Network>, NetworkRecord>) -> anyhow::Result<Vec<NewNic>> {
    let find = |wanted: &dyn Fn(&NetworkRecord) -> bool| networks.iter().find(|(_, record)| wanted(record));
    if !flags.networks.is_empty() {
        let said = flags.networks.iter().enumerate().map(|(number, wanted)| {
            let found = find(&|network| network.name_label == *wanted || network.uuid == *wanted);
            let found = found.with_context(|| format!("the pool has no network {wanted:?}"))?;
            Ok(NewNic {
                device: number.to_string(),
                network: *found.0,
                mac: None,
            })
        });
        return said.collect();
    }
    let mut nics = Vec::new();
    for nic in &backup.nics {
        let found = find(&|network| network.uuid == nic.network);
        let found = found.or_else(|| find(&|network| network.name_label == nic.network_name));
        match found {
            Some((network, _)) => nics.push(NewNic {
                device: nic.device.clone(),
                network: *network,
                mac: flags.same_macs.then(|| nic.mac.clone()),
            }),
            None => note(format!(
                "NIC {} is left out: the pool has no network {}",
                nic.device,
                Printable(&nic.network_name)
            )),
        }
    }
    Ok(nics)
}

#[expect(clippy::too_many_arguments, reason = "each is another thing that was looked up")]
async fn restore(
    pool: &Pool,
    store: &Store,
    backup: &Manifest,
    flags: &Flags,
    template: Ref<Vm>,
    sr: Ref<Sr>,
    nics: &[NewNic],
    disks: &mut Vec<(String, Ref<Vdi>)>,
) -> anyhow::Result<()> {
    for disk in &backup.disks {
        // Damage is found before anything of it is on the pool.
        let check = async {
            for part in store.parts(backup, disk).await? {
                store.check(&part).await?;
            }
            anyhow::Ok(())
        };
        pool.unless_interrupted(check).await?;
        let mut record = VdiRecord::default();
        record.name_label.clone_from(&disk.name);
        record.sr = sr;
        record.kind = VdiType::User;
        record.virtual_size = i64::try_from(disk.size_bytes)?;
        let vdi = pool.vdis().create(&record).await.context("the disk cannot be made")?;
        disks.push((disk.position.clone(), vdi));
        // A VHD may be longer than its disk.
        let opened: AnyDisk = Box::new(Window::new(store.open(backup, disk).await?, 0, disk.size_bytes));
        let opened = Arc::new(opened);
        let fill = async {
            upload(pool, vdi, &opened).await?;
            ensure_equal(pool, vdi, &opened).await
        };
        pool.unless_interrupted(fill).await?;
    }
    let new = NewVm {
        name: &flags.name,
        template,
        cpus: backup.cpus,
        memory: backup.memory_bytes,
        firmware: &backup.firmware,
        disks,
        nics,
    };
    let vm = new.make(pool).await?;
    note(format!(
        "The VM {} is made: {}",
        Printable(&flags.name),
        pool.vm(vm).uuid().await?
    ));
    Ok(())
}

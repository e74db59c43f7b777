//! SRs that hosts are to let go of.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use xenapi::{PbdRecord, Ref, Sr, SrRecord};
use xenapi_examples::{Pool, Printable, confirm, named, note};

use crate::place::in_words;

#[derive(Args)]
pub(crate) struct DetachFlags {
    /// The SR, by name or UUID
    #[arg(value_name = "SR")]
    sr: String,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
pub(crate) struct ForgetFlags {
    #[command(flatten)]
    detach: DetachFlags,
    /// Do not ask, also where VMs have disks on it
    #[arg(long)]
    yes: bool,
}

/// An SR, and what hangs on it.
struct Found {
    sr: Ref<Sr>,
    record: SrRecord,
    /// Those that are attached, with the names of their hosts.
    attached: Vec<(Ref<xenapi::Pbd>, String)>,
    /// Where it is.
    place: String,
    /// VMs with disks on it, by their names; snapshots and templates too.
    owners: BTreeSet<String>,
}

pub(crate) async fn detach(pool: &Pool, flags: &DetachFlags) -> anyhow::Result<ExitCode> {
    let found = find(pool, &flags.sr).await?;
    let name = Printable(&found.record.name_label);
    if flags.dry_run {
        for (_, host) in &found.attached {
            writeln!(io::stdout(), "would detach {name} from {}", Printable(host))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    unplug(pool, &found).await?;
    note(format!("{name} is detached; attach {name} brings it back"));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn forget(pool: &Pool, flags: &ForgetFlags) -> anyhow::Result<ExitCode> {
    let found = find(pool, &flags.detach.sr).await?;
    let name = Printable(&found.record.name_label);
    let owners: Vec<_> = found.owners.iter().map(|owner| Printable(owner).to_string()).collect();
    if flags.detach.dry_run {
        let hosts = found.attached.len();
        writeln!(io::stdout(), "would detach {name} from {hosts} hosts and forget it")?;
        if !owners.is_empty() {
            writeln!(io::stdout(), "these would lose disks: {}", owners.join(", "))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.yes {
        note(format!(
            "{name} is at {} with the UUID {}.",
            Printable(&found.place),
            found.record.uuid
        ));
        if !owners.is_empty() {
            note(format!("These lose their disks on it, for good: {}", owners.join(", ")));
        }
        confirm("Forget it?").await?;
    }
    unplug(pool, &found).await?;
    pool.unless_interrupted(pool.sr(found.sr).forget()).await?;
    note(format!(
        "{name} is forgotten; its data is where it was: {} {}",
        Printable(&found.place),
        found.record.uuid
    ));
    Ok(ExitCode::SUCCESS)
}

async fn find(pool: &Pool, wanted: &str) -> anyhow::Result<Found> {
    let records = async {
        tokio::try_join!(
            pool.srs().all_records(),
            pool.pbds().all_records(),
            pool.hosts().all_records(),
            pool.vdis().all_records(),
            pool.vbds().all_records(),
            pool.vms().all_records()
        )
    };
    let (srs, pbds, hosts, vdis, vbds, vms) = pool.unless_interrupted(records).await?;
    let (sr, record) = named(&srs, wanted)?;
    let of_sr: Vec<(Ref<xenapi::Pbd>, &PbdRecord)> = record
        .pbds
        .iter()
        .filter_map(|pbd| Some((*pbd, pbds.get(pbd)?)))
        .collect();
    let mut owners = BTreeSet::new();
    let mut users = BTreeSet::new();
    for vbd in record
        .vdis
        .iter()
        .filter_map(|vdi| vdis.get(vdi))
        .flat_map(|vdi| &vdi.vbds)
    {
        let Some(vbd) = vbds.get(vbd) else { continue };
        let Some(vm) = vms.get(&vbd.vm) else { continue };
        if vbd.currently_attached {
            users.insert(Printable(&vm.name_label).to_string());
        }
        owners.insert(vm.name_label.clone());
    }
    ensure!(
        users.is_empty(),
        "{} is in use by {}: shut them down or eject their CDs first",
        Printable(&record.name_label),
        users.into_iter().collect::<Vec<_>>().join(", ")
    );
    let host_of = |pbd: &PbdRecord| hosts.get(&pbd.host).map(|host| host.name_label.clone());
    Ok(Found {
        sr,
        attached: of_sr
            .iter()
            .filter(|(_, pbd)| pbd.currently_attached)
            .map(|(reference, pbd)| (*reference, host_of(pbd).unwrap_or_default()))
            .collect(),
        place: of_sr
            .first()
            .map(|(_, pbd)| in_words(&record.kind, &pbd.device_config))
            .unwrap_or_default(),
        owners,
        record: record.clone(),
    })
}

async fn unplug(pool: &Pool, found: &Found) -> anyhow::Result<()> {
    for (pbd, host) in &found.attached {
        let unplugged = pool.unless_interrupted(pool.pbd(*pbd).unplug()).await;
        unplugged.with_context(|| format!("{} does not let go of it", Printable(host)))?;
        writeln!(io::stdout(), "{}: detached", Printable(host))?;
    }
    Ok(())
}

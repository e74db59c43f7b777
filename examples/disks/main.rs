//! How big are the disks of a pool, whose are they, and what could go?
//!
//!     cargo run --example disks -- --url https://10.0.0.2 --pin 3f:9a:…
//!     cargo run --example disks -- --vm web-01
//!     cargo run --example disks -- --unused --json
//!
//! Sizes are as old as the storage's last scan; `--scan` has it look first. Without --url it is a simulated pool.

mod meaning;
mod survey;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi::{Ref, SrRecord, Vdi, VdiRecord};
use xenapi_examples::{Connection, Listing, Pool, Printable, arguments, finish, note};

use crate::survey::{Role, Survey};

/// How big the disks of a pool are, whose they are, and what could go
#[derive(Parser)]
struct Flags {
    /// Only the disks of this VM, by name or UUID, with their snapshots and what is below them
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// Only this storage, by name or UUID
    #[arg(long, value_name = "NAME")]
    sr: Option<String>,
    /// Only disks that no VM has
    #[arg(long)]
    unused: bool,
    /// Have the storage look again before: seconds to minutes for each
    #[arg(long)]
    scan: bool,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| run(pool, &flags).await;
    finish(flags.listing.run(&flags.connection, "disks", work).await)
}

async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<Option<Value>> {
    if flags.scan {
        scan(pool, flags).await?;
    }
    let records = async {
        tokio::try_join!(
            pool.srs().all_records(),
            pool.vdis().all_records(),
            pool.vbds().all_records(),
            pool.vms().all_records(),
            pool.pbds().all_records(),
            pool.hosts().all_records()
        )
    };
    let (srs, vdis, vbds, vms, pbds, hosts) = pool.unless_interrupted(records).await?;
    let local = pbds
        .values()
        .filter(|pbd| srs.get(&pbd.sr).is_some_and(|sr| !sr.shared));
    let local = local.filter_map(|pbd| Some((pbd.sr, hosts.get(&pbd.host)?.name_label.clone())));
    let local = local.collect();
    let survey = Survey::new(srs, vdis, vbds, vms, local);
    let wanted = Wanted::new(flags, &survey)?;
    let mut out = io::stdout().lock();
    let listed = survey.storage().into_iter().filter(|(_, sr)| wanted.has_storage(sr));
    if flags.listing.json {
        let document = listed
            .map(|(reference, sr)| {
                let disks = survey.disks_of(reference).into_iter();
                let disks = disks.filter(|(vdi, disk)| wanted.has(*vdi, disk));
                let disks: Vec<_> = disks.map(|(vdi, disk)| disk_as_json(&survey, vdi, disk)).collect();
                storage_as_json(
                    sr,
                    survey.hosts.get(&reference),
                    survey.could_be_freed(reference),
                    disks,
                )
            })
            .collect();
        return Ok(Some(document));
    }
    for (reference, sr) in listed {
        let disks = survey.disks_of(reference);
        let disks: Vec<_> = disks.into_iter().filter(|(vdi, disk)| wanted.has(*vdi, disk)).collect();
        if disks.is_empty() && !wanted.is_everything() {
            continue;
        }
        print_storage(&mut out, sr, survey.hosts.get(&reference))?;
        for (vdi, disk) in disks {
            print_disk(&mut out, &survey, vdi, disk)?;
        }
        let free = survey.could_be_freed(reference);
        if free > 0 {
            writeln!(
                out,
                "  {} could be freed: no VM has the disks marked with *",
                Size(free)
            )?;
        }
    }
    Ok(None)
}

/// What the flags choose.
struct Wanted<'a> {
    flags: &'a Flags,
    survey: &'a Survey,
    /// The VM's disks, their snapshots and the images below them.
    of_vm: Option<Vec<Ref<Vdi>>>,
}

impl<'a> Wanted<'a> {
    fn new(flags: &'a Flags, survey: &'a Survey) -> anyhow::Result<Self> {
        let of_vm = flags.vm.as_deref().map(|name| of_vm(survey, name)).transpose()?;
        if let Some(name) = &flags.sr {
            let known = survey.storage().into_iter().any(|(_, sr)| is_called(sr, name));
            ensure!(
                known,
                "there is no storage for disks called {:?}",
                Printable(name).to_string()
            );
        }
        Ok(Self { flags, survey, of_vm })
    }

    fn is_everything(&self) -> bool {
        self.of_vm.is_none() && !self.flags.unused
    }

    fn has_storage(&self, sr: &SrRecord) -> bool {
        self.flags.sr.as_ref().is_none_or(|name| is_called(sr, name))
    }

    fn has(&self, vdi: Ref<Vdi>, disk: &VdiRecord) -> bool {
        self.of_vm.as_ref().is_none_or(|disks| disks.contains(&vdi))
            && (!self.flags.unused || self.survey.role(disk).could_go())
    }
}

fn is_called(sr: &SrRecord, name: &str) -> bool {
    sr.name_label == name || sr.uuid == name
}

fn of_vm(survey: &Survey, name: &str) -> anyhow::Result<Vec<Ref<Vdi>>> {
    let vms = survey
        .vms
        .values()
        .filter(|vm| vm.name_label == name || vm.uuid == name);
    let vms: Vec<_> = vms.filter(|vm| !vm.is_a_snapshot).collect();
    ensure!(
        !vms.is_empty(),
        "there is no VM called {:?}",
        Printable(name).to_string()
    );
    let disks = vms.iter().flat_map(|vm| vm.disks(&survey.vbds, &survey.vdis));
    let own: Vec<Ref<Vdi>> = disks.map(|disk| disk.vbd.vdi).collect();
    let snapshots = survey.vdis.iter().filter(|(_, disk)| own.contains(&disk.snapshot_of));
    let with_snapshots = own.iter().copied().chain(snapshots.map(|(vdi, _)| *vdi));
    Ok(with_snapshots.flat_map(|vdi| survey.chain(vdi)).collect())
}

async fn scan(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    for (sr, record) in &pool.unless_interrupted(pool.srs().all_records()).await? {
        if flags.sr.as_ref().is_none_or(|name| is_called(record, name)) && record.content_type != "iso" {
            let scanned = pool.unless_interrupted(pool.sr(*sr).scan()).await;
            if let Err(error) = scanned {
                note(format!(
                    "{} could not be scanned: {error:#}",
                    Printable(&record.name_label)
                ));
            }
        }
    }
    Ok(())
}

fn size(bytes: i64) -> String {
    u64::try_from(bytes).map_or("?".to_owned(), |bytes| Size(bytes).to_string())
}

fn print_storage(out: &mut impl Write, sr: &SrRecord, host: Option<&String>) -> io::Result<()> {
    let place = host.map_or(String::new(), |host| format!(" of {}", Printable(host)));
    writeln!(
        out,
        "{}{place} ({}): {} of {} taken, {} promised; {}",
        Printable(&sr.name_label),
        Printable(&sr.kind),
        size(sr.physical_utilisation),
        size(sr.physical_size),
        size(sr.virtual_allocation),
        meaning::of(sr)
    )?;
    writeln!(out, "  {:>9} {:>9}  {:<32} WHOSE", "SIZE", "TAKES", "DISK")
}

fn print_disk(out: &mut impl Write, survey: &Survey, vdi: Ref<Vdi>, disk: &VdiRecord) -> io::Result<()> {
    let role = survey.role(disk);
    let name = if disk.name_label.is_empty() {
        &disk.uuid
    } else {
        &disk.name_label
    };
    let mut told = whose(survey, disk, role);
    let depth = survey.chain(vdi).len();
    if depth > 1 && role != Role::Parent {
        told += &format!("; {depth} images deep");
    }
    writeln!(
        out,
        "{} {:>9} {:>9}  {:<32} {told}",
        if role.could_go() { '*' } else { ' ' },
        size(disk.virtual_size),
        size(disk.physical_utilisation),
        Printable(name).to_string(),
    )
}

fn whose(survey: &Survey, disk: &VdiRecord, role: Role) -> String {
    let users: Vec<_> = survey
        .users(disk)
        .iter()
        .map(|user| {
            let snapshot = if user.vm.is_a_snapshot { "snapshot " } else { "" };
            let device = if user.vbd.device.is_empty() {
                "not attached"
            } else {
                &user.vbd.device
            };
            format!(
                "{snapshot}{} {} ({})",
                Printable(&user.vm.name_label),
                Printable(&user.vbd.userdevice),
                Printable(device)
            )
        })
        .collect();
    match role {
        Role::Used => users.join(", "),
        Role::Snapshot => "a snapshot of a disk that is there".to_owned(),
        Role::Parent => "below other images".to_owned(),
        Role::Service => format!("the server's own ({})", disk.kind),
        Role::Unused => "nobody's".to_owned(),
        Role::Leftover => "a snapshot of a disk that is gone".to_owned(),
    }
}

fn storage_as_json(sr: &SrRecord, host: Option<&String>, could_be_freed: u64, disks: Vec<Value>) -> Value {
    json!({
        "name": sr.name_label,
        "uuid": sr.uuid,
        "host": host,
        "kind": sr.kind,
        "physical_size": sr.physical_size,
        "physical_utilisation": sr.physical_utilisation,
        "virtual_allocation": sr.virtual_allocation,
        "meaning": meaning::of(sr),
        "could_be_freed": could_be_freed,
        "disks": disks,
    })
}

fn disk_as_json(survey: &Survey, vdi: Ref<Vdi>, disk: &VdiRecord) -> Value {
    let uuid = |vdi: &Ref<Vdi>| survey.vdis.get(vdi).map(|disk| disk.uuid.clone());
    let users: Vec<_> = survey
        .users(disk)
        .iter()
        .map(|user| {
            json!({
                "vm": user.vm.name_label,
                "vm_uuid": user.vm.uuid,
                "is_a_snapshot": user.vm.is_a_snapshot,
                "position": user.vbd.userdevice,
                "device": user.vbd.device,
            })
        })
        .collect();
    json!({
        "name": disk.name_label,
        "uuid": disk.uuid,
        "role": survey.role(disk).name(),
        "virtual_size": disk.virtual_size,
        "physical_utilisation": disk.physical_utilisation,
        "users": users,
        "snapshot_of": uuid(&disk.snapshot_of),
        "parents": survey.chain(vdi).iter().skip(1).filter_map(uuid).collect::<Vec<_>>(),
    })
}

//! Changes files on the disk of a halted virtual machine, where they are: no boot disk, no mount, no full upload.
//!
//!     cargo run --release --example vm-edit -- --vm web-01 put /boot/grub/grub.cfg --replace 'quiet splash' \
//!         --with 'console=hvc0' --undo web-01.undo
//!     cargo run --release --example vm-edit -- --image web-01.vhd put /etc/hostname --from hostname --dry-run
//!     cargo run --release --example vm-edit -- --vm web-01 undo web-01.undo
//!     cargo run --release --example vm-edit -- --vm win-01 driver-off xenbus --undo win-01.undo
//!     cargo run --release --example vm-edit -- --vm web-01 grub-serial --undo web-01.undo
//!
//! Every change is shown first, byte by byte, and written only where nothing speaks against it; `--undo` keeps what takes
//! it back, and what was written is read again. To a pool go the sectors that change and nothing else.

mod archive;
mod boot;
mod change;
mod files;
mod image;
mod registry;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Parser;
use vhd_mbr::Size;
use vhd_mbr::patch::WritePlan;
use vhd_mbr::xen_disk::WriteAt;
use xenapi_examples::{
    Connection, OpenDisk, Pool, WantedDisk, arguments, disk_of_vm, ensure_untouched, finish, note, put_back,
};

use crate::archive::InArchive;
use crate::change::Change;
use crate::files::Where;

/// Changes files on the disk of a halted VM, where they are
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    change: Change,
    #[command(flatten)]
    volume: Where,
    /// Where to keep what takes the change back; it must not be there yet
    #[arg(long, value_name = "FILE", global = true)]
    undo: Option<PathBuf>,
    /// Only show what would be written
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(flatten)]
    disk: WantedDisk,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    finish(run(arguments::<Flags>()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    if flags.undo.is_none() && !flags.dry_run && !flags.change.is_undo() {
        bail!("say where to keep what takes the change back with --undo FILE, or look first with --dry-run");
    }
    if flags.disk.image().is_some() || flags.disk.archive().is_some() {
        return tokio::task::spawn_blocking(move || in_file(&flags)).await?;
    }
    flags.disk.ensure_writable()?;
    let connection = flags.connection.clone();
    connection
        .run("vm-edit", async |pool: &Pool| in_pool(pool, &flags).await)
        .await
}

fn in_file(flags: &Flags) -> anyhow::Result<()> {
    let mut disk: Box<dyn WriteAt> = match (flags.disk.image(), flags.disk.archive()) {
        (Some(path), _) => image::writable(path, flags.disk.image_format())?,
        (_, Some(path)) => Box::new(InArchive::open(path, flags.disk.position())?),
        _ => bail!("there is no file to change"),
    };
    let plan = flags.change.plan(&*disk, &flags.volume)?;
    write!(io::stdout(), "{plan}")?;
    if flags.dry_run || plan.is_empty() {
        return Ok(());
    }
    flags.keep(&plan)?;
    plan.apply(&mut *disk)?;
    note("Written, and read back.");
    Ok(())
}

async fn in_pool(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let (vm, _) = flags.disk.vm(pool).await?;
    let vdi = disk_of_vm(pool, vm, flags.disk.position()).await?;
    let untouched = ensure_untouched(pool, vdi).await?;
    let disk = OpenDisk::of_pool(pool, Some(vm), vdi, flags.disk.via()).await?;
    let outcome = pool
        .unless_interrupted(async {
            let (change, volume) = (flags.change.clone(), flags.volume.clone());
            let plan = disk.work(move |disk| change.plan(disk, &volume)).await?;
            write!(io::stdout(), "{plan}")?;
            if flags.dry_run || plan.is_empty() {
                return Ok(None);
            }
            flags.keep(&plan)?;
            anyhow::Ok(Some(plan))
        })
        .await;
    let Some(plan) = outcome.transpose() else {
        disk.close().await;
        return Ok(());
    };
    match plan {
        // From here on it is not left off halfway.
        Ok(plan) => {
            let sent = put_back(pool, vdi, disk, &untouched, Arc::new(plan), flags.disk.via()).await?;
            note(format!("{} sent, and read back.", Size(sent)));
            Ok(())
        }
        Err(error) => {
            disk.close().await;
            Err(error)
        }
    }
}

impl Flags {
    /// Keeps what takes the change back, before anything is written.
    fn keep(&self, plan: &WritePlan) -> anyhow::Result<()> {
        let Some(path) = &self.undo else { return Ok(()) };
        let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        plan.undo().write(&file)?;
        Ok(file.sync_all()?)
    }
}

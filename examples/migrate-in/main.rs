//! Makes a VM out of a disk image: of a physical machine, or of another hypervisor's.
//!
//!     cargo run --release --example migrate-in -- old-server.img --name old-server --memory-mib 4096
//!     cargo run --release --example migrate-in -- web.qcow2 db.vhd --name web --network lab --start
//!
//! Raw, VHD (chains too) and qcow2 (with backing files) images; only what they hold is sent, and it is read back. Without
//! --url it works on a simulated pool.

mod firmware;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser;
use vhd_mbr::Size;
use vhd_mbr::xen_disk::ReadAt as _;
use xenapi::vdi::VdiType;
use xenapi::{Ref, Sr, Vdi, VdiRecord, Vm};
use xenapi_examples::{
    AnyDisk, Connection, Image, ImageFormat, NewNic, NewVm, Pool, Printable, arguments, destroy_disk, ensure_equal,
    finish, named, note, upload,
};

use crate::firmware::Firmware;

/// Makes a VM out of a disk image: of a physical machine, or of another hypervisor's
#[derive(Parser)]
struct Flags {
    /// Its disks, the one that it boots from first
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// What the images are, where names and contents do not tell
    #[arg(long)]
    image_format: Option<ImageFormat>,
    /// The VM's name
    #[arg(long)]
    name: String,
    /// What the VM is made from, by name or UUID
    #[arg(long, value_name = "NAME", default_value = "Other install media")]
    template: String,
    /// The storage for the disks, by name or UUID; otherwise the pool's default
    #[arg(long, value_name = "NAME")]
    sr: Option<String>,
    /// A NIC on this network; several may be given
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// How many processors
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// How much memory
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(16..))]
    memory_mib: u32,
    /// How it boots; otherwise as the first disk's partitions say
    #[arg(long, value_enum)]
    firmware: Option<Firmware>,
    /// Start it
    #[arg(long)]
    start: bool,
    /// Only say what would be made
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| run(pool, &flags).await;
    finish(flags.connection.run("migrate-in", work).await)
}

/// An image, and what people call it.
struct Wanted {
    name: String,
    size: u64,
    disk: Arc<AnyDisk>,
}

async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let mut wanted = Vec::new();
    for path in &flags.images {
        let Image { disk, format } = Image::open(path, flags.image_format)?;
        let size = disk.size()?;
        if size == 0 {
            bail!("{} is empty", path.display());
        }
        note(format!("{}: {format}, a disk of {}", path.display(), Size(size)));
        wanted.push(Wanted {
            name: path
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            size,
            disk: Arc::new(disk),
        });
    }
    let first = wanted.first().context("there is no image")?;
    let firmware = match flags.firmware {
        Some(firmware) => firmware,
        None => Firmware::of(&first.disk)?,
    };
    note(format!("It boots by {firmware}."));
    let (templates, srs, networks, pools) = pool
        .unless_interrupted(async {
            tokio::try_join!(
                pool.vms().all_records(),
                pool.srs().all_records(),
                pool.networks().all_records(),
                pool.pools().all_records(),
            )
        })
        .await?;
    let template = named(&templates, &flags.template)?.0;
    let sr = match &flags.sr {
        Some(wanted) => named(&srs, wanted)?.0,
        None => {
            let standard = pools.values().map(|pool| pool.default_sr).find(|sr| !sr.is_null());
            standard.context("the pool has no default SR: say --sr")?
        }
    };
    let mut of_nics: Vec<NewNic> = Vec::new();
    for wanted in &flags.networks {
        let found = networks
            .iter()
            .find(|(_, network)| network.name_label == *wanted || network.uuid == *wanted);
        of_nics.push(NewNic {
            device: of_nics.len().to_string(),
            network: *found.with_context(|| format!("the pool has no network {wanted:?}"))?.0,
            mac: None,
        });
    }
    if flags.dry_run {
        note(format!(
            "Would make the VM {} with {} disks on {}.",
            Printable(&flags.name),
            wanted.len(),
            Printable(&srs[&sr].name_label)
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut made = Vec::new();
    let place = Place {
        template,
        sr,
        of_nics,
        firmware,
    };
    let vm = match make(pool, flags, &place, &wanted, &mut made).await {
        Ok(vm) => vm,
        Err(error) => {
            return Err(match take_back(pool, made).await {
                Ok(()) => error.context("nothing of it is left on the pool"),
                Err(left) => error.context(format!("and what was made is left on the pool: {left:#}")),
            });
        }
    };
    let uuid = pool.vm(vm).uuid().await?;
    note(format!("The VM {} is made: {uuid}", Printable(&flags.name)));
    if flags.start {
        let started = pool.unless_interrupted(pool.vm(vm).start(false, false)).await;
        started.context("the VM is made, but not started")?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Place {
    template: Ref<Vm>,
    sr: Ref<Sr>,
    of_nics: Vec<NewNic>,
    firmware: Firmware,
}

/// Makes the disks and the VM. Only what takes long is given up on ctrl-c, so that all that was made is known.
async fn make(
    pool: &Pool,
    flags: &Flags,
    place: &Place,
    wanted: &[Wanted],
    made: &mut Vec<(String, Ref<Vdi>)>,
) -> anyhow::Result<Ref<Vm>> {
    for (number, image) in wanted.iter().enumerate() {
        let mut record = VdiRecord::default();
        record.name_label = format!("{} {}", flags.name, image.name);
        record.sr = place.sr;
        record.kind = if number == 0 { VdiType::System } else { VdiType::User };
        // Storage has whole sectors of 512 bytes.
        record.virtual_size = i64::try_from(image.size.next_multiple_of(512)).context("the disk is too large")?;
        let vdi = pool.vdis().create(&record).await.context("the disk cannot be made")?;
        made.push((number.to_string(), vdi));
        let filled = async {
            let sent = upload(pool, vdi, &image.disk).await?;
            ensure_equal(pool, vdi, &image.disk).await?;
            anyhow::Ok(sent)
        };
        let sent = pool.unless_interrupted(filled).await?;
        note(format!(
            "{}: {} were sent, and read back as they are",
            image.name,
            Size(sent)
        ));
    }
    let new = NewVm {
        name: &flags.name,
        template: place.template,
        cpus: i64::from(flags.cpus),
        memory: i64::from(flags.memory_mib) << 20,
        firmware: place.firmware.name(),
        disks: made,
        nics: &place.of_nics,
    };
    new.make(pool).await
}

async fn take_back(pool: &Pool, made: Vec<(String, Ref<Vdi>)>) -> xenapi::Result<()> {
    for (_, vdi) in made {
        destroy_disk(pool, vdi).await?;
    }
    Ok(())
}

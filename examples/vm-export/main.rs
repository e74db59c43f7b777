//! Exports a virtual machine into an archive that is checked while it arrives.
//!
//!     cargo run --release --example vm-export -- --url https://10.0.0.2 --pin 3f:9a:… --vm web-01 web-01.xva
//!     cargo run --release --example vm-export -- --vm web-01 --snapshot --compression zstd web-01.xva.zst
//!     cargo run --release --example vm-export -- --vm web-01 - | ssh backup 'cat > web-01.xva'
//!
//! The file has its name only once the server's task has succeeded and every block has matched its checksum. Without
//! --url it exports from a simulated pool.

mod copy;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, ValueEnum};
use xenapi::vm::PowerState;
use xenapi::{ErrorCode, Ref, Vm, VmRecord};
use xenapi_examples::{Connection, Meter, Pool, Total, arguments, choose_vm, finish, note, with_snapshot};

use crate::copy::copy;
use crate::target::Place;

/// Exports a VM into an XVA archive that is checked while it arrives
#[derive(Parser)]
struct Flags {
    /// Where the archive goes; - is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name or UUID of a VM, snapshot or template; on a simulated pool, its first halted VM if left out
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// Take a snapshot of the VM, export that, and destroy it in the end: for a VM that runs
    #[arg(long)]
    snapshot: bool,
    /// Have the server compress the archive
    #[arg(long, value_enum, default_value_t = Compression::None)]
    compression: Compression,
    /// Replace FILE if it is there, once the new archive is complete
    #[arg(long)]
    overwrite: bool,
    /// Where the export fails, keep what has arrived in FILE.part
    #[arg(long)]
    keep_part: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl From<Compression> for xenapi::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::Zstd,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| export(pool, &flags).await;
    let outcome = flags.connection.run("vm-export", work).await;
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

async fn export(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let place = Place::new(&flags.file, flags.overwrite, flags.keep_part)?;
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let may_be_taken = |vm: &VmRecord| pool.is_simulated() && vm.power_state == PowerState::Halted;
    let (vm, record) = choose_vm(&vms, flags.vm.as_deref(), may_be_taken)?;
    let estimate = pool.unless_interrupted(estimate(pool, record)).await?;
    if !flags.snapshot {
        return save(pool, vm, flags, place, estimate)
            .await
            .map_err(|error| explain(error, record));
    }
    let name = format!("vm-export of {}", record.name_label);
    with_snapshot(pool, vm, &name, async |snapshot| {
        save(pool, snapshot, flags, place, estimate).await
    })
    .await
}

/// What the VM's disks take on their SRs: about what an archive holds, which nobody can tell beforehand. A disk that
/// shares data with others, after a snapshot or a fast clone, takes less than it holds.
async fn estimate(pool: &Pool, vm: &VmRecord) -> xenapi::Result<Total> {
    let (vbds, vdis) = tokio::try_join!(pool.vbds().all_records(), pool.vdis().all_records())?;
    let disks = vm.disks(&vbds, &vdis);
    let taken = disks
        .iter()
        .map(|disk| disk.vdi.physical_utilisation.min(disk.vdi.virtual_size));
    let taken: i64 = taken.fold(0, i64::saturating_add);
    Ok(match u64::try_from(taken) {
        Ok(bytes) if bytes > 0 => Total::Estimated(bytes),
        _ => Total::Unknown,
    })
}

async fn save(pool: &Pool, vm: Ref<Vm>, flags: &Flags, place: Place, estimate: Total) -> anyhow::Result<()> {
    let call = pool.vm(vm).export().compression(flags.compression.into());
    let mut export = pool.unless_interrupted(call).await?;
    let mut target = match place.open().await {
        Ok(target) => target,
        Err(error) => {
            export.cancel().await;
            return Err(error);
        }
    };
    let meter = Meter::new(estimate);
    let copied = pool.unless_interrupted(copy(&mut export, &mut target, &meter)).await;
    let received = meter.summary(export.bytes_received());
    drop(meter);
    match copied {
        Ok(archive) => {
            target.complete().await?;
            note(format!("{received}; {} blocks match their checksums", archive.verified));
            if archive.unverified > 0 {
                note(format!("{} blocks came without a checksum", archive.unverified));
            }
            Ok(())
        }
        Err(error) => {
            export.cancel().await;
            Err(error.context(target.abandon(&received)))
        }
    }
}

/// Says what to do about a VM that runs.
fn explain(error: anyhow::Error, vm: &VmRecord) -> anyhow::Error {
    let refusal = error.downcast_ref::<xenapi::Error>().and_then(xenapi::Error::code);
    if refusal != Some(&ErrorCode::VmBadPowerState) {
        return error;
    }
    let state = vm.power_state.as_str().to_lowercase();
    anyhow!(error).context(format!(
        "{:?} is {state} and cannot be exported itself: --snapshot takes a snapshot, exports that and destroys it; --vm \
         also takes the name of a snapshot that it has",
        vm.name_label
    ))
}

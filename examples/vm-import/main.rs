//! Makes virtual machines out of an archive that is checked while it is sent.
//!
//!     cargo run --release --example vm-import -- --url https://10.0.0.2 --pin 3f:9a:… web-01.xva --sr "Local storage"
//!     ssh backup 'cat web-01.xva.zst' | cargo run --release --example vm-import -- -
//!
//! An archive that turns out to be damaged is sent no further, and the server undoes what it has begun. Without --url
//! it imports into a simulated pool.

mod archive;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use xenapi::{Ref, Vm};
use xenapi_examples::{Connection, Meter, Pool, Printable, arguments, finish, named, note};
use xva::Verify;

use crate::archive::Archive;

/// Makes VMs out of an XVA archive that is checked while it is sent
#[derive(Parser)]
struct Flags {
    /// The archive, plain or compressed with gzip or zstd; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name or UUID of the SR for the disks; otherwise the pool's default
    #[arg(long, value_name = "NAME")]
    sr: Option<String>,
    /// Keep UUIDs and MAC addresses, as for a backup that is restored
    #[arg(long)]
    restore: bool,
    /// Go on over wrong checksums, and keep what was imported before a failure
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| import(pool, &flags).await;
    let outcome = flags.connection.run("vm-import", work).await;
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

async fn import(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let archive = Archive::open(&flags.file)?;
    let sr = match &flags.sr {
        Some(wanted) => {
            let srs = pool.unless_interrupted(pool.srs().all_records()).await?;
            Some(named(&srs, wanted)?.0)
        }
        None => None,
    };
    let meter = Meter::new(archive.total());
    let shown = meter.clone();
    let verify = if flags.force { Verify::Report } else { Verify::Strict };
    let (source, damage) = archive.checked(verify);
    let mut call = pool.vms().import_xva(source).on_sent(move |bytes| shown.set(bytes));
    if let Some(sr) = sr {
        call = call.sr(sr);
    }
    if flags.restore {
        call = call.restore();
    }
    if flags.force {
        call = call.force();
    }
    let made = pool.unless_interrupted(call).await;
    let summary = meter.summary(meter.done());
    drop(meter);
    let vms = made
        .map_err(|error| match damage.get() {
            Some(damage) => error.context(format!("the archive is damaged: {damage}")),
            None => error,
        })
        .with_context(|| format!("the import failed after {summary}"))?;
    note(summary);
    list(pool, &vms).await
}

async fn list(pool: &Pool, vms: &[Ref<Vm>]) -> anyhow::Result<()> {
    let mut out = io::stdout();
    for &vm in vms {
        let vm = pool.unless_interrupted(pool.vm(vm).record()).await?;
        let kind = match (vm.is_a_snapshot, vm.is_a_template) {
            (true, _) => "  (snapshot)",
            (_, true) => "  (template)",
            _ => "",
        };
        writeln!(out, "{:<32} {}{kind}", Printable(&vm.name_label), Printable(&vm.uuid))?;
    }
    Ok(())
}

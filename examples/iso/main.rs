//! ISO images: libraries of them, and into the CD drives of dozens of VMs at once.
//!
//!     cargo run --release --example iso -- insert Rocky-9.6-x86_64-minimal.iso 'web-*'
//!     cargo run --release --example iso -- eject --all-in /Lab/Windows
//!     cargo run --release --example iso -- sr-create nfs://10.0.0.9/export/isos --name ISOs
//!     cargo run --release --example iso -- ls
//!
//! Without --url it works on a simulated pool.

mod drives;
mod library;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xenapi_examples::{Connection, Pool, arguments, finish};

/// ISO images: libraries of them, and into the CD drives of dozens of VMs at once
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Job {
    /// The ISO images that the pool's libraries hold
    Ls(library::ListFlags),
    #[command(flatten)]
    Change(Change),
}

#[derive(Subcommand)]
enum Change {
    /// Put an ISO image into VMs' drives, which are made where they are missing
    Insert(drives::InsertFlags),
    /// Empty VMs' drives
    Eject(drives::EjectFlags),
    /// Attach a library: a share or a folder with ISO images
    SrCreate(library::CreateFlags),
    /// Look for new images in libraries
    SrScan(library::ScanFlags),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Flags { job, connection } = arguments();
    finish(match job {
        Job::Ls(flags) => {
            let work = async |pool: &Pool| library::list(pool, &flags).await;
            flags.listing.run(&connection, "iso", work).await
        }
        Job::Change(change) => connection.run("iso", async |pool| run(pool, &change).await).await,
    })
}

async fn run(pool: &Pool, change: &Change) -> anyhow::Result<ExitCode> {
    match change {
        Change::Insert(flags) => return drives::insert(pool, flags).await,
        Change::Eject(flags) => return drives::eject(pool, flags).await,
        Change::SrCreate(flags) => library::create(pool, flags).await,
        Change::SrScan(flags) => library::scan(pool, flags).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

//! Backups of VMs in a folder or a bucket: the first of all, then of what has changed; verified, read, restored and thinned out.
//!
//!     cargo run --release --example backup -- run 'web-*' --to /srv/backups
//!     cargo run --release --example backup -- ls --to /srv/backups
//!     cargo run --release --example backup -- verify --to /srv/backups
//!     cargo run --release --example backup -- ls web-01 /etc --to /srv/backups
//!     cargo run --release --example backup -- cat web-01 /etc/fstab --to /srv/backups
//!     cargo run --release --example backup -- restore web-01 --as web-01-restored --to s3://backups/pool-1
//!
//! Disks are VHDs, differences of the one before but for the first, so that other programs read them too. Without --url it
//! works on a simulated pool.

mod bucket;
mod cat;
mod disk;
mod folder;
mod list;
mod lock;
mod manifest;
mod parts;
mod place;
mod restore;
mod store;
mod take;
mod thin;
mod tracked;
mod volume;
mod web;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use xenapi_examples::{Connection, Pool, arguments, finish};

use crate::place::Place;
use crate::store::Store;

/// Backups of VMs in a folder or a bucket: the first of all, then of what has changed
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
    /// The folder of the backups, or a URL such as s3://bucket/folder; the store's keys and options come from its
    /// variables, such as AWS_ACCESS_KEY_ID, AWS_ENDPOINT and AWS_REGION
    #[arg(long, value_name = "PLACE", global = true, default_value = "backups")]
    to: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// Which backup is meant.
#[derive(Args)]
struct Which {
    /// The VM that the backup is of, by name or UUID
    #[arg(value_name = "VM")]
    vm: String,
    /// The backup, as `ls` names it; otherwise the newest
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Subcommand)]
enum Job {
    /// Back VMs up, whether they run or not
    Run(take::Flags),
    /// The backups that there are, or the files in one
    Ls(list::Flags),
    /// Read every byte of the backups, and hold it against its checksum
    Verify,
    /// A file out of a backup, without restoring it
    Cat(cat::Flags),
    /// A new VM out of a backup
    Restore(restore::Flags),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Flags { job, to, connection } = arguments();
    finish(run(job, &to, &connection).await)
}

async fn run(job: Job, to: &Path, connection: &Connection) -> anyhow::Result<ExitCode> {
    let store = Store::new(Place::at(to)?);
    match &job {
        Job::Run(flags) => {
            let work = async |pool: &Pool| take::run(pool, &store, flags).await;
            connection.run("backup", work).await
        }
        Job::Restore(flags) => {
            let work = async |pool: &Pool| restore::run(pool, &store, flags).await;
            connection.run("backup", work).await
        }
        Job::Ls(flags) => list::run(&store, flags).await,
        Job::Verify => list::verify(&store).await,
        Job::Cat(flags) => cat::run(&store, flags).await,
    }
}

//! Storage repositories: look for them, make, attach, detach and forget them, and see how fast they are.
//!
//!     cargo run --release --example storage -- ls
//!     cargo run --release --example storage -- probe nfs://10.0.0.9
//!     cargo run --release --example storage -- create nfs://10.0.0.9/export/xen --name Lab
//!     cargo run --release --example storage -- attach iscsi://10.0.0.8/iqn.2003-01.org.example:lab/36001405a…
//!     cargo run --release --example storage -- speed Lab
//!
//! What each type wants to know is told by `types`, and checked before a host is asked. Without --url it works on a
//! simulated pool.

mod attach;
mod create;
mod detach;
mod ls;
mod place;
mod probe;
mod speed;
mod types;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xenapi_examples::{Connection, Pool, arguments, finish};

/// Storage repositories: look for them, make, attach, detach and forget them, and see how fast they are
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Job {
    /// The pool's SRs: how big, how full, where, and on which hosts
    Ls(ls::Flags),
    /// The types of SR that the pool has drivers for, and what each wants to know
    Types(types::Flags),
    #[command(flatten)]
    Work(Work),
}

#[derive(Subcommand)]
enum Work {
    /// What is at a place: exports, targets, LUNs, or SRs; nothing is changed
    Probe(probe::Flags),
    /// Make an SR at a place
    Create(create::Flags),
    /// Attach an SR that is at a place already, or all hosts to one that the pool knows
    Attach(attach::Flags),
    /// Detach an SR from its hosts; the pool goes on to know it
    Detach(detach::DetachFlags),
    /// Detach an SR and have the pool forget it; what is on the storage stays there
    Forget(detach::ForgetFlags),
    /// How fast disks can be exported from SRs
    Speed(speed::Flags),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Flags { job, connection } = arguments();
    finish(match job {
        Job::Ls(flags) => {
            let work = async |pool: &Pool| ls::run(pool, &flags).await;
            flags.listing.run(&connection, "storage", work).await
        }
        Job::Types(flags) => {
            let work = async |pool: &Pool| types::run(pool, &flags).await;
            flags.listing.run(&connection, "storage", work).await
        }
        Job::Work(work) => connection.run("storage", async |pool| run(pool, &work).await).await,
    })
}

async fn run(pool: &Pool, work: &Work) -> anyhow::Result<ExitCode> {
    match work {
        Work::Probe(flags) => probe::run(pool, flags).await,
        Work::Create(flags) => create::run(pool, flags).await,
        Work::Attach(flags) => attach::run(pool, flags).await,
        Work::Detach(flags) => detach::detach(pool, flags).await,
        Work::Forget(flags) => detach::forget(pool, flags).await,
        Work::Speed(flags) => speed::run(pool, flags).await,
    }
}

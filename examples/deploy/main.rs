//! Whole environments out of a file: machines made, configured, started, snapshotted, taken back and destroyed together.
//!
//!     cargo run --release --example deploy -- plan team.toml
//!     cargo run --release --example deploy -- up team.toml
//!     cargo run --release --example deploy -- revert team.toml
//!     cargo run --release --example deploy -- destroy team.toml --yes
//!
//! Without --url or --pool it works on a simulated pool, which goes away with it.

mod bytes;
mod destroy;
mod file;
mod leftovers;
mod machine;
mod marks;
mod plan;
mod revert;
mod status;
mod steps;
mod targets;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use xenapi_examples::{Connection, ControlDomain, Pool, arguments, finish};

use crate::file::Environment;

/// Whole environments out of a file: machines made, configured, started, snapshotted, taken back and destroyed together
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
    #[command(flatten)]
    ssh: ControlDomain,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
struct Common {
    /// The environment's description
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How many machines at a time
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    parallel: usize,
}

#[derive(Args)]
struct Dangerous {
    #[command(flatten)]
    common: Common,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Job {
    /// What `up` would do
    Plan(Common),
    /// Make what is missing, and go on where an earlier run stopped
    Up(Common),
    /// How far each machine is
    Status {
        #[command(flatten)]
        common: Common,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take the machines back to their snapshots
    Revert(Dangerous),
    /// Destroy the machines and their disks, and nothing that others made
    Destroy(Dangerous),
    /// Destroy what interrupted runs have left
    Clean(Dangerous),
}

impl Job {
    fn common(&self) -> &Common {
        match self {
            Self::Plan(common) | Self::Up(common) | Self::Status { common, .. } => common,
            Self::Revert(flags) | Self::Destroy(flags) | Self::Clean(flags) => &flags.common,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    finish(run(&flags).await)
}

async fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let common = flags.job.common();
    let environment = Environment::read(&common.file)?;
    let work = async |pool: &Pool| match &flags.job {
        Job::Plan(_) => plan::run(pool, &environment).await,
        Job::Up(_) => up::run(pool, &environment, common.parallel, &flags.ssh).await,
        Job::Status { json, .. } => status::run(pool, &environment, *json).await,
        Job::Revert(flags) => revert::run(pool, &environment, flags).await,
        Job::Destroy(flags) => destroy::run(pool, &environment, flags).await,
        Job::Clean(flags) => leftovers::run(pool, &environment, flags).await,
    };
    flags.connection.run("deploy", work).await
}

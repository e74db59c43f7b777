//! Shows what a pool is doing: hosts, VMs, storage and tasks, kept up to date by the pool's events.
//!
//!     cargo run --release --example pool-top -- --url https://10.0.0.2 --pin 3f:9a:…
//!     cargo run --release --example pool-top -- --once --sort memory
//!
//! Without --url it shows a simulated pool.

mod draw;
mod load;
mod measure;
mod once;
mod screen;
mod sort;
mod text;
mod view;

use std::process::ExitCode;

use clap::Parser;
use xenapi::{Cache, Class, Client};
use xenapi_examples::{Connection, Pool, arguments, finish};

use crate::sort::Column;

/// Shows hosts, VMs, storage and tasks of a pool, kept up to date
#[derive(Parser)]
struct Flags {
    /// Print one frame as text and end
    #[arg(long)]
    once: bool,
    /// What the VMs are sorted by at first
    #[arg(long, value_enum, default_value_t = Column::Name)]
    sort: Column,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| show(pool, &flags).await;
    let outcome = flags.connection.run("pool-top", work).await;
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

async fn show(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let cache = pool.unless_interrupted(copy(pool)).await?;
    if flags.once {
        let measured = async { anyhow::Ok(measure::once(pool, &cache).await) };
        let loads = pool.unless_interrupted(measured).await?;
        return once::print(&cache, &loads, flags.sort);
    }
    screen::run(pool, &cache, flags.sort).await
}

/// Everything that is shown, without the long fields that are not.
async fn copy(pool: &Client) -> xenapi::Result<Cache> {
    let classes = [
        Class::Host,
        Class::HostMetrics,
        Class::Sr,
        Class::Task,
        Class::Vm,
        Class::VmGuestMetrics,
        Class::VmMetrics,
    ];
    let unread = ["last_booted_record", "recommendations", "snapshot_metadata"];
    pool.cache().classes(classes).without(Class::Vm, unread).await
}

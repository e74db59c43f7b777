//! Starts, stops, pauses and rescues VMs, dozens at once.
//!
//!     cargo run --release --example vm-power -- start 'web-*' --delay 5
//!     cargo run --release --example vm-power -- reboot db-01 --hard
//!     cargo run --release --example vm-power -- start-paused win-01
//!     cargo run --release --example vm-power -- rescue web-02
//!
//! Without --url it works on a simulated pool.

mod rescue;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xenapi_examples::{Connection, Pool, arguments, finish};

/// Starts, stops, pauses and rescues VMs, dozens at once
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Job {
    /// Start VMs that are halted
    Start(verbs::Flags),
    /// Start them and stop before their first instruction, for a debugger or a capture
    StartPaused(verbs::Flags),
    /// Stop the processors of VMs, whose memory stays
    Pause(verbs::Flags),
    /// Let paused VMs go on
    Unpause(verbs::Flags),
    /// Put VMs' memory on disk and halt them
    Suspend(verbs::Flags),
    /// Take suspended VMs up again
    Resume(verbs::Flags),
    /// Ask VMs to shut down, or pull the plug with --hard
    Shutdown(verbs::StopFlags),
    /// Ask VMs to reboot, or press reset with --hard
    Reboot(verbs::StopFlags),
    /// Find out why a VM hangs and free it, step by step
    Rescue(rescue::Flags),
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    finish(
        flags
            .connection
            .run("vm-power", async |pool| run(pool, &flags.job).await)
            .await,
    )
}

async fn run(pool: &Pool, job: &Job) -> anyhow::Result<ExitCode> {
    use verbs::{Verb, all};
    match job {
        Job::Start(flags) => all(pool, Verb::Start, flags).await,
        Job::StartPaused(flags) => all(pool, Verb::StartPaused, flags).await,
        Job::Pause(flags) => all(pool, Verb::Pause, flags).await,
        Job::Unpause(flags) => all(pool, Verb::Unpause, flags).await,
        Job::Suspend(flags) => all(pool, Verb::Suspend, flags).await,
        Job::Resume(flags) => all(pool, Verb::Resume, flags).await,
        Job::Shutdown(flags) => all(pool, flags.shutdown(), &flags.common).await,
        Job::Reboot(flags) => all(pool, flags.reboot(), &flags.common).await,
        Job::Rescue(flags) => rescue::run(pool, flags).await,
    }
}

//! A VM's serial port: set up, watched, shared, debugged through; and, where `serial-agent` runs in the guest, commands
//! and files.
//!
//!     cargo run --release --example serial -- status
//!     cargo run --release --example serial -- setup 'win-*'
//!     cargo run --release --example serial -- attach web-01
//!     cargo run --release --example serial -- exec web-01 -- uname -a
//!     cargo run --release --example serial -- cp web-01 :/var/log/syslog .
//!     cargo run --release --example serial -- debug windbg win-01
//!
//! Without --url or --pool it is a simulated pool, whose VMs have settings and no ports.

mod attach;
mod bridge;
mod copy;
mod debug;
mod exec;
mod guest;
mod info;
mod line;
mod log;
mod place;
mod pool_values;
mod running;
mod setup;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use xenapi_examples::{Connection, ControlDomain, Sessions, arguments, finish};

/// A VM's serial port: set up, watched, shared, debugged through; with serial-agent in the guest, commands and files
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
    /// Open a terminal of the control domain though other programs have it open: each misses what another gets
    #[arg(long, global = true)]
    share: bool,
    #[command(flatten)]
    ssh: ControlDomain,
    #[command(flatten)]
    connection: Connection,
}

/// How to get at hosts.
struct Ways<'a> {
    sessions: Sessions,
    /// Whether a terminal may have other readers.
    share: bool,
    connection: &'a Connection,
}

#[derive(Subcommand)]
enum Job {
    /// Give VMs a serial port that can be reached, without the traps
    Setup(setup::Flags),
    /// Where VMs' serial ports go, and what is wrong with that
    Status(status::Flags),
    /// A terminal on the port
    Attach(attach::Flags),
    /// Keep the port open, for several programs at a time
    Bridge(bridge::Flags),
    /// Write down what guests say, with the time in front of every line
    Log(log::Flags),
    /// A local port for WinDbg or gdb
    #[command(subcommand)]
    Debug(debug::Job),
    /// Run a command in the guest; its exit code is this one's
    Exec(exec::Flags),
    /// Copy a file to the guest or from it: names there begin with a colon
    Cp(copy::Flags),
    /// What the guest's agent says of its system
    Info(info::Flags),
}

fn main() -> ExitCode {
    let flags = arguments();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error.into())),
    };
    let code = finish(runtime.block_on(run(&flags)));
    // A thread may still wait for standard input, and nobody for that.
    runtime.shutdown_background();
    code
}

async fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let Flags {
        job,
        share,
        ssh,
        connection,
    } = flags;
    let ways = &Ways {
        sessions: Sessions::new(ssh),
        share: *share,
        connection,
    };
    match job {
        Job::Setup(flags) => setup::run(flags, ways).await,
        Job::Status(flags) => status::run(flags, ways).await,
        Job::Attach(flags) => attach::run(flags, ways).await,
        Job::Bridge(flags) => bridge::run(flags, ways).await,
        Job::Log(flags) => log::run(flags, ways).await,
        Job::Debug(job) => debug::run(job, ways).await,
        Job::Exec(flags) => exec::run(flags, ways).await,
        Job::Cp(flags) => copy::run(flags, ways).await,
        Job::Info(flags) => info::run(flags, ways).await,
    }
}

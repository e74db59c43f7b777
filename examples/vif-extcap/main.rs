//! The NICs of VMs in Wireshark's own list of interfaces.
//!
//!     cargo run --release --example vif-extcap -- install
//!     cargo run --release --example vif-extcap -- add root@10.0.0.2
//!     wireshark
//!
//! Wireshark runs this program (extcap): to ask for the interfaces, which come from a file and so at once, and to capture.

mod answers;
mod capture;
mod hosts;
mod install;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pcap_tap::extcap::Request;
use xenapi_examples::{ControlDomain, arguments, ask_no_more, finish, note};

use crate::hosts::Hosts;

/// The NICs of VMs in Wireshark's own list of interfaces
///
/// Hosts are added once; from then on the NICs of their VMs are interfaces. Wireshark asks nobody for passwords or keys of
/// hosts, so those have to be known when a host is added: the agent's, a file's, or what the `ssh` program is configured
/// for.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Put this program where Wireshark looks for capture programs
    Install {
        /// That folder; otherwise tshark is asked for it
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Log in to a host, and list the NICs of its VMs from now on
    Add {
        /// Its control domain
        #[arg(value_name = "[USER@]HOST[:PORT]")]
        host: String,
        #[command(flatten)]
        control_domain: ControlDomain,
    },
    /// List a host's VMs no more
    Remove {
        /// As it was added
        host: String,
    },
    /// Ask all hosts anew
    Refresh,
    /// What is listed
    List,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Request::parse(std::env::args_os().skip(1)) {
        Ok(Some(request)) => {
            // Nobody sees what is asked.
            ask_no_more();
            finish(answers::answer(request).await.map(|()| ExitCode::SUCCESS))
        }
        Ok(None) => finish(run(arguments::<Flags>().job).await.map(|()| ExitCode::SUCCESS)),
        Err(error) => finish(Err(error.into())),
    }
}

async fn run(job: Job) -> anyhow::Result<()> {
    let mut hosts = Hosts::read()?;
    match job {
        Job::Install { folder } => return install::install(folder),
        Job::Add { host, control_domain } => {
            let count = hosts.add(&host, control_domain).await?;
            note(format!("{host} has {count} NICs of VMs that run."));
        }
        Job::Remove { host } => hosts.remove(&host)?,
        Job::Refresh => hosts.refresh().await,
        Job::List => {
            for interface in hosts.interfaces() {
                println!("{}  {}", interface.value(), interface.label());
            }
            return Ok(());
        }
    }
    hosts.write()
}

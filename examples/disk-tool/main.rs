//! Looks into disk images, converts and checks them: raw, VHD with its parents, qcow2 with its backing files. Files in
//! them are for `vm-ls`, `vm-cat` and `vm-edit`.
//!
//!     cargo run --release --example disk-tool -- info web-01.vhd
//!     cargo run --release --example disk-tool -- partitions web-01.qcow2
//!     cargo run --release --example disk-tool -- convert web-01.qcow2 web-01.vhd
//!     cargo run --release --example disk-tool -- check web-01.vhd

mod check;
mod convert;
mod info;
mod partitions;
mod repair;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xenapi_examples::{arguments, finish};

/// Looks into disk images, converts and checks them
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// An image's format and size, how much of it is data, and the files that it is built on
    Info(info::Flags),
    /// The partition table of the disk in an image
    Partitions(partitions::Flags),
    /// Make an image in another format; a chain becomes one image
    Convert(convert::Flags),
    /// All that is wrong with a VHD; a failure (1) where bytes of the disk are lost
    Check(check::Flags),
    /// Write the footer of a VHD anew, out of its copy
    Repair(repair::Flags),
}

fn main() -> ExitCode {
    let outcome = match arguments::<Flags>().job {
        Job::Info(flags) => info::run(&flags),
        Job::Partitions(flags) => partitions::run(&flags),
        Job::Convert(flags) => convert::run(&flags),
        Job::Repair(flags) => repair::run(&flags),
        Job::Check(flags) => return finish(check::run(&flags)),
    };
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

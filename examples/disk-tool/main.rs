//! Looks into disk images, down to single files, changes files in place, converts and checks images: raw, VHD with its parents, qcow2 with its backing files.
//!
//!     cargo run --release --example disk-tool -- info web-01.vhd
//!     cargo run --release --example disk-tool -- partitions web-01.qcow2
//!     cargo run --release --example disk-tool -- convert web-01.qcow2 web-01.vhd
//!     cargo run --release --example disk-tool -- check web-01.vhd
//!     cargo run --release --example disk-tool -- cat web-01.vhd /etc/fstab --partition 2
//!     cargo run --release --example disk-tool -- put web-01.vhd /boot/grub/grub.cfg --replace 'quiet       ' \
//!         --with 'console=hvc0' --undo web-01.undo

mod check;
mod convert;
mod files;
mod info;
mod partitions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xenapi_examples::finish;

/// Looks into disk images, changes files in place, converts and checks images
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
    /// A file of the disk on standard output: from NTFS, ext2 to ext4, XFS, btrfs, FAT or ISO 9660, also in LVM2
    Cat(files::CatFlags),
    /// Change a file where it is, without growing it
    Put(files::PutFlags),
    /// Take a change back
    Undo(files::UndoFlags),
    /// All that is wrong with a VHD; a failure (1) where bytes of the disk are lost
    Check(check::Flags),
}

fn main() -> ExitCode {
    let outcome = match Flags::parse().job {
        Job::Info(flags) => info::run(&flags),
        Job::Partitions(flags) => partitions::run(&flags),
        Job::Convert(flags) => convert::run(&flags),
        Job::Cat(flags) => files::cat(&flags),
        Job::Put(flags) => files::put(&flags),
        Job::Undo(flags) => files::undo(&flags),
        Job::Check(flags) => return finish(check::run(&flags)),
    };
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

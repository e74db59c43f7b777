//! Looks into XVA archives, takes disks and bytes out of them, changes them in place, and serves them.
//!
//!     cargo run --release --example xva-tool -- info web-01.xva
//!     cargo run --release --example xva-tool -- extract web-01.xva.zst --to disks
//!     cargo run --release --example xva-tool -- cat web-01.xva --disk 0 --length 512 | xxd
//!     cargo run --release --example xva-tool -- patch web-01.xva --disk 0 --offset 440 --hex 12345678 --undo web-01.undo
//!     cargo run --release --example xva-tool -- pack new.xva --name new --disk system.raw --network lan
//!     cargo run --release --example xva-tool -- edit web-01.xva web-02.xva --name web-02 --mac 02:00:00:00:00:02
//!     cargo run --release --example xva-tool -- serve web-01.xva
//!
//! What needs to jump about in an archive (`ls`, `cat`, `patch`, `serve`, `mount`) needs it uncompressed; the others take it as
//! it is, also from standard input.

mod bytes;
mod choice;
mod convert;
mod edit;
mod extract;
mod info;
mod ls;
mod measured;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mount;
mod nbd;
mod pack;
mod patch;
mod salvage;
mod serve;
mod verify;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use xenapi_examples::{Total, arguments, finish};
use xva::Archive;

/// Looks into XVA archives, takes disks and bytes out of them, changes them in place, and serves them
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// What is in an archive: VMs, their disks, who exported them
    Info(info::Flags),
    /// Which parts of its disks are in an archive
    #[command(visible_alias = "map")]
    Ls(ls::Flags),
    /// All that is wrong with an archive; a failure (1) where something is damaged or missing
    Verify(verify::Flags),
    /// What can be saved of a damaged archive, and what of it is to be trusted
    Salvage(salvage::Flags),
    /// Disks as raw images with holes
    Extract(extract::Flags),
    /// A disk as an image: raw, VHD or qcow2
    Convert(convert::Flags),
    /// Bytes of a disk on standard output
    #[command(visible_alias = "cat-block")]
    Cat(bytes::Flags),
    /// Change bytes of a disk in place, with their checksums
    Patch(patch::Flags),
    /// Take a change back
    Undo(patch::UndoFlags),
    /// Make an archive out of raw images
    Pack(pack::Flags),
    /// Copy an archive and change its metadata on the way
    Edit(edit::Flags),
    /// Serve the disks read-only by NBD, for qemu and for the kernel's own client
    Serve(serve::Flags),
    /// Show the disks as read-only files in a folder (FUSE)
    #[cfg(all(feature = "mount", target_os = "linux"))]
    Mount(mount::Flags),
}

fn main() -> ExitCode {
    let outcome = match arguments::<Flags>().job {
        Job::Info(flags) => info::run(&flags),
        Job::Ls(flags) => ls::run(&flags),
        Job::Verify(flags) => return finish(verify::run(&flags)),
        Job::Salvage(flags) => return finish(salvage::run(&flags)),
        Job::Extract(flags) => extract::run(&flags),
        Job::Convert(flags) => convert::run(&flags),
        Job::Cat(flags) => bytes::run(&flags),
        Job::Patch(flags) => patch::run(&flags),
        Job::Undo(flags) => patch::undo(&flags),
        Job::Pack(flags) => pack::run(&flags),
        Job::Edit(flags) => edit::run(&flags),
        Job::Serve(flags) => serve::run(&flags),
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Job::Mount(flags) => mount::run(&flags),
    };
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

/// An archive from its start: a file, or `-` for standard input.
fn stream(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(open(path)?))
}

/// How long an archive is, if it is a file.
fn total(path: &Path) -> Total {
    std::fs::metadata(path).map_or(Total::Unknown, |file| Total::Known(file.len()))
}

/// The folder for images, made where it is missing.
fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// An archive to jump about in.
fn archive(path: &Path) -> anyhow::Result<Archive<File>> {
    Archive::open(open(path)?).with_context(|| format!("cannot read {}", path.display()))
}

//! Takes one file out of a virtual machine, while its export is still running and no further than it takes.
//!
//!     cargo run --release --example vm-cat -- --vm web-01 /etc/fstab
//!     cargo run --release --example vm-cat -- --vm win-01 '\Windows\System32\config\SYSTEM' --output SYSTEM
//!     cargo run --release --example vm-cat -- --xva backup.xva.zst /etc/passwd --partition 2
//!
//! Reads NTFS, ext2 to ext4, XFS, btrfs, FAT and ISO 9660, also in logical volumes of LVM2. What of the disk has passed is kept in a sparse temporary file.

mod take;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::io::{AsyncRead, AsyncReadExt, DuplexStream};
use tokio::runtime::Handle;
use vhd_mbr::Size;
use xenapi::{Ref, Vm};
use xenapi_examples::{Connection, Pool, WhichVolume, choose_vm, finish, note, with_snapshot};

use crate::take::{Wanted, take};

/// Takes one file out of a VM, while its export is still running and no further than it takes
#[derive(Parser)]
struct Flags {
    /// The file, such as /etc/fstab or \Windows\win.ini
    #[arg(value_name = "PATH")]
    path: String,
    /// The name or UUID of a VM, snapshot or template
    #[arg(long, value_name = "NAME", required_unless_present = "xva")]
    vm: Option<String>,
    /// Take a snapshot of the VM, read that, and destroy it in the end: for a VM that runs
    #[arg(long)]
    snapshot: bool,
    /// An archive in place of a pool; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = Connection::FLAGS, conflicts_with_all = ["vm", "snapshot"])]
    xva: Option<String>,
    /// The disk's position in the VM (0, 1, …); otherwise the one that it boots from
    #[arg(long, value_name = "POSITION")]
    disk: Option<String>,
    #[command(flatten)]
    which: WhichVolume,
    /// Where the content goes; it must not be there yet. Otherwise standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    finish(run(&Flags::parse()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(flags: &Flags) -> anyhow::Result<()> {
    let read = match flags.xva.as_deref() {
        Some("-") => from_source(io::stdin(), flags).await?,
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
            from_source(file, flags).await?
        }
        None => {
            flags
                .connection
                .run("vm-cat", async |pool: &Pool| from_pool(pool, flags).await)
                .await?
        }
    };
    note(format!("{} read", Size(read)));
    Ok(())
}

async fn from_pool(pool: &Pool, flags: &Flags) -> anyhow::Result<u64> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let (vm, record) = choose_vm(&vms, flags.vm.as_deref(), |_| false)?;
    if !flags.snapshot {
        return export(pool, vm, flags).await;
    }
    let name = format!("vm-cat of {}", record.name_label);
    with_snapshot(pool, vm, &name, async |snapshot| export(pool, snapshot, flags).await).await
}

/// Reads a VM's export up to the file's last byte, and has the server end it.
async fn export(pool: &Pool, vm: Ref<Vm>, flags: &Flags) -> anyhow::Result<u64> {
    let mut export = pool.unless_interrupted(pool.vm(vm).export()).await?;
    let taken = pool.unless_interrupted(through_pipe(&mut export, flags)).await;
    export.cancel().await;
    taken
}

/// How much of the export may lie between the network and the reader, in bytes.
const BETWEEN: usize = 4 << 20;

async fn through_pipe(export: &mut (impl AsyncRead + Unpin), flags: &Flags) -> anyhow::Result<u64> {
    let (pipe, mut feed) = tokio::io::duplex(BETWEEN);
    let work = from_source(
        Blocking {
            pipe,
            runtime: Handle::current(),
        },
        flags,
    );
    let fed = async move {
        // The reader hangs up when it has the file, and finds out by itself where the export broke off.
        let copied = tokio::io::copy(export, &mut feed).await;
        drop(feed);
        match copied {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    };
    let (fed, taken) = tokio::join!(fed, work);
    match taken {
        Err(error) => Err(fed.err().map_or(error, Into::into)),
        taken => taken,
    }
}

async fn from_source(source: impl Read + Send + 'static, flags: &Flags) -> anyhow::Result<u64> {
    let wanted = Wanted {
        path: flags.path.clone(),
        disk: flags.disk.clone(),
        which: flags.which.clone(),
    };
    let output: Box<dyn Write + Send> = match &flags.output {
        Some(path) => Box::new(File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?),
        None => Box::new(io::stdout()),
    };
    let taken = tokio::task::spawn_blocking(move || take(source, &wanted, output)).await?;
    if let (Err(_), Some(path)) = (&taken, &flags.output) {
        // A part of a file is of no use to anybody.
        let _ = std::fs::remove_file(path);
    }
    taken
}

/// The reading end of a pipe, for code that waits.
struct Blocking {
    pipe: DuplexStream,
    runtime: Handle,
}

impl Read for Blocking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.pipe.read(buf))
    }
}

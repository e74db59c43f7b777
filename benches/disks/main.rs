//! Disks from the inside, beside the programs that people use for it: a file out of a file system, a partition table, a
//! VHD made raw, a disk read over NBD.
//!
//! Each job is done in turns with its peer, on the same files in the page cache, and the best time of each counts; a peer
//! that is a program also starts. What each reads and writes is counted by Linux. `--quick`, or the variable `BENCH_QUICK`, takes
//! smaller disks. A peer that is not installed is left out, with a line that says so.

mod images;
mod traffic;

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vhd_mbr::PartitionTable;
use vhd_mbr::nbd::{Nbd, Target};
use vhd_mbr::vhd::{Vhd, copy_to_raw};
use vhd_mbr::volume::Volume;

use crate::images::Images;
use crate::traffic::Traffic;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let images = Images::make(if quick { 256 } else { 4096 }, if quick { 16 } else { 96 })?;
    println!(
        "a disk of {} MiB, a file of {} MiB, the best of {ROUNDS}:",
        images.disk_size >> 20,
        images.file_size >> 20
    );
    println!(
        "{:16} {:16} {:>9} {:>7} {:>7} {:>10} {:>13}",
        "", "", "ms", "of ours", "calls", "read, MiB", "written, MiB"
    );
    for volume in &images.volumes {
        let path = &volume.path;
        let mut ours = || {
            let volume = Volume::open(File::open(path)?)?;
            let length = volume.content("/big")?.copy_to(&mut io::sink())?;
            assert_eq!(length, images.file_size);
            Ok(())
        };
        let job = format!("cat, {}", volume.kind);
        compare(&job, volume.peer, ROUNDS, &mut ours, || volume.cat(path))?;
        compare(&job, "libguestfs", 1, &mut ours, || volume.cat_in_appliance(path))?;
    }
    partitions(&images)?;
    vhd(&images)?;
    nbd(&images)
}

fn partitions(images: &Images) -> Result<()> {
    let ours = || {
        let table = PartitionTable::read_disk(&File::open(&images.partitioned)?)?;
        assert_eq!(table.partitions().len(), 3);
        Ok(())
    };
    let mut sfdisk = Command::new("sfdisk");
    sfdisk.arg("--json").arg(&images.partitioned);
    compare("partitions", "sfdisk", ROUNDS, ours, || quiet(&mut sfdisk))
}

fn vhd(images: &Images) -> Result<()> {
    let Some(vhd) = &images.vhd else { return Ok(()) };
    let raw = images.folder.path().join("out.raw");
    let ours = || {
        let _ = std::fs::remove_file(&raw);
        let mut file = File::create(&raw)?;
        copy_to_raw(&Vhd::open(File::open(vhd)?)?, &mut file)?;
        Ok(())
    };
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "vpc", "-O", "raw"]).arg(vhd).arg(&raw);
    let peer = || {
        let _ = std::fs::remove_file(&raw);
        quiet(&mut convert)
    };
    compare("VHD to raw", "qemu-img convert", ROUNDS, ours, peer)
}

fn nbd(images: &Images) -> Result<()> {
    let socket = images.folder.path().join("nbd");
    let Some(_server) = Server::start(&images.dense, &socket) else {
        println!("NBD: skipped, there is no nbdkit");
        return Ok(());
    };
    let connections = NonZeroUsize::new(4).ok_or("four connections")?;
    let ours = || {
        let disk = Nbd::options()
            .connections(connections)
            .connect(&Target::unix(&socket, ""))?;
        disk.copy_to(io::sink())?;
        Ok(())
    };
    let mut nbdcopy = Command::new("nbdcopy");
    let uri = format!("nbd+unix:///?socket={}", socket.display());
    nbdcopy.args(["--connections=4", &uri, "null:"]);
    compare("NBD, read whole", "nbdcopy", ROUNDS, ours, || quiet(&mut nbdcopy))
}

/// Does a job in turns with a peer, and prints the best of each.
fn compare(
    job: &str,
    name: &str,
    rounds: usize,
    mut ours: impl FnMut() -> Result<()>,
    mut peer: impl FnMut() -> Result<()>,
) -> Result<()> {
    let mut best = Measured::of(&mut ours)?;
    let mut best_peer = Measured::of(&mut peer);
    for _ in 1..rounds {
        best = best.or(Measured::of(&mut ours)?);
        best_peer = best_peer.and_then(|best| Ok(best.or(Measured::of(&mut peer)?)));
    }
    best.print(job, "vhd-mbr", &best);
    match best_peer {
        Ok(peer) => peer.print("", name, &best),
        Err(error) => println!("{:16} {name:16} skipped: {error}", ""),
    }
    Ok(())
}

/// How long a job took, and what it read and wrote.
struct Measured {
    time: Duration,
    traffic: Option<Traffic>,
}

impl Measured {
    fn of(work: &mut impl FnMut() -> Result<()>) -> Result<Self> {
        let (before, begun) = (Traffic::so_far(), Instant::now());
        work()?;
        let (time, after) = (begun.elapsed(), Traffic::so_far());
        let traffic = after.zip(before).map(|(after, before)| after - before);
        Ok(Self { time, traffic })
    }

    fn or(self, other: Self) -> Self {
        if other.time < self.time { other } else { self }
    }

    fn print(&self, job: &str, name: &str, ours: &Self) {
        let millis = self.time.as_secs_f64() * 1e3;
        let ratio = self.time.as_secs_f64() / ours.time.as_secs_f64();
        print!("{job:16} {name:16} {millis:>9.2} {ratio:>7.2}");
        if let Some(Traffic { calls, read, written }) = self.traffic {
            let [read, written] = [read, written].map(|bytes| bytes as f64 / f64::from(1 << 20));
            print!(" {calls:>7} {read:>10.3} {written:>13.3}");
        }
        println!();
    }
}

/// Runs a program whose output nobody needs.
fn quiet(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("it ended with {status}").into())
    }
}

/// A server of one image, for as long as it is needed.
struct Server(Child);

impl Server {
    fn start(image: &Path, socket: &Path) -> Option<Self> {
        let mut command = Command::new("nbdkit");
        command
            .args(["--foreground", "--readonly", "--unix"])
            .arg(socket)
            .arg("file")
            .arg(image);
        let child = command.stderr(Stdio::null()).spawn().ok()?;
        let server = Self(child);
        for _ in 0..200 {
            if socket.exists() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! How much memory working with an archive takes, however large it is.
//!
//! Every job runs in a process of its own, and its peak is what the kernel counted (`VmHWM`), allocations of C code
//! included. The archives hold a disk of 1 GiB, whose every second MiB has data; the last job looks for blocks in one of
//! 100 GB, where no two blocks are neighbours, in a sparse file. Linux only. `--quick`, or the variable `BENCH_QUICK`,
//! makes them an eighth as large.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use xenapi_benches::sparse;
use xva::edit::repack_with;
use xva::salvage::Salvager;
use xva::verify::Verifier;
use xva::write::{Compressor, DiskSpec, VmSpec, Writer};
use xva::{Archive, Compression, ReadAt, Reader, StreamedDisk};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const BLOCK: u64 = 1 << 20;

/// The bar, in KiB.
const LIMIT: u64 = 32 << 10;

/// A job, the archives it is tried on, and what it does with the archive and a path for what it makes.
type Job = (&'static str, &'static [&'static str], fn(&Path, &Path) -> Result<()>);

const JOBS: [Job; 10] = [
    ("nothing", &["plain"], |_, _| Ok(())),
    ("read, verified", &["plain", "gzip", "zstd"], read),
    ("to a raw image", &["plain", "zstd"], extract),
    ("verify", &["plain", "zstd"], verify),
    ("salvage", &["plain"], salvage),
    ("edit and copy", &["plain", "zstd"], edit),
    ("read at random", &["plain"], at_random),
    ("read at random while it comes in", &["zstd"], streamed),
    ("pack again", &["plain"], |archive, new| pack(archive, new, None)),
    ("pack again, zstd", &["plain"], |archive, new| {
        pack(archive, new, Some(Compression::Zstd))
    }),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if let [_, job, archive, new] = &args[..] {
        return child(job, Path::new(archive), Path::new(new));
    }
    let quick = args.iter().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let size = if quick { 128 << 20 } else { 1 << 30 };
    let folder = tempfile::tempdir()?;
    for form in ["plain", "gzip", "zstd"] {
        write(&folder.path().join(form), size, form)?;
    }
    println!("peak of memory, in KiB:");
    let mut highest = 0;
    for (job, forms, _) in JOBS {
        for form in forms {
            let peak = measure(job, &folder.path().join(form), &folder.path().join("new"))?;
            println!("  {job:<34} {form:<6} {peak:>6}");
            highest = highest.max(peak);
        }
    }
    let huge = folder.path().join("huge");
    let blocks = if quick { 12_500 } else { 100_000 };
    sparse::write(&huge, &(0..blocks).map(|number| 2 * number).collect::<Vec<_>>())?;
    let peak = measure("read at random", &huge, &folder.path().join("new"))?;
    println!("  {:<34} {:<6} {peak:>6}", "read at random, 100 GB", "plain");
    println!(
        "the highest is {:.2} of 32 MiB",
        highest.max(peak) as f64 / LIMIT as f64
    );
    Ok(())
}

/// The peak of one job in a process of its own, in KiB.
fn measure(job: &str, archive: &Path, new: &Path) -> Result<u64> {
    let output = Command::new(std::env::current_exe()?)
        .arg(job)
        .args([archive, new])
        .output()?;
    if !output.status.success() {
        return Err(format!("{job}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    if new.exists() {
        std::fs::remove_file(new)?;
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Does one job and prints the peak of its memory in KiB.
fn child(job: &str, archive: &Path, new: &Path) -> Result<()> {
    let (_, _, work) = JOBS.iter().find(|(name, ..)| *name == job).ok_or("no such job")?;
    work(archive, new)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.split_whitespace().next());
    println!("{}", peak.ok_or("the kernel does not count peaks")?);
    Ok(())
}

fn read(archive: &Path, _: &Path) -> Result<()> {
    Ok(Reader::new(File::open(archive)?).finish().map(drop)?)
}

fn extract(archive: &Path, new: &Path) -> Result<()> {
    let mut reader = Reader::new(File::open(archive)?);
    let mut disk = reader.next_disk()?.ok_or("no disk")?;
    disk.copy_to(&mut File::create(new)?)?;
    Ok(())
}

fn verify(archive: &Path, _: &Path) -> Result<()> {
    let report = Verifier::new().run(File::open(archive)?)?;
    assert!(report.is_sound());
    Ok(())
}

fn salvage(archive: &Path, _: &Path) -> Result<()> {
    let report = Salvager::new().run(File::open(archive)?, |_| Ok(()))?;
    assert!(report.is_whole());
    Ok(())
}

fn edit(archive: &Path, new: &Path) -> Result<()> {
    repack_with(File::open(archive)?, File::create(new)?, |editor| {
        let vm = editor.ids("VM")?.swap_remove(0);
        editor.rename_vm(&vm, "another")
    })?;
    Ok(())
}

fn at_random(archive: &Path, _: &Path) -> Result<()> {
    let archive = Archive::open(File::open(archive)?)?;
    let disk = archive.disk(&archive.disks()?[0])?;
    let size = disk.size()?;
    let mut sector = [0; 4096];
    for step in 0..1000 {
        disk.read(step * 7919 * 4096 % (size - 4096), &mut sector)?;
    }
    Ok(())
}

fn streamed(archive: &Path, new: &Path) -> Result<()> {
    let spool = File::options().read(true).write(true).create_new(true).open(new)?;
    let disk = StreamedDisk::open(Reader::new(File::open(archive)?), None, spool)?;
    let size = disk.size()?;
    let mut sector = [0; 4096];
    for step in 0..1000 {
        disk.read_exact_at(step * 7919 * 4096 % (size - 4096), &mut sector)?;
    }
    Ok(())
}

fn pack(archive: &Path, new: &Path, compression: Option<Compression>) -> Result<()> {
    let archive = Archive::open(File::open(archive)?)?;
    let disk = archive.disk(&archive.disks()?[0])?;
    let plan = Writer::new(VmSpec::new("copy").disk(DiskSpec::new("system", disk))).plan()?;
    let file = File::create(new)?;
    match compression {
        None => drop(plan.write_to(file)?),
        Some(compression) => {
            let mut compressor = Compressor::new(file, compression)?;
            io::copy(&mut plan.into_reader(), &mut compressor)?;
            compressor.finish()?;
        }
    }
    Ok(())
}

/// A disk of which every second MiB has data that does not compress well.
struct Striped(u64);

impl ReadAt for Striped {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        for (word, at) in buf.chunks_mut(8).zip((offset..).step_by(8)) {
            let noise = (at / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            word.copy_from_slice(&noise.to_le_bytes()[..word.len()]);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let start = from / (2 * BLOCK) * (2 * BLOCK);
        let start = if from < start + BLOCK { start } else { start + 2 * BLOCK };
        Ok((start < self.0).then_some(start..start + BLOCK))
    }
}

fn write(path: &Path, size: u64, form: &str) -> Result<()> {
    let plan = Writer::new(VmSpec::new("machine").disk(DiskSpec::new("system", Striped(size)))).plan()?;
    let file = File::create(path)?;
    let compression = match form {
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        _ => return Ok(plan.write_to(file).map(drop)?),
    };
    let mut compressor = Compressor::new(file, compression)?;
    io::copy(&mut plan.into_reader(), &mut compressor)?;
    compressor.finish()?;
    Ok(())
}

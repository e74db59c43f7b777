//! What it costs to read one block out of a large archive: reads, bytes and time, for archives of 1, 10 and 100 GB.
//!
//! Two kinds of disks: one that is full, and one of which three quarters were left out at random places, where no
//! arithmetic tells where a block is. The peer is GNU tar, which goes from header to header. `TMPDIR` names a folder with
//! a gigabyte to spare; the archives are sparse files. `--quick`, or the variable `BENCH_QUICK`, leaves the largest out.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xenapi_benches::sparse;
use xva::{Archive, ReadAt};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const BLOCK: u64 = sparse::BLOCK;
const QUERIES: u64 = 64;

/// A file that counts what is read of it.
struct Counted {
    file: File,
    reads: Cell<u64>,
    bytes: Cell<u64>,
}

impl ReadAt for Counted {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.set(self.bytes.get() + buf.len() as u64);
        ReadAt::read_exact_at(&self.file, offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

fn main() -> Result<()> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let gigabytes: &[u64] = if quick { &[1, 10] } else { &[1, 10, 100] };
    println!("one block, from opening the archive on; means of {QUERIES}, the block's own 1 MiB read included");
    for (kind, kept) in [("full", 1), ("a quarter, scattered", 4)] {
        for &gigabytes in gigabytes {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("machine.xva");
            // As many blocks in the archive, whatever was left out between them.
            let numbers = numbers(gigabytes * 1_000_000_000 / sparse::STRIDE, kept);
            sparse::write(&path, &numbers)?;
            measure(kind, gigabytes, &path, &numbers)?;
        }
    }
    Ok(())
}

/// The numbers of blocks, of which one in `kept` is in the archive.
fn numbers(blocks: u64, kept: u64) -> Vec<u64> {
    let mut random = 7_u64;
    let mut number = 0;
    (0..blocks)
        .map(|_| {
            let this = number;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            number += 1 + (random >> 33) % (2 * kept - 1);
            this
        })
        .collect()
}

fn measure(kind: &str, gigabytes: u64, path: &Path, numbers: &[u64]) -> Result<()> {
    let (mut reads, mut bytes, mut most, mut time) = (0, 0, 0, Duration::ZERO);
    for query in 0..QUERIES {
        let number = numbers[(numbers.len() as u64 * (2 * query + 1) / (2 * QUERIES)) as usize];
        let counted = Counted {
            file: File::open(path)?,
            reads: Cell::default(),
            bytes: Cell::default(),
        };
        let began = Instant::now();
        let archive = Archive::open(&counted)?;
        let mut block = vec![1; BLOCK as usize];
        archive.disk("Ref:1")?.read(number * BLOCK, &mut block)?;
        time += began.elapsed();
        assert!(block.iter().all(|&byte| byte == 0));
        reads += counted.reads.get();
        bytes += counted.bytes.get();
        most = most.max(counted.reads.get());
    }
    println!(
        "  {kind:22} {gigabytes:>4} GB, {:>6} blocks: {:>5.1} reads (at most {most}), {:>5} KiB, {:.2} ms; tar {}",
        numbers.len(),
        reads as f64 / QUERIES as f64,
        (bytes / QUERIES) >> 10,
        time.as_secs_f64() * 1e3 / QUERIES as f64,
        tar(path, numbers[numbers.len() / 2])
    );
    Ok(())
}

/// How long tar takes for the block in the middle.
fn tar(path: &Path, number: u64) -> String {
    let began = Instant::now();
    let status = Command::new("tar")
        .args(["--occurrence=1", "-xOf"])
        .arg(path)
        .arg(format!("Ref:1/{number:08}"))
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => format!("{:.0} ms", began.elapsed().as_secs_f64() * 1e3),
        other => format!("skipped: {other:?}"),
    }
}

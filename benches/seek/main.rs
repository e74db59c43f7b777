//! What it costs to read one block out of a large archive: reads, bytes and time, for archives of 1, 10 and 100 GB.
//!
//! Two kinds of disks: one that is full, and one of which three quarters were left out at random places, where no
//! arithmetic tells where a block is. The peer is GNU tar, which goes from header to header. `TMPDIR` names a folder with
//! a gigabyte to spare; the archives are sparse files. `--quick`, or the variable `BENCH_QUICK`, leaves the largest out.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xva::{Archive, ReadAt};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const BLOCK: u64 = 1 << 20;
/// A block with its header, and its checksum with its header.
const STRIDE: u64 = 512 + BLOCK + 1024;
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
            let numbers = numbers(gigabytes * 1_000_000_000 / STRIDE, kept);
            write(&path, &numbers)?;
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

/// An archive whose blocks are of zeros, as holes of the file.
fn write(path: &Path, numbers: &[u64]) -> Result<()> {
    let file = File::create(path)?;
    let disk_size = numbers.last().map_or(0, |last| (last + 1) * BLOCK);
    let ova = ova(disk_size);
    file.write_all_at(&header("ova.xml", ova.len() as u64), 0)?;
    file.write_all_at(ova.as_bytes(), 512)?;
    let mut at = 512 + (ova.len() as u64).next_multiple_of(512);
    let checksum = format!("{:016X}", twox_hash::XxHash64::oneshot(0, &vec![0; BLOCK as usize]));
    for number in numbers {
        let name = format!("Ref:1/{number:08}");
        file.write_all_at(&header(&name, BLOCK), at)?;
        let mut tail = header(&format!("{name}.xxhash"), 16).to_vec();
        tail.extend(checksum.as_bytes());
        file.write_all_at(&tail, at + 512 + BLOCK)?;
        at += STRIDE;
    }
    file.set_len(at + 1024)?;
    Ok(())
}

/// As xapi writes it: no magic, seven digits of checksum.
fn header(name: &str, size: u64) -> [u8; 512] {
    let mut raw = [0; 512];
    raw[..name.len()].copy_from_slice(name.as_bytes());
    raw[100..108].copy_from_slice(b"0000400\0");
    raw[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    raw[136..148].copy_from_slice(b"00000000000\0");
    raw[148..156].fill(b' ');
    let sum: u32 = raw.iter().map(|&byte| u32::from(byte)).sum();
    raw[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    raw
}

fn ova(disk_size: u64) -> String {
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let vdi = format!("<struct>{}</struct>", member("virtual_size", &disk_size.to_string()));
    let object = [member("class", "VDI"), member("id", "Ref:1"), member("snapshot", &vdi)].concat();
    let objects = format!("<array><data><value><struct>{object}</struct></value></data></array>");
    let version = format!("<struct>{}</struct>", member("export_vsn", "2"));
    let all = [member("version", &version), member("objects", &objects)].concat();
    format!("<value><struct>{all}</struct></value>")
}

//! How fast a disk comes out of an archive, beside what Python has.
//!
//! Every job takes the archive from the page cache and, unless it only reads, makes a raw image of the disk; plain
//! archives are taken from the storage as well, where archives larger than memory come from. Ours verifies the checksum
//! of every block. The peers are `dissect.archive` from PyPI, which verifies nothing, and the
//! shortest Python that does verify; see `vs/xva.py`. All take turns in the same run, and the best of each counts.
//!
//! `PYTHON` names an interpreter that has `dissect.archive`, `xxhash` and `zstandard`; `TMPDIR` a folder with some
//! 8 GiB to spare. Needs `mke2fs`. `--quick`, or the variable `BENCH_QUICK`, uses a small disk.

mod archive;
mod disk;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use archive::{BLOCK, Checksum, Content, Packing};
use xva::{Reader, Run};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What is in the files of a disk, in bytes.
const CONTENT: u64 = 768 << 20;
const QUICK_CONTENT: u64 = 24 << 20;

/// The peers, as `vs/xva.py` and the output call them.
const PEERS: [(&str, &str); 3] = [
    ("dissect", "dissect.archive, unverified"),
    ("tarfile", "tarfile, verified"),
    ("gnutar", "tar -x and a copy, unverified"),
];

#[derive(Clone, Copy)]
enum Job {
    /// Every byte of the disk is looked at.
    Read,
    /// The disk becomes a raw image.
    Extract,
}

fn main() -> Result<()> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let (content, rounds) = if quick { (QUICK_CONTENT, 1) } else { (CONTENT, 3) };
    let folder = tempfile::tempdir()?;
    let forms = [
        (
            "plain",
            Checksum::Xxhash,
            Packing::Plain,
            &[Job::Read, Job::Extract][..],
        ),
        ("plain with SHA-1", Checksum::Sha1, Packing::Plain, &[Job::Extract]),
        ("gzip", Checksum::Xxhash, Packing::Gzip, &[Job::Extract]),
        ("zstd", Checksum::Xxhash, Packing::Zstd, &[Job::Read, Job::Extract]),
    ];
    for (kind, size, forms) in [
        ("quarter full", 4 * content, &forms[..]),
        ("nearly full", content / 4 * 5, &forms[..1]),
    ] {
        let image = disk::make(folder.path(), content, size)?;
        println!("a disk of {} MiB, {kind}, MB/s of what the archive holds:", size >> 20);
        for &(form, checksum, packing, jobs) in forms {
            let archive = folder.path().join("machine.xva");
            let content = archive::write(&archive, &image, checksum, packing)?;
            println!(
                "  {form}, {} MB of {} MB",
                archive.metadata()?.len() / 1_000_000,
                content.bytes / 1_000_000
            );
            for &job in jobs {
                compare(&archive, &image, &content, job, rounds)?;
                match (job, packing) {
                    (Job::Read, Packing::Zstd) => beside_decoding(&archive, &content, rounds)?,
                    (Job::Extract, Packing::Plain) => from_storage(&archive, &content, rounds)?,
                    _ => {}
                }
            }
        }
        std::fs::remove_file(image)?;
    }
    Ok(())
}

fn compare(archive: &Path, original: &Path, content: &Content, job: Job, rounds: usize) -> Result<()> {
    let image = archive.with_extension("raw");
    let mut ours = Duration::MAX;
    let mut peers = PEERS.map(|(name, _)| match job {
        Job::Read if name == "gnutar" => Err("it reads nothing without writing it".to_owned()),
        _ => Ok(Duration::MAX),
    });
    let mut cat = Duration::MAX;
    for round in 0..rounds {
        ours = ours.min(match job {
            Job::Read => read(archive, content)?,
            Job::Extract => extract(archive, content, &image)?,
        });
        cat = cat.min(reading(archive)?);
        if image.exists() {
            if round == 0 && !same(&image, original)? {
                return Err("the image differs from the disk".into());
            }
            std::fs::remove_file(&image)?;
        }
        for ((name, _), best) in PEERS.iter().zip(&mut peers) {
            let target = matches!(job, Job::Extract).then_some(&image);
            if let Ok(so_far) = *best {
                *best = python(name, archive, target).map(|time| so_far.min(time));
            }
            if image.exists() {
                std::fs::remove_file(&image)?;
            }
        }
    }
    let speed = |time: Duration| content.bytes as f64 / 1e6 / time.as_secs_f64();
    let what = match job {
        Job::Read => "read",
        Job::Extract => "to a raw image",
    };
    println!("    {what}");
    println!("      {:<28} {:>5.0} MB/s", "xva, verified", speed(ours));
    println!(
        "      {:<28} {:>5.0} MB/s, xva has {:.2} of it",
        "cat of the archive to nowhere",
        speed(cat),
        cat.as_secs_f64() / ours.as_secs_f64()
    );
    for ((_, label), time) in PEERS.iter().zip(peers) {
        match time {
            Ok(time) => {
                let ratio = time.as_secs_f64() / ours.as_secs_f64();
                println!(
                    "      {label:<28} {:>5.0} MB/s, xva is {ratio:.1} times as fast",
                    speed(time)
                );
            }
            Err(reason) => println!("      {label:<28} skipped: {reason}"),
        }
    }
    Ok(())
}

/// What is left of the speed of decompressing when every block is taken apart and verified as well.
fn beside_decoding(archive: &Path, content: &Content, rounds: usize) -> Result<()> {
    let (mut ours, mut bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds.max(3) {
        ours = ours.min(read(archive, content)?);
        let began = Instant::now();
        zstd::stream::copy_decode(File::open(archive)?, std::io::sink())?;
        bare = bare.min(began.elapsed());
    }
    println!(
        "      {:<28} {:>5.0} MB/s, xva has {:.2} of it",
        "zstd alone, to nowhere",
        content.bytes as f64 / 1e6 / bare.as_secs_f64(),
        bare.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

/// Extracting beside `cat` when neither finds the archive in the page cache.
fn from_storage(archive: &Path, content: &Content, rounds: usize) -> Result<()> {
    let image = archive.with_extension("raw");
    let (mut ours, mut cat) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds.max(3) {
        forget(archive)?;
        ours = ours.min(extract(archive, content, &image)?);
        std::fs::remove_file(&image)?;
        forget(archive)?;
        cat = cat.min(reading(archive)?);
    }
    println!(
        "      {:<28} {:>5.0} MB/s; ours {:.0} MB/s, {:.2} of it",
        "cat, both from the storage",
        content.bytes as f64 / 1e6 / cat.as_secs_f64(),
        content.bytes as f64 / 1e6 / ours.as_secs_f64(),
        cat.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

/// Has the page cache drop a file.
fn forget(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// Whether two files have the same content.
fn same(one: &Path, two: &Path) -> Result<bool> {
    let (mut one, mut two) = (File::open(one)?, File::open(two)?);
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    loop {
        ones.clear();
        twos.clear();
        (&mut one).take(BLOCK as u64).read_to_end(&mut ones)?;
        (&mut two).take(BLOCK as u64).read_to_end(&mut twos)?;
        if ones != twos || ones.is_empty() {
            return Ok(ones == twos);
        }
    }
}

/// How long `cat` takes for the archive, whose bytes nobody looks at.
fn reading(archive: &Path) -> Result<Duration> {
    let began = Instant::now();
    let status = Command::new("cat").arg(archive).stdout(Stdio::null()).status()?;
    assert!(status.success());
    Ok(began.elapsed())
}

fn read(archive: &Path, content: &Content) -> Result<Duration> {
    let began = Instant::now();
    let mut archive = Reader::new(File::open(archive)?);
    let mut disk = archive.next_disk()?.ok_or("no disk")?;
    while let Some(run) = disk.next_run()? {
        if let Run::Data(block) = run {
            std::hint::black_box(block.data);
        }
    }
    assert_eq!(archive.finish()?.verified, content.blocks);
    Ok(began.elapsed())
}

fn extract(archive: &Path, content: &Content, image: &Path) -> Result<Duration> {
    let began = Instant::now();
    let mut archive = Reader::new(File::open(archive)?);
    archive
        .next_disk()?
        .ok_or("no disk")?
        .copy_to(&mut File::create(image)?)?;
    assert_eq!(archive.finish()?.verified, content.blocks);
    Ok(began.elapsed())
}

/// The seconds that the peer's own script prints for the same work, or why there are none.
fn python(peer: &str, archive: &Path, image: Option<&PathBuf>) -> std::result::Result<Duration, String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vs/xva.py");
    let output = Command::new(&python)
        .args([script, peer])
        .arg(archive)
        .args(image)
        .output()
        .map_err(|error| format!("cannot run {python}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let error = stderr
            .lines()
            .rfind(|line| line.contains("Error") && !line.starts_with([' ', '-']));
        return Err(error.unwrap_or("failed without an error").to_owned());
    }
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse();
    seconds
        .map(Duration::from_secs_f64)
        .map_err(|error| format!("no seconds printed: {error}"))
}

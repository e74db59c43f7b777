//! How fast a disk comes out of an archive, beside what Python has.
//!
//! Every job takes the archive from the page cache and, unless it only reads, makes a raw image of the disk. Ours
//! verifies the checksum of every block. The peers are `dissect.archive` from PyPI, which verifies nothing, and the
//! shortest Python that does verify; see `vs/xva.py`. All take turns in the same run, and the best of each counts.
//!
//! `PYTHON` names an interpreter that has `dissect.archive`, `xxhash` and `zstandard`; `TMPDIR` a folder with some
//! 8 GiB to spare. Needs `mke2fs`. `--quick`, or the variable `BENCH_QUICK`, uses a small disk.

mod archive;
mod disk;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use archive::{Checksum, Content, Packing};
use xva::{Reader, Run};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What is in the files of a disk, in bytes.
const CONTENT: u64 = 768 << 20;
const QUICK_CONTENT: u64 = 24 << 20;

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
    let (content, rounds) = if quick { (QUICK_CONTENT, 1) } else { (CONTENT, 5) };
    let folder = tempfile::tempdir()?;
    let forms = [
        (
            "plain",
            Checksum::Xxhash,
            Packing::Plain,
            [Some(Job::Read), Some(Job::Extract)],
        ),
        (
            "plain with SHA-1",
            Checksum::Sha1,
            Packing::Plain,
            [None, Some(Job::Extract)],
        ),
        ("gzip", Checksum::Xxhash, Packing::Gzip, [None, Some(Job::Extract)]),
        ("zstd", Checksum::Xxhash, Packing::Zstd, [None, Some(Job::Extract)]),
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
            for job in jobs.into_iter().flatten() {
                compare(&archive, &image, &content, job, rounds)?;
            }
        }
        std::fs::remove_file(image)?;
    }
    Ok(())
}

fn compare(archive: &Path, original: &Path, content: &Content, job: Job, rounds: usize) -> Result<()> {
    let image = archive.with_extension("raw");
    let (mut ours, mut peers) = (Duration::MAX, [Some(Duration::MAX); 2]);
    for _ in 0..rounds {
        ours = ours.min(match job {
            Job::Read => read(archive, content)?,
            Job::Extract => extract(archive, content, &image)?,
        });
        remove(&image)?;
        for (name, best) in ["dissect", "tarfile"].into_iter().zip(&mut peers) {
            let target = matches!(job, Job::Extract).then_some(&image);
            *best = best.and_then(|best| Some(best.min(python(name, archive, target)?)));
            remove(&image)?;
        }
    }
    let _ = original;
    let speed = |time: Duration| content.bytes as f64 / 1e6 / time.as_secs_f64();
    let what = match job {
        Job::Read => "read",
        Job::Extract => "to an image",
    };
    println!("    {what:<12} xva, verified {:>6.0} MB/s", speed(ours));
    for (name, time) in ["dissect.archive, unverified", "tarfile, verified"]
        .into_iter()
        .zip(peers)
    {
        match time {
            Some(time) => println!(
                "      {name:<28} {:>6.0} MB/s, xva is {:.1} times as fast",
                speed(time),
                time.as_secs_f64() / ours.as_secs_f64()
            ),
            None => println!("      {name:<28} cannot"),
        }
    }
    Ok(())
}

fn remove(image: &Path) -> Result<()> {
    match image.exists() {
        true => Ok(std::fs::remove_file(image)?),
        false => Ok(()),
    }
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

/// The seconds that the peer's own script prints for the same work.
fn python(peer: &str, archive: &Path, image: Option<&PathBuf>) -> Option<Duration> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vs/xva.py");
    let output = Command::new(python)
        .args([script, peer])
        .arg(archive)
        .args(image)
        .output()
        .ok()?;
    output.status.success().then_some(())?;
    String::from_utf8(output.stdout)
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs_f64)
}

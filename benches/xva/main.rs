//! How fast a disk comes out of an archive, beside `dissect.archive` from PyPI (`pip install dissect.archive`).
//!
//! Both read every byte of a dense disk from the page cache in the same run, in turns; the best of each counts. Ours
//! verifies every block's XXH64, the peer cannot and verifies nothing. `PYTHON` names the interpreter that has it.
//! `--quick`, or the variable `BENCH_QUICK`, uses a small archive.

mod archive;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use xva::{Reader, Run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let folder = tempfile::tempdir()?;
    for (form, gzip, blocks) in [("plain", false, 1024), ("gzip", true, 256)] {
        let (blocks, rounds) = if quick { (16, 1) } else { (blocks, 3) };
        let path = folder.path().join(form);
        let bytes = archive::write(&path, blocks, gzip)?;
        println!(
            "{form}: a disk of {blocks} MiB, {} bytes on disk",
            path.metadata()?.len()
        );
        compare(&path, blocks, bytes, rounds)?;
    }
    Ok(())
}

fn compare(path: &Path, blocks: usize, bytes: u64, rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (mut ours, mut peer) = (Duration::MAX, Some(Duration::MAX));
    for _ in 0..rounds {
        ours = ours.min(read(path, blocks)?);
        peer = peer.and_then(|best| Some(best.min(dissect(path, blocks)?)));
    }
    let speed = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!("  xva, verified              {ours:>9.1?} {:>7.0} MB/s", speed(ours));
    match peer {
        Some(peer) => {
            println!("  dissect.archive, unverified {peer:>8.1?} {:>7.0} MB/s", speed(peer));
            println!("  xva is {:.1} times as fast", peer.as_secs_f64() / ours.as_secs_f64());
        }
        None => println!("  dissect.archive: skipped, no Python that has it (set PYTHON)"),
    }
    Ok(())
}

fn read(path: &Path, blocks: usize) -> Result<Duration, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut archive = Reader::new(std::fs::File::open(path)?);
    let mut disk = archive.next_disk()?.ok_or("no disk")?;
    let mut length = 0;
    while let Some(run) = disk.next_run()? {
        if let Run::Data(block) = run {
            length += std::hint::black_box(block.data).len();
        }
    }
    let summary = archive.finish()?;
    assert_eq!((length, summary.verified), (blocks * archive::BLOCK, blocks as u64));
    Ok(began.elapsed())
}

/// The seconds that the peer's own script prints for the same work.
fn dissect(path: &Path, blocks: usize) -> Option<Duration> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vs/xva.py");
    let output = Command::new(python)
        .arg(script)
        .arg(path)
        .arg((blocks * archive::BLOCK).to_string())
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

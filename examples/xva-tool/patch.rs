//! Changes in place.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use vhd_mbr::patch::Overlay;
use vhd_mbr::xen_disk::WriteAt;
use xenapi_examples::{Meter, Total, note};
use xva::write::Writer;
use xva::{Archive, Change, Patch};

use crate::choice::Choice;
use crate::measured::Measured;
use crate::pack::complete;

/// What the blocks of a change's ends have beside it.
const MARGIN: u64 = 8192;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, not compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// Where on the disk the bytes go
    #[arg(long, value_name = "BYTES")]
    offset: u64,
    /// The new bytes in hexadecimal digits
    #[arg(
        long,
        value_name = "DIGITS",
        conflicts_with = "from",
        required_unless_present = "from"
    )]
    hex: Option<String>,
    /// The new bytes in a file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Where to keep what takes the change back; it must not be there yet
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dry_run", "repack"])]
    undo: Option<PathBuf>,
    /// Leave the archive as it is, and make another one that has the change: also where the disk was zero, so that the
    /// archive has no block to be changed
    #[arg(long, value_name = "NEW", conflicts_with_all = ["undo", "dry_run", "json"])]
    repack: Option<PathBuf>,
    /// Only show what would be written
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct UndoFlags {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What `patch --undo` kept
    #[arg(value_name = "UNDO")]
    undo: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let bytes = match (&flags.hex, &flags.from) {
        (Some(digits), _) => unhex(digits)?,
        (None, Some(path)) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        (None, None) => Vec::new(),
    };
    let archive = crate::archive(&flags.file)?;
    let disk = flags.choice.open(&archive)?;
    if let Some(new) = &flags.repack {
        return repack(&archive, disk.id(), flags.offset, &bytes, new);
    }
    let patch = disk.patch(flags.offset, &bytes)?;
    show(&patch, flags.json)?;
    let Some(undo) = flags.undo.as_ref().filter(|_| !flags.dry_run && !patch.is_empty()) else {
        return Ok(());
    };
    let file = writable(&flags.file)?;
    let mut kept = File::create_new(undo).with_context(|| format!("cannot create {}", undo.display()))?;
    write!(kept, "{}", patch.undo())?;
    kept.sync_all()?;
    apply(&patch, &file)
}

/// Makes an archive with the same metadata, whose disks are the same but for some bytes of one.
fn repack(archive: &Archive<File>, id: &str, offset: u64, bytes: &[u8], new: &Path) -> anyhow::Result<()> {
    let mut disks = Vec::new();
    for other in archive.disks()? {
        let mut disk = Overlay::new(archive.disk(&other)?, bytes.len() as u64 + MARGIN);
        if other == id {
            disk.write_all_at(offset, bytes)
                .with_context(|| format!("the disk ends before {} bytes at {offset} do", bytes.len()))?;
        }
        disks.push((other, disk));
    }
    let plan = Writer::with_ova(archive.ova().xml(), disks).plan()?;
    let meter = Meter::new(Total::Known(plan.size()));
    complete(new, |output| {
        io::copy(&mut Measured::new(plan.into_reader(), meter), output)?;
        Ok(())
    })
}

/// Takes a change back.
pub(crate) fn undo(flags: &UndoFlags) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&flags.undo).with_context(|| format!("cannot read {}", flags.undo.display()))?;
    let patch: Patch = text.parse()?;
    show(&patch, flags.json)?;
    apply(&patch, &writable(&flags.file)?)
}

fn writable(path: &Path) -> anyhow::Result<File> {
    let file = File::options().read(true).write(true).open(path);
    file.with_context(|| format!("cannot write {}", path.display()))
}

fn apply(patch: &Patch, file: &File) -> anyhow::Result<()> {
    patch.apply(file)?;
    file.sync_all()?;
    note("Written, and read back.");
    Ok(())
}

fn show(patch: &Patch, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let all = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let change =
            |change: &Change| json!({ "position": change.position, "old": all(&change.old), "new": all(&change.new) });
        let changes: Vec<_> = patch.changes().iter().map(change).collect();
        return Ok(writeln!(out, "{:#}", json!(changes))?);
    }
    for change in patch.changes() {
        writeln!(
            out,
            "{:>16}  {} -> {}",
            change.position,
            hex(&change.old),
            hex(&change.new)
        )?;
    }
    if patch.is_empty() {
        note("Those bytes are there already.");
    }
    Ok(())
}

/// The first bytes; more would fill the screen.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let digits: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    match bytes.len() {
        0..=SHOWN => digits,
        more => format!("{digits}… ({more} bytes)"),
    }
}

fn unhex(digits: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<_> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    ensure!(digits.len().is_multiple_of(2), "an odd number of hexadecimal digits");
    // A sign would be taken for a digit.
    ensure!(
        digits.iter().all(u8::is_ascii_hexdigit),
        "--hex takes pairs of hexadecimal digits"
    );
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<_>>>();
    bytes.context("--hex takes pairs of hexadecimal digits")
}

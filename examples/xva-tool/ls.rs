//! Which parts of its disks are in an archive.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi_examples::Printable;
use xva::{ArchiveDisk, BlockPlace, ReadAt, Stretch};

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, not compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Every block, with its number and its place in the archive
    #[arg(long)]
    blocks: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let archive = crate::archive(&flags.file)?;
    let mut out = io::stdout().lock();
    let mut documents = Vec::new();
    for id in archive.disks()? {
        let disk = archive.disk(&id)?;
        let parts = if flags.blocks { blocks(&disk)? } else { ranges(&disk)? };
        let held: u64 = parts.iter().map(|part| part.end - part.offset).sum();
        if flags.json {
            documents.push(document(&disk, held, &parts, flags.blocks)?);
        } else {
            print(&mut out, &disk, held, &parts, flags.blocks)?;
        }
    }
    if flags.json {
        writeln!(out, "{:#}", json!(documents))?;
    }
    Ok(())
}

fn document(disk: &ArchiveDisk<File>, held: u64, parts: &[Stretch], blocks: bool) -> io::Result<Value> {
    let part = |part: &Stretch| match part.block.filter(|_| blocks) {
        Some(block) => json!({
            "number": block.number,
            "offset": part.offset,
            "length": part.end - part.offset,
            "content": block.content,
        }),
        None => json!([part.offset, part.end]),
    };
    Ok(json!({
        "folder": disk.id(),
        "virtual_size": disk.size()?,
        "held": held,
        if blocks { "blocks" } else { "data" }: parts.iter().map(part).collect::<Vec<_>>(),
    }))
}

fn print(out: &mut impl Write, disk: &ArchiveDisk<File>, held: u64, parts: &[Stretch], blocks: bool) -> io::Result<()> {
    writeln!(
        out,
        "{}: {} of {} are in the archive",
        Printable(disk.id()),
        Size(held),
        Size(disk.size()?)
    )?;
    for Stretch { offset, end, block, .. } in parts {
        let length = Size(end - offset);
        match block.filter(|_| blocks) {
            Some(BlockPlace { number, content, .. }) => writeln!(
                out,
                "  {number:08}  {offset:>16} – {end:>16}  {length:>8}  at {content} of the archive"
            )?,
            None => writeln!(out, "  {offset:>16} – {end:>16}  {length}")?,
        }
    }
    Ok(())
}

/// The parts of a disk that are in the archive, block by block.
pub(crate) fn blocks(disk: &ArchiveDisk<File>) -> anyhow::Result<Vec<Stretch>> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(stretch) = disk.stretch(at)? {
        at = stretch.end;
        if stretch.is_data() {
            blocks.push(stretch);
        }
    }
    Ok(blocks)
}

/// The parts of a disk that are in the archive; those that touch are one.
fn ranges(disk: &ArchiveDisk<File>) -> anyhow::Result<Vec<Stretch>> {
    let mut ranges: Vec<Stretch> = Vec::new();
    for block in blocks(disk)? {
        match ranges.last_mut().filter(|last| last.end == block.offset) {
            Some(last) => last.end = block.end,
            None => ranges.push(block),
        }
    }
    Ok(ranges)
}

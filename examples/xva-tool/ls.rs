//! Which parts of its disks are in an archive.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::iter;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
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
    let mut out = BufWriter::new(io::stdout().lock());
    let mut separator = "[";
    for id in archive.disks()? {
        let disk = archive.disk(&id)?;
        // Twice through the archive, so that nothing of it has to be kept.
        let mut held = 0;
        for block in blocks(&disk) {
            let block = block?;
            held += block.end - block.offset;
        }
        if flags.json {
            write!(out, "{separator}")?;
            separator = ",";
            document(&mut out, &disk, held, flags.blocks)?;
        } else {
            print(&mut out, &disk, held, flags.blocks)?;
        }
    }
    if flags.json {
        writeln!(out, "{}]", if separator == "[" { "[" } else { "" })?;
    }
    Ok(out.flush()?)
}

fn document(out: &mut impl Write, disk: &ArchiveDisk<File>, held: u64, blocks: bool) -> anyhow::Result<()> {
    let of = json!({ "folder": disk.id(), "virtual_size": disk.size()?, "held": held }).to_string();
    let parts = if blocks { "blocks" } else { "data" };
    write!(out, "\n  {},\n   \"{parts}\": [", of.trim_end_matches('}'))?;
    let mut separator = "\n    ";
    for part in parts_of(disk, blocks) {
        let part = part?;
        let value = match part.block.filter(|_| blocks) {
            Some(block) => json!({
                "number": block.number,
                "offset": part.offset,
                "length": part.end - part.offset,
                "content": block.content,
            }),
            None => json!([part.offset, part.end]),
        };
        write!(out, "{separator}{value}")?;
        separator = ",\n    ";
    }
    Ok(write!(out, "]}}")?)
}

fn print(out: &mut impl Write, disk: &ArchiveDisk<File>, held: u64, blocks: bool) -> anyhow::Result<()> {
    writeln!(
        out,
        "{}: {} of {} are in the archive",
        Printable(disk.id()),
        Size(held),
        Size(disk.size()?)
    )?;
    for part in parts_of(disk, blocks) {
        let Stretch { offset, end, block, .. } = part?;
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

type Parts<'d> = Box<dyn Iterator<Item = xva::Result<Stretch>> + 'd>;

/// The blocks of a disk that are in the archive, or its parts: blocks that touch are one.
fn parts_of(disk: &ArchiveDisk<File>, by_block: bool) -> Parts<'_> {
    if by_block {
        return Box::new(blocks(disk));
    }
    let mut blocks = blocks(disk).peekable();
    Box::new(iter::from_fn(move || {
        let mut part = match blocks.next()? {
            Ok(block) => block,
            Err(error) => return Some(Err(error)),
        };
        while let Some(Ok(next)) = blocks.next_if(|next| next.as_ref().is_ok_and(|next| next.offset == part.end)) {
            part.end = next.end;
        }
        Some(Ok(part))
    }))
}

/// The parts of a disk that are in the archive, block by block.
pub(crate) fn blocks(disk: &ArchiveDisk<File>) -> impl Iterator<Item = xva::Result<Stretch>> {
    let mut at = Some(0);
    iter::from_fn(move || {
        loop {
            match disk.stretch(at?) {
                Ok(Some(stretch)) => {
                    at = Some(stretch.end);
                    if stretch.is_data() {
                        return Some(Ok(stretch));
                    }
                }
                Ok(None) => at = None,
                Err(error) => {
                    at = None;
                    return Some(Err(error));
                }
            }
        }
    })
}

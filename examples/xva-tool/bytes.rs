//! Bytes of a disk.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use xva::{ArchiveDisk, ReadAt};

use crate::choice::Choice;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, not compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// Where on the disk to begin, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// How much to read, in bytes; otherwise all that is left
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    /// One block, by the number in its name
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["offset", "length"])]
    block: Option<u64>,
}

/// How much is read at a time, in bytes: a block.
const PIECE: u64 = 1 << 20;

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let archive = crate::archive(&flags.file)?;
    let disk = flags.choice.open(&archive)?;
    let bytes = match flags.block {
        Some(number) => block(&disk, number)?,
        None => {
            let size = disk.size()?;
            let left = size.checked_sub(flags.offset);
            let left = left.with_context(|| format!("{} ends before, at {size}", disk.id()))?;
            flags.offset..flags.offset.saturating_add(flags.length.unwrap_or(left))
        }
    };
    let mut out = io::stdout().lock();
    let Range { start: mut at, end } = bytes;
    let mut piece = Vec::new();
    while at < end {
        piece.resize((PIECE - at % PIECE).min(end - at) as usize, 0);
        disk.read(at, &mut piece)?;
        out.write_all(&piece)?;
        at += piece.len() as u64;
    }
    Ok(out.flush()?)
}

/// Which bytes of the disk a block has.
fn block(disk: &ArchiveDisk<File>, number: u64) -> anyhow::Result<Range<u64>> {
    let named = |part: &xva::Result<xva::Stretch>| match part {
        Ok(part) => part.block.is_some_and(|block| block.number == number),
        Err(_) => true,
    };
    let part = crate::ls::blocks(disk).find(named).transpose()?;
    let part = part.with_context(|| format!("{} has no block {number:08}; ls --blocks lists them", disk.id()))?;
    Ok(part.offset..part.end)
}

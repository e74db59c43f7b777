//! Bytes of a disk.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use xva::ReadAt;

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
}

/// How much is read at a time, in bytes: a block.
const PIECE: u64 = 1 << 20;

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let archive = crate::archive(&flags.file)?;
    let disk = flags.choice.open(&archive)?;
    let left = disk.size()?.saturating_sub(flags.offset);
    let end = flags.offset.saturating_add(flags.length.unwrap_or(left));
    let mut out = io::stdout().lock();
    let mut at = flags.offset;
    let mut piece = Vec::new();
    while at < end {
        piece.resize((PIECE - at % PIECE).min(end - at) as usize, 0);
        disk.read(at, &mut piece)?;
        out.write_all(&piece)?;
        at += piece.len() as u64;
    }
    Ok(out.flush()?)
}

//! Which parts of its disks are in an archive.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use xenapi_examples::Printable;
use xva::{Archive, ReadAt, Stretch};

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, not compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let archive = crate::archive(&flags.file)?;
    let mut out = io::stdout().lock();
    let mut documents = Vec::new();
    for id in archive.disks()? {
        let (size, data) = parts(&archive, &id)?;
        let held: u64 = data.iter().map(|part| part.end - part.offset).sum();
        if flags.json {
            let data: Vec<_> = data.iter().map(|part| json!([part.offset, part.end])).collect();
            documents.push(json!({ "folder": id, "virtual_size": size, "held": held, "data": data }));
            continue;
        }
        writeln!(
            out,
            "{}: {} of {} are in the archive",
            Printable(&id),
            Size(held),
            Size(size)
        )?;
        for part in data {
            writeln!(
                out,
                "  {:>16} – {:>16}  {}",
                part.offset,
                part.end,
                Size(part.end - part.offset)
            )?;
        }
    }
    if flags.json {
        writeln!(out, "{:#}", json!(documents))?;
    }
    Ok(())
}

/// The size of a disk and what of it is data; parts that touch are one.
fn parts(archive: &Archive<File>, id: &str) -> anyhow::Result<(u64, Vec<Stretch>)> {
    let disk = archive.disk(id)?;
    let mut parts: Vec<Stretch> = Vec::new();
    let mut at = 0;
    while let Some(stretch) = disk.stretch(at)? {
        at = stretch.end;
        match parts.last_mut().filter(|last| last.end == stretch.offset) {
            Some(last) if stretch.is_data => last.end = stretch.end,
            _ if stretch.is_data => parts.push(stretch),
            _ => {}
        }
    }
    Ok((disk.size()?, parts))
}

//! The disks of an archive on a port.

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use xenapi_examples::note;

use crate::nbd::{self, Export};

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, not compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The address and port to listen on; nobody is asked for a password
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10809")]
    listen: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Serves until it is killed.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let archive = crate::archive(&flags.file)?;
    let mut exports = Vec::new();
    for id in archive.disks()? {
        exports.push(Export::new(&id, archive.disk(&id)?)?);
    }
    ensure!(!exports.is_empty(), "the archive has no disks");
    let listener = TcpListener::bind(&flags.listen).with_context(|| format!("cannot listen on {}", flags.listen))?;
    let address = listener.local_addr()?;
    let mut out = io::stdout().lock();
    let addresses = exports
        .iter()
        .map(|export| format!("nbd://{address}/{}", export.name()));
    if flags.json {
        writeln!(out, "{:#}", json!(addresses.collect::<Vec<_>>()))?;
    } else {
        addresses
            .into_iter()
            .try_for_each(|address| writeln!(out, "{address}"))?;
    }
    out.flush()?;
    drop(out);
    note("Serving read-only; ctrl-c ends it.");
    nbd::serve(&listener, &exports)
}

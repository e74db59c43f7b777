//! What a disk is divided into.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vhd_mbr::PartitionTable;
use xenapi_examples::{Image, ImageFormat, Printable};

#[derive(Args)]
pub(crate) struct Flags {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Its format, where its name does not tell
    #[arg(long, value_name = "FORMAT")]
    image_format: Option<ImageFormat>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let image = Image::open(&flags.image, flags.image_format)?;
    let table = PartitionTable::read_disk(&image.disk)?;
    let mut out = io::stdout();
    if flags.json {
        let partition = |partition: &vhd_mbr::partition::Partition| {
            json!({
                "number": partition.number,
                "start": partition.start,
                "size": partition.len,
                "type": partition.partition_type().to_string(),
            })
        };
        let partitions: Vec<_> = table.partitions().iter().map(partition).collect();
        let warnings: Vec<_> = table.warnings().iter().map(ToString::to_string).collect();
        writeln!(out, "{:#}", json!({ "partitions": partitions, "warnings": warnings }))?;
        return Ok(());
    }
    for line in table.to_string().lines() {
        writeln!(out, "{}", Printable(line))?;
    }
    Ok(())
}

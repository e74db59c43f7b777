//! All that is wrong with an archive.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use xenapi_examples::{Meter, Printable};
use xva::verify::{Report, Verifier};

use crate::measured::Measured;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, plain or compressed; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Reads the archive once; it is a failure where something is damaged or missing.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let meter = Meter::new(crate::total(&flags.file));
    let source = Measured::new(crate::stream(&flags.file)?, meter);
    let report = Verifier::new().run(source)?;
    let mut out = io::stdout().lock();
    if flags.json {
        writeln!(out, "{:#}", document(&report))?;
    } else {
        print(&report, &mut out)?;
    }
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for disk in &report.disks {
        let size = disk
            .virtual_size
            .map(|size| format!(" of {}", Size(size)))
            .unwrap_or_default();
        writeln!(
            out,
            "{}{size}: {} blocks, {}",
            Printable(&disk.id),
            disk.blocks,
            Size(disk.data)
        )?;
    }
    for finding in &report.findings {
        writeln!(out, "{:?}: {}", finding.severity(), Printable(&finding.to_string()))?;
    }
    if report.findings_left_out > 0 {
        writeln!(out, "… and {} more", report.findings_left_out)?;
    }
    let sound = if report.is_sound() { "sound" } else { "damaged" };
    let import = if report.would_import() {
        "would take"
    } else {
        "would refuse"
    };
    writeln!(out, "{sound}; a pool {import} it")
}

fn document(report: &Report) -> serde_json::Value {
    let disk = |disk: &xva::verify::DiskCheck| {
        json!({
            "folder": disk.id,
            "virtual_size": disk.virtual_size,
            "blocks": disk.blocks,
            "held": disk.data,
            "zero_blocks": disk.zero_blocks,
            "heartbeats": disk.heartbeats,
        })
    };
    let finding = |finding: &xva::verify::Finding| {
        json!({
            "severity": format!("{:?}", finding.severity()),
            "archive": [finding.place().archive.start, finding.place().archive.end],
            "text": finding.to_string(),
        })
    };
    json!({
        "sound": report.is_sound(),
        "would_import": report.would_import(),
        "disks": report.disks.iter().map(disk).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "findings_left_out": report.findings_left_out,
    })
}

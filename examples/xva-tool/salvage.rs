//! What can be saved of a damaged archive.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use xenapi_examples::{Meter, Printable};
use xva::salvage::{Extent, Report, Salvager, SavedDisk, Trust};

use crate::extract::image_name;
use crate::measured::Measured;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, plain or compressed; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder for the images, which are called like the disks' folders: Ref-12.raw
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    to: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Goes on over whatever is wrong, and tells what is not to be trusted; a failure where that is anything.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    crate::make_folder(&flags.to)?;
    let meter = Meter::new(crate::total(&flags.file));
    let source = Measured::new(crate::stream(&flags.file)?, meter);
    let report = Salvager::new().run_into(source, |disk| {
        File::create_new(flags.to.join(image_name(disk.id))).map(Some)
    })?;
    let mut out = io::stdout().lock();
    if flags.json {
        writeln!(out, "{:#}", document(&report))?;
    } else {
        print(&report, &mut out)?;
    }
    Ok(if report.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{}", Printable(&finding.to_string()))?;
    }
    for disk in &report.disks {
        let [trusted, doubtful, unknown] = [disk.trusted(), disk.doubtful(), disk.unknown()].map(Size);
        writeln!(
            out,
            "{}: {trusted} trusted, {doubtful} in doubt, {unknown} unknown",
            image_name(&disk.id)
        )?;
        for extent in disk.extents.iter().filter(|extent| extent.trust != Trust::Trusted) {
            let why = why(extent.trust);
            writeln!(out, "  {:>16} – {:>16}  {why}", extent.range.start, extent.range.end)?;
        }
    }
    if let Some(failure) = &report.failure {
        writeln!(out, "the rest could not be read: {}", Printable(&failure.to_string()))?;
    }
    Ok(())
}

fn why(trust: Trust) -> String {
    match trust {
        Trust::Trusted => "trusted".to_owned(),
        Trust::Doubtful(doubt) => format!("in doubt: {doubt:?}"),
        _ => "unknown, left zero".to_owned(),
    }
}

fn document(report: &Report) -> serde_json::Value {
    let extent = |extent: &Extent| json!([extent.range.start, extent.range.end, why(extent.trust)]);
    let disk = |disk: &SavedDisk| {
        json!({
            "folder": disk.id,
            "image": image_name(&disk.id),
            "trusted": disk.trusted(),
            "doubtful": disk.doubtful(),
            "unknown": disk.unknown(),
            "extents": disk.extents.iter().map(extent).collect::<Vec<_>>(),
        })
    };
    json!({
        "whole": report.is_whole(),
        "failure": report.failure.as_ref().map(ToString::to_string),
        "disks": report.disks.iter().map(disk).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "findings_left_out": report.findings_left_out,
    })
}

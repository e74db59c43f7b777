//! What can be saved of a damaged archive.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use vhd_mbr::Size;
use xenapi_examples::{Meter, Printable};
use xva::salvage::{Salvager, Trust};

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
}

/// Goes on over whatever is wrong, and tells what is not to be trusted; a failure where that is anything.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let meter = Meter::new(crate::total(&flags.file));
    let source = Measured::new(crate::stream(&flags.file)?, meter);
    let report = Salvager::new().run_into(source, |disk| {
        File::create_new(flags.to.join(image_name(disk.id))).map(Some)
    })?;
    let mut out = io::stdout().lock();
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
            let why = match extent.trust {
                Trust::Doubtful(doubt) => format!("in doubt: {doubt:?}"),
                _ => "unknown, left zero".to_owned(),
            };
            writeln!(out, "  {:>16} – {:>16}  {why}", extent.range.start, extent.range.end)?;
        }
    }
    if let Some(failure) = &report.failure {
        writeln!(out, "the rest could not be read: {}", Printable(&failure.to_string()))?;
    }
    Ok(if report.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

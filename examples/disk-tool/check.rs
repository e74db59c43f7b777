//! What is wrong with an image.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use vhd_mbr::vhd::{Finding, Report, check};
use xenapi_examples::ImageFormat;

#[derive(Args)]
pub(crate) struct Flags {
    /// The VHD
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let file = File::open(&flags.image).with_context(|| format!("cannot open {}", flags.image.display()))?;
    let format = ImageFormat::of_file(&file)?;
    ensure!(
        format == ImageFormat::Vhd,
        "{} is {format}, and only VHDs are checked; `qemu-img check` knows qcow2",
        flags.image.display()
    );
    let report = check(&file)?;
    print(&report, flags.json)?;
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout();
    if as_json {
        let finding =
            |finding: &Finding| json!({ "severity": format!("{:?}", finding.severity()), "text": finding.to_string() });
        let findings: Vec<_> = report.findings.iter().map(finding).collect();
        let document = json!({ "sound": report.is_sound(), "findings": findings, "findings_left_out": report.more });
        return writeln!(out, "{document:#}");
    }
    for finding in &report.findings {
        writeln!(out, "{:?}: {finding}", finding.severity())?;
    }
    if report.more > 0 {
        writeln!(out, "… and {} more", report.more)?;
    }
    writeln!(out, "{}", if report.is_sound() { "sound" } else { "damaged" })
}

//! A footer that was lost, out of its copy.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use vhd_mbr::vhd::{Repaired, Vhd, check, repair};
use xenapi_examples::note;

#[derive(Args)]
pub(crate) struct Flags {
    /// The VHD
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Only say what is wrong with it
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let cannot = || format!("cannot open {}", flags.image.display());
    let mut file = File::options()
        .read(true)
        .write(!flags.dry_run)
        .open(&flags.image)
        .with_context(cannot)?;
    if flags.dry_run {
        let report = check(&file)?;
        for finding in &report.findings {
            note(finding.to_string());
        }
        ensure!(
            Vhd::open(&file).is_ok(),
            "it cannot be repaired: neither of its footers is good"
        );
        return Ok(());
    }
    match repair(&mut file)? {
        Repaired::Nothing => note("Its footers are good: nothing was written."),
        Repaired::Footer { offset } => {
            file.sync_all()?;
            note(format!("The footer was written at byte {offset}, out of its copy."));
        }
        _ => {
            file.sync_all()?;
            note("The copy of the footer was written.");
        }
    }
    Ok(())
}

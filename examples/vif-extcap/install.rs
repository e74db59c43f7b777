//! Into Wireshark's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use xenapi_examples::note;

/// Which folder it is depends on the version and the system, so tshark is asked.
pub(crate) fn install(folder: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = match folder {
        Some(folder) => folder,
        None => personal_folder()?,
    };
    let program = std::env::current_exe()?;
    let name = format!("vif-extcap{}", std::env::consts::EXE_SUFFIX);
    let place = folder.join(name);
    let cannot = || format!("cannot put the program at {}", place.display());
    fs::create_dir_all(&folder).with_context(cannot)?;
    if place.symlink_metadata().is_ok() {
        fs::remove_file(&place).with_context(cannot)?;
    }
    put(&program, &place).with_context(cannot)?;
    note(format!("{} is now a capture program of Wireshark's.", place.display()));
    Ok(())
}

#[cfg(unix)]
fn put(program: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, place)
}

#[cfg(not(unix))]
fn put(program: &Path, place: &Path) -> std::io::Result<()> {
    fs::copy(program, place).map(drop)
}

fn personal_folder() -> anyhow::Result<PathBuf> {
    let asked = Command::new("tshark").args(["-G", "folders"]).output();
    let asked = asked.context("cannot ask tshark for the folder: install it, or say --folder")?;
    ensure!(asked.status.success(), "tshark does not tell the folder: say --folder");
    let said = String::from_utf8_lossy(&asked.stdout);
    let folder = |of: &str| {
        let mut lines = said.lines().filter_map(|line| line.split_once(':'));
        let (_, path) = lines.find(|(what, _)| what.trim().eq_ignore_ascii_case(of))?;
        Some(PathBuf::from(path.trim()))
    };
    // Before 4.2 it has no line of its own.
    let found = folder("Personal Extcap path").or_else(|| Some(folder("Personal configuration")?.join("extcap")));
    found.context("tshark names no personal folder: say --folder")
}

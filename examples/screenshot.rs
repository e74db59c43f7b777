//! Saves what virtual machines show on their screens.
//!
//!     cargo run --example screenshot -- --url https://10.0.0.2 --pin 3f:9a:… --vm web-01
//!     cargo run --example screenshot -- --all --dir screens
//!
//! Without --url it does so on a simulated pool.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use vhd_mbr::Size;
use xenapi::vm::PowerState;
use xenapi::{Map, Ref, Vm, VmRecord, bulk};
use xenapi_examples::{Connection, Pool, Printable, arguments, choose_vm, finish, note};

/// Pictures are made by the control domain, which has other work.
const AT_ONCE: usize = 8;

/// Saves what VMs show on their screens as JPEG pictures
#[derive(Parser)]
struct Flags {
    /// Where the picture goes; otherwise a file with the VM's name
    #[arg(value_name = "FILE", conflicts_with_all = ["all", "dir"])]
    file: Option<PathBuf>,
    /// The name or UUID of a running VM; on a simulated pool, its first if left out
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    vm: Option<String>,
    /// Every VM that runs, eight at a time
    #[arg(long)]
    all: bool,
    /// The folder for files with the VMs' names
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| look(pool, &flags).await;
    finish(flags.connection.run("screenshot", work).await)
}

async fn look(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let wanted = if flags.all {
        running(&vms)
    } else {
        let runs = |vm: &VmRecord| pool.is_simulated() && vm.power_state == PowerState::Running;
        vec![choose_vm(&vms, flags.vm.as_deref(), runs)?]
    };
    std::fs::create_dir_all(&flags.dir).with_context(|| format!("cannot make {}", flags.dir.display()))?;
    let files = match &flags.file {
        Some(file) => vec![file.clone()],
        None => names(&flags.dir, &wanted),
    };
    let saves = wanted.iter().zip(&files).map(|(&(vm, _), file)| save(pool, vm, file));
    let all = async { anyhow::Ok(bulk(saves).concurrency(AT_ONCE).run().await) };
    let saved = pool.unless_interrupted(all).await?;
    report(&wanted, &files, saved)
}

async fn save(pool: &Pool, vm: Ref<Vm>, file: &Path) -> anyhow::Result<Size> {
    let picture = pool.vm(vm).screenshot().await?;
    let written = tokio::fs::write(file, &picture).await;
    written.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Size(picture.len() as u64))
}

fn report(
    vms: &[(Ref<Vm>, &VmRecord)],
    files: &[PathBuf],
    saved: Vec<anyhow::Result<Size>>,
) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    let mut code = ExitCode::SUCCESS;
    for (((_, vm), file), saved) in vms.iter().zip(files).zip(saved) {
        match saved {
            Ok(size) => writeln!(out, "{}  {size}", Printable(&file.display().to_string()))?,
            Err(error) => {
                note(format!("{}: {error:#}", vm.name_label));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn running(vms: &Map<Ref<Vm>, VmRecord>) -> Vec<(Ref<Vm>, &VmRecord)> {
    let runs = |vm: &VmRecord| vm.is_real_vm() && vm.power_state == PowerState::Running;
    let running = vms.iter().filter(|(_, vm)| runs(vm));
    let mut running: Vec<_> = running.map(|(&vm, record)| (vm, record)).collect();
    running.sort_by(|(_, a), (_, b)| a.name_label.cmp(&b.name_label));
    running
}

/// A file for each VM: its name as far as a file can have it, with the UUID where another VM has the same.
fn names(dir: &Path, vms: &[(Ref<Vm>, &VmRecord)]) -> Vec<PathBuf> {
    let mut taken = HashSet::new();
    let files = vms.iter().map(|(_, vm)| {
        let name = file_name(&vm.name_label);
        // File systems that ignore case would take two such names for one.
        let is_alone = !name.is_empty() && taken.insert(name.to_lowercase());
        let file = if is_alone {
            format!("{name}.jpg")
        } else {
            format!("{name}-{}.jpg", vm.uuid)
        };
        dir.join(file)
    });
    files.collect()
}

/// A name without what file systems or terminals take for something else.
fn file_name(name: &str) -> String {
    let name: String = Printable(name).to_string().chars().map(safe).collect();
    match name.strip_prefix('.') {
        // It would be hidden, or another folder.
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

fn safe(c: char) -> char {
    match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        c => c,
    }
}

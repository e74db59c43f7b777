//! What guests say, written down.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use futures_util::future::try_join_all;
use serial_link::bridge::{Bridge, Log, Replay};
use xenapi::{Ref, Vm};
use xenapi_examples::{Pool, Selection, ask_no_more, note};

use crate::Ways;
use crate::bridge::tell;
use crate::line::{VmLine, log_in};

/// A file for each VM, with the time in front of every line. One that is full makes room for the next: NAME.log becomes
/// NAME.log.1.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    vms: Selection,
    /// Where the files go
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// How large a file becomes
    #[arg(long, value_name = "MIB", default_value_t = 10)]
    limit: u64,
    /// How many older files are kept
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    keep: usize,
    /// Only say which ports would be written where
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    ways.connection
        .run("serial", async |pool: &Pool| {
            let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
            let mut logs: Vec<(PathBuf, String, Ref<Vm>)> = Vec::new();
            let mut hosts = BTreeSet::new();
            for chosen in flags.vms.choose(&vms)? {
                hosts.insert(chosen.record.resident_on);
                let name = chosen.record.name_label;
                // Names are people's, and may have slashes; two VMs may have one name.
                let file = flags.folder.join(format!("{}.log", plain(&name)));
                let file = match logs.iter().any(|(known, ..)| *known == file) {
                    true => flags.folder.join(format!("{}.log", chosen.record.uuid)),
                    false => file,
                };
                logs.push((file, name, chosen.vm));
            }
            for (file, name, _) in &logs {
                note(format!("{name}: {}", file.display()));
            }
            if flags.dry_run {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::fs::create_dir_all(&flags.folder)
                .await
                .with_context(|| format!("{} cannot be made", flags.folder.display()))?;
            // One after the other, as there may be questions. A host that lets nobody in does not keep the others' VMs waiting.
            let logins = async {
                for host in hosts {
                    if let Err(error) = log_in(pool, ways, host).await {
                        note(format!("{error:#}"));
                    }
                }
                anyhow::Ok(())
            };
            pool.unless_interrupted(logins).await?;
            ask_no_more();
            let written = logs.into_iter().map(async |(file, name, vm)| {
                let bridge = Bridge::start(VmLine::new(pool, ways, vm, name));
                let telling = tokio::spawn(tell(bridge.events()));
                let log = Log::new(file).limit(flags.limit.max(1) << 20).keep(flags.keep);
                let written = log.write_all(bridge.reader("log", Replay::All)).await;
                telling.abort();
                written
            });
            pool.unless_interrupted(try_join_all(written)).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
}

/// A file's name that every system takes.
fn plain(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    match name.trim_start_matches('.') {
        "" => "vm".to_owned(),
        name => name.to_owned(),
    }
}

//! What is at a place.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi::storage::Discovery;
use xenapi_examples::{Pool, Printable, note};

use crate::place::{Place, PlaceFlags};

#[derive(Args)]
pub(crate) struct Flags {
    /// Where to look
    #[arg(value_name = "PLACE")]
    place: Option<String>,
    #[command(flatten)]
    flags: PlaceFlags,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let place = flags.flags.place(pool, flags.place.as_deref()).await?;
    ensure!(
        place.can_be_probed(),
        "storage of the type {} cannot be looked for: say what it is to `create`",
        place.kind
    );
    let found = ask(pool, &place).await?;
    let srs = pool.unless_interrupted(pool.srs().all_records()).await?;
    let known = |uuid: &str| srs.values().find(|sr| sr.uuid == uuid).map(|sr| sr.name_label.as_str());
    if flags.json {
        writeln!(io::stdout(), "{:#}", as_json(&found, known))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = io::stdout().lock();
    for line in lines(&found) {
        writeln!(out, "{}", Printable(&line))?;
    }
    if let Discovery::Srs(found) = &found {
        for sr in found {
            let size = sr.size.map(|size| format!(", {}", Size(size))).unwrap_or_default();
            let state = match known(&sr.uuid) {
                Some(name) => format!("in the pool as {}", Printable(name)),
                None => "not in the pool".to_owned(),
            };
            writeln!(out, "{}{size}: {state}", Printable(&sr.uuid))?;
        }
    }
    note(match &found {
        Discovery::Srs(found) if found.is_empty() => "No SR is there: `create` makes one.".to_owned(),
        Discovery::Srs(_) => "`attach` takes those that the pool does not know.".to_owned(),
        choices => format!("The next to say is {}.", next_key(choices)),
    });
    Ok(ExitCode::SUCCESS)
}

/// Asks a host.
pub(crate) async fn ask(pool: &Pool, place: &Place) -> anyhow::Result<Discovery> {
    let call = pool.srs().discover(place.host, &place.kind, &place.to_ask());
    pool.unless_interrupted(call).await
}

/// The key that the choices are for.
pub(crate) fn next_key(choices: &Discovery) -> &'static str {
    match choices {
        Discovery::Exports(_) => "serverpath",
        Discovery::Targets(_) => "targetIQN",
        Discovery::Luns(_) => "SCSIid",
        _ => "nothing",
    }
}

/// The choices, a line each.
pub(crate) fn lines(found: &Discovery) -> Vec<String> {
    match found {
        Discovery::Exports(exports) => {
            let line = |export: &xenapi::storage::NfsExport| format!("{:<32} for {}", export.path, export.clients);
            exports.iter().map(line).collect()
        }
        Discovery::Targets(targets) => {
            let line = |target: &xenapi::storage::IscsiTarget| {
                let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
                format!("{:<48} at {}{port}", target.iqn, target.address)
            };
            targets.iter().map(line).collect()
        }
        Discovery::Luns(luns) => {
            let line = |lun: &xenapi::storage::Lun| {
                let number = lun.number.map(|number| format!("LUN {number}, ")).unwrap_or_default();
                let size = lun.size.map(|size| format!("{}, ", Size(size))).unwrap_or_default();
                format!("{:<36} {number}{size}{}", lun.scsi_id, lun.vendor)
            };
            luns.iter().map(line).collect()
        }
        _ => Vec::new(),
    }
}

fn as_json<'a>(found: &Discovery, known: impl Fn(&str) -> Option<&'a str>) -> Value {
    match found {
        Discovery::Srs(srs) => {
            let sr = |sr: &xenapi::storage::FoundSr| {
                json!({
                    "uuid": sr.uuid,
                    "size": sr.size,
                    "devices": sr.devices,
                    "in_pool_as": known(&sr.uuid),
                })
            };
            json!({ "srs": srs.iter().map(sr).collect::<Vec<_>>() })
        }
        Discovery::Exports(exports) => {
            let export =
                |export: &xenapi::storage::NfsExport| json!({ "path": export.path, "clients": export.clients });
            json!({ "exports": exports.iter().map(export).collect::<Vec<_>>() })
        }
        Discovery::Targets(targets) => {
            let target = |target: &xenapi::storage::IscsiTarget| json!({ "iqn": target.iqn, "address": target.address, "port": target.port });
            json!({ "targets": targets.iter().map(target).collect::<Vec<_>>() })
        }
        Discovery::Luns(luns) => {
            let lun = |lun: &xenapi::storage::Lun| {
                json!({
                    "scsi_id": lun.scsi_id,
                    "number": lun.number,
                    "size": lun.size,
                    "vendor": lun.vendor,
                    "serial": lun.serial,
                    "path": lun.path,
                })
            };
            json!({ "luns": luns.iter().map(lun).collect::<Vec<_>>() })
        }
        _ => Value::Null,
    }
}

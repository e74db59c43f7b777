//! How fast an SR is, as exports see it.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi::{DiskFormat, Map, Ref, Sr, SrRecord, Vbd, VbdRecord, Vdi, VdiRecord};
use xenapi_examples::{Meter, Pool, Printable, Total, named};

#[derive(Args)]
pub(crate) struct Flags {
    /// The SRs, by name or UUID; otherwise each that has a disk to read
    #[arg(value_name = "SR")]
    srs: Vec<String>,
    /// The disk to read, by name or UUID; otherwise the one that takes the most and is not in use
    #[arg(long, value_name = "NAME", conflicts_with = "srs")]
    vdi: Option<String>,
    /// How much to read at most
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
    /// How long to read at most
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What one export gave.
struct Measured {
    bytes: u64,
    first: Duration,
    took: Duration,
}

impl Measured {
    /// Bytes a second, without the wait for the first.
    fn rate(&self) -> u64 {
        let after = self.took.saturating_sub(self.first).as_secs_f64().max(1e-6);
        (self.bytes as f64 / after) as u64
    }
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let records = async {
        tokio::try_join!(
            pool.srs().all_records(),
            pool.vdis().all_records(),
            pool.vbds().all_records()
        )
    };
    let (srs, vdis, vbds) = pool.unless_interrupted(records).await?;
    let wanted = wanted(flags, &srs, &vdis, &vbds)?;
    let mut out = io::stdout();
    let mut documents = Vec::new();
    let mut failed = false;
    for (sr, vdi) in wanted {
        let (storage, disk) = (&srs[&sr].name_label, &vdis[&vdi]);
        let name = if disk.name_label.is_empty() {
            &disk.uuid
        } else {
            &disk.name_label
        };
        let measured = measure(pool, vdi, flags).await;
        failed |= measured.is_err();
        if flags.json {
            documents.push(as_json(storage, disk, &measured));
            continue;
        }
        match measured {
            Ok(measured) => writeln!(
                out,
                "{:<24} {:>10} a second, the first byte after {:.0?}  ({} of {})",
                Printable(storage),
                Size(measured.rate()),
                measured.first,
                Size(measured.bytes),
                Printable(name),
            )?,
            Err(error) if error.is::<xenapi_examples::Interrupted>() => return Err(error),
            Err(error) => writeln!(
                out,
                "{:<24} failed: {error:#}  ({})",
                Printable(storage),
                Printable(name)
            )?,
        }
    }
    if flags.json {
        writeln!(out, "{:#}", Value::Array(documents))?;
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// The SRs and a disk of each.
fn wanted(
    flags: &Flags,
    srs: &Map<Ref<Sr>, SrRecord>,
    vdis: &Map<Ref<Vdi>, VdiRecord>,
    vbds: &Map<Ref<Vbd>, VbdRecord>,
) -> anyhow::Result<Vec<(Ref<Sr>, Ref<Vdi>)>> {
    if let Some(wanted) = &flags.vdi {
        let mut found = vdis
            .iter()
            .filter(|(_, vdi)| vdi.name_label == *wanted || vdi.uuid == *wanted);
        let (vdi, record) = found
            .next()
            .with_context(|| format!("the pool has no disk {wanted:?}"))?;
        ensure!(
            found.next().is_none(),
            "several disks are called {wanted:?}; say a UUID"
        );
        return Ok(vec![(record.sr, *vdi)]);
    }
    let is_free = |vdi: &VdiRecord| {
        let attached = |vbd: &Ref<Vbd>| vbds.get(vbd).is_some_and(|vbd| vbd.currently_attached);
        vdi.managed && !vdi.missing && !vdi.vbds.iter().any(attached)
    };
    let fullest = |sr: Ref<Sr>| {
        let disks = vdis.iter().filter(|(_, vdi)| vdi.sr == sr && is_free(vdi));
        disks
            .max_by_key(|(_, vdi)| vdi.physical_utilisation)
            .map(|(vdi, _)| *vdi)
    };
    if flags.srs.is_empty() {
        let mut usable: Vec<_> = srs
            .iter()
            .filter(|(_, sr)| sr.content_type != "iso")
            .filter_map(|(sr, record)| Some((&record.name_label, *sr, fullest(*sr)?)))
            .collect();
        usable.sort();
        ensure!(!usable.is_empty(), "no SR has a disk that is not in use");
        return Ok(usable.into_iter().map(|(_, sr, vdi)| (sr, vdi)).collect());
    }
    let mut found = Vec::new();
    for wanted in &flags.srs {
        let (sr, record) = named(srs, wanted)?;
        let Some(vdi) = fullest(sr) else {
            bail!("{} has no disk that is not in use", Printable(&record.name_label));
        };
        found.push((sr, vdi));
    }
    Ok(found)
}

/// Reads a VHD export, which leaves out what was never written and would come from no disk.
async fn measure(pool: &Pool, vdi: Ref<Vdi>, flags: &Flags) -> anyhow::Result<Measured> {
    let (most, longest) = (flags.mib << 20, Duration::from_secs(flags.seconds));
    let meter = Meter::new(Total::Estimated(most));
    let began = Instant::now();
    let mut download = pool
        .unless_interrupted(pool.vdi(vdi).export_raw(DiskFormat::Vhd))
        .await?;
    let mut measured = Measured {
        bytes: 0,
        first: Duration::ZERO,
        took: Duration::ZERO,
    };
    let read = async {
        while measured.bytes < most && measured.took < longest {
            let Some(piece) = download.next().await else { break };
            if measured.bytes == 0 {
                measured.first = began.elapsed();
            }
            measured.bytes += piece?.len() as u64;
            measured.took = began.elapsed();
            meter.set(measured.bytes);
        }
        anyhow::Ok(())
    };
    let read = pool.unless_interrupted(read).await;
    download.cancel().await;
    read.map(|()| measured)
}

fn as_json(storage: &str, disk: &VdiRecord, measured: &anyhow::Result<Measured>) -> Value {
    match measured {
        Ok(measured) => json!({
            "sr": storage,
            "vdi": disk.uuid,
            "bytes": measured.bytes,
            "bytes_per_second": measured.rate(),
            "first_byte_ms": measured.first.as_millis() as u64,
        }),
        Err(error) => json!({ "sr": storage, "vdi": disk.uuid, "error": format!("{error:#}") }),
    }
}

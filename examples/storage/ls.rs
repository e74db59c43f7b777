//! What storage a pool has.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi::{Map, Pbd, PbdRecord, Ref, SrRecord};
use xenapi_examples::{Listing, Pool, Printable};

use crate::place::in_words;

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) listing: Listing,
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<Option<Value>> {
    let records = async { tokio::try_join!(pool.srs().all_records(), pool.pbds().all_records()) };
    let (srs, pbds) = pool.unless_interrupted(records).await?;
    let mut srs: Vec<&SrRecord> = srs.values().collect();
    srs.sort_by(|a, b| (&a.name_label, &a.uuid).cmp(&(&b.name_label, &b.uuid)));
    if flags.listing.json {
        return Ok(Some(srs.iter().map(|sr| as_json(sr, &pbds)).collect()));
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<24} {:<10} {:>10} {:>10}  {:<7} WHERE",
        "NAME", "TYPE", "SIZE", "USED", "HOSTS"
    )?;
    for sr in srs {
        let of_sr: Vec<_> = of(sr, &pbds).collect();
        let attached = of_sr.iter().filter(|pbd| pbd.currently_attached).count();
        let place = of_sr.first().map(|pbd| in_words(&sr.kind, &pbd.device_config));
        writeln!(
            out,
            "{:<24} {:<10} {:>10} {:>10}  {:<7} {}",
            Printable(&sr.name_label),
            Printable(&sr.kind),
            size(sr.physical_size),
            size(sr.physical_utilisation),
            format!("{attached}/{}", of_sr.len()),
            Printable(&place.unwrap_or_default()),
        )?;
    }
    Ok(None)
}

fn of<'a>(sr: &'a SrRecord, pbds: &'a Map<Ref<Pbd>, PbdRecord>) -> impl Iterator<Item = &'a PbdRecord> {
    sr.pbds.iter().filter_map(|pbd| pbds.get(pbd))
}

/// Drivers say -1 where they cannot tell.
fn size(bytes: i64) -> String {
    u64::try_from(bytes).map_or_else(|_| "unknown".to_owned(), |bytes| Size(bytes).to_string())
}

fn as_json(sr: &SrRecord, pbds: &Map<Ref<Pbd>, PbdRecord>) -> Value {
    let of_sr: Vec<_> = of(sr, pbds).collect();
    json!({
        "name": sr.name_label,
        "uuid": sr.uuid,
        "type": sr.kind,
        "content": sr.content_type,
        "shared": sr.shared,
        "size": u64::try_from(sr.physical_size).ok(),
        "used": u64::try_from(sr.physical_utilisation).ok(),
        "allocated": u64::try_from(sr.virtual_allocation).ok(),
        "hosts": of_sr.len(),
        "attached": of_sr.iter().filter(|pbd| pbd.currently_attached).count(),
        "where": of_sr.first().map(|pbd| in_words(&sr.kind, &pbd.device_config)),
    })
}

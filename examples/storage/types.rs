//! What types of storage a pool knows, and their keys.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::{Value, json};
use xenapi::SmRecord;
use xenapi::storage::{Content, Driver};
use xenapi_examples::{Listing, Pool, Printable};

#[derive(Args)]
pub(crate) struct Flags {
    /// Only this type
    #[arg(value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<Option<Value>> {
    let drivers = pool.unless_interrupted(pool.sms().all_records()).await?;
    let mut drivers: Vec<&SmRecord> = drivers.values().collect();
    drivers.retain(|driver| flags.kind.as_ref().is_none_or(|kind| driver.kind == *kind));
    drivers.sort_by(|a, b| a.kind.cmp(&b.kind));
    anyhow::ensure!(!drivers.is_empty(), "the pool has no driver for such SRs");
    if flags.listing.json {
        return Ok(Some(drivers.iter().map(|driver| as_json(driver)).collect()));
    }
    let mut out = io::stdout().lock();
    for driver in drivers {
        match Driver::of(&driver.kind) {
            Some(known) => {
                writeln!(out, "{}: {}", known.kind, known.about)?;
                writeln!(out, "  create: {}", what_becomes(known.content))?;
            }
            None => writeln!(
                out,
                "{}: {}",
                Printable(&driver.kind),
                Printable(&driver.name_description)
            )?,
        }
        for (name, need, about) in keys(driver) {
            writeln!(out, "  {:<24} {:<9} {}", Printable(&name), need, Printable(&about))?;
        }
    }
    Ok(None)
}

fn what_becomes(content: Content) -> &'static str {
    match content {
        Content::Stays => "in a folder of its own; what is there stays",
        Content::Used => "what is there is used as it is",
        Content::Erased => "erases what is there",
        _ => "unknown",
    }
}

/// The keys in our words where we have them, else in the driver's.
fn keys(driver: &SmRecord) -> Vec<(String, &'static str, String)> {
    if let Some(known) = Driver::of(&driver.kind) {
        let keys = known.keys.iter().map(|key| {
            let need = match (key.is_needed, key.secret) {
                (true, _) => "needed",
                (false, Some(_)) => "password",
                (false, None) => "",
            };
            (key.name.to_owned(), need, key.about.to_owned())
        });
        return keys.collect();
    }
    let mut keys: Vec<_> = driver.configuration.iter().collect();
    keys.sort();
    keys.into_iter()
        .map(|(name, about)| (name.clone(), "", about.clone()))
        .collect()
}

fn as_json(driver: &SmRecord) -> Value {
    let keys: Vec<_> = keys(driver)
        .into_iter()
        .map(|(name, need, about)| json!({ "name": name, "needed": need == "needed", "password": need == "password", "about": about }))
        .collect();
    let known = Driver::of(&driver.kind);
    json!({
        "type": driver.kind,
        "about": known.map_or(driver.name_description.as_str(), |known| known.about),
        "shared": known.map(|known| known.shared),
        "erases": known.map(|known| known.content == Content::Erased),
        "keys": keys,
    })
}

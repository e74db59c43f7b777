//! A new SR.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use vhd_mbr::Size;
use xenapi::storage::{Content, Discovery, FoundSr};
use xenapi_examples::{Pool, Printable, confirm, note};

use crate::place::{Place, PlaceFlags, in_words};
use crate::probe::{ask, lines, next_key};

#[derive(Args)]
pub(crate) struct Flags {
    /// Where
    #[arg(value_name = "PLACE")]
    place: Option<String>,
    /// The SR's name
    #[arg(long)]
    name: String,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
    #[command(flatten)]
    flags: PlaceFlags,
    /// Erase the SR that is there
    #[arg(long)]
    erase: bool,
    /// Do not ask before a disk or a LUN is erased
    #[arg(long)]
    yes: bool,
    /// Only say what would be sent
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let place = flags.flags.place(pool, flags.place.as_deref()).await?;
    if place.can_be_probed() {
        match ask(pool, &place).await? {
            Discovery::Srs(found) => look_at(&place, &found, flags.erase)?,
            choices => {
                let lines: String = lines(&choices).iter().map(|line| format!("\n  {line}")).collect();
                bail!("{} is missing; there are:{lines}", next_key(&choices));
            }
        }
    }
    if let Some(driver) = place.driver {
        driver.check(&place.config)?;
    }
    let erases = place.driver.is_some_and(|driver| driver.content == Content::Erased);
    let words = in_words(&place.kind, &place.config);
    if flags.dry_run {
        return plan(&place, erases);
    }
    if erases && !flags.yes {
        note(format!("{} will be erased, whatever is on it.", Printable(&words)));
        confirm("Go on?").await?;
    }
    let (config, kept) = place.to_keep(pool).await?;
    let create = pool.srs().create(
        place.host,
        &config,
        0,
        &flags.name,
        &flags.description,
        &place.kind,
        "user",
        place.is_shared(),
    );
    let made = pool.unless_interrupted(create).await;
    if let (Err(_), Some(kept)) = (&made, kept) {
        kept.take_back(pool).await;
    }
    let sr = made.with_context(|| format!("no SR was made at {}", Printable(&words)))?;
    let record = pool.sr(sr).record().await?;
    writeln!(io::stdout(), "{}", record.uuid)?;
    let size = u64::try_from(record.physical_size).map(|size| format!(", {}", Size(size)));
    note(format!(
        "{} is there{}, on {} hosts",
        Printable(&record.name_label),
        size.unwrap_or_default(),
        record.pbds.len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// SRs that are there already are in the way only where a new one erases them.
fn look_at(place: &Place, found: &[FoundSr], erase: bool) -> anyhow::Result<()> {
    let erases = place.driver.is_none_or(|driver| driver.content == Content::Erased);
    if let Some(sr) = found.first().filter(|_| erases) {
        ensure!(
            erase,
            "the SR {} is there: attach it, or say --erase to lose all that is on it",
            Printable(&sr.uuid)
        );
    }
    Ok(())
}

fn plan(place: &Place, erases: bool) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let shared = if place.is_shared() { "all hosts" } else { "one host" };
    writeln!(out, "an SR of the type {} for {shared}", Printable(&place.kind))?;
    for (key, value) in &place.config {
        writeln!(out, "device_config:{}={}", Printable(key), Printable(value))?;
    }
    if erases {
        writeln!(out, "what is there would be erased")?;
    }
    Ok(ExitCode::SUCCESS)
}

//! SRs that exist, and hosts that are to use them.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use xenapi::storage::Discovery;
use xenapi::{Host, Map, PbdRecord, Ref, Sr, SrRecord};
use xenapi_examples::{Pool, Printable, named, note};

use crate::place::{Place, PlaceFlags, in_words};
use crate::probe::{ask, lines, next_key};

#[derive(Args)]
pub(crate) struct Flags {
    /// A place, or an SR that the pool knows by name or UUID
    #[arg(value_name = "PLACE|SR")]
    place: Option<String>,
    /// Which SR of those at the place, by its UUID
    #[arg(long)]
    uuid: Option<String>,
    /// The name that the SR gets
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    flags: PlaceFlags,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let srs = pool.unless_interrupted(pool.srs().all_records()).await?;
    if let Some(wanted) = flags.place.as_deref().filter(|text| !is_place(text)) {
        let (sr, record) = named(&srs, wanted)?;
        return plug_all(pool, sr, record, flags.dry_run).await;
    }
    let place = flags.flags.place(pool, flags.place.as_deref()).await?;
    let uuid = which(pool, &place, flags.uuid.as_deref(), &srs).await?;
    if let Some(driver) = place.driver {
        driver.check(&place.config)?;
    }
    let name = flags
        .name
        .clone()
        .unwrap_or_else(|| in_words(&place.kind, &place.config));
    let hosts = match place.is_shared() {
        true => pool.unless_interrupted(pool.hosts().all()).await?,
        false => vec![place.host],
    };
    if flags.dry_run {
        let count = hosts.len();
        writeln!(
            io::stdout(),
            "would attach {uuid} to {count} hosts as {}",
            Printable(&name)
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let (config, kept) = place.to_keep(pool).await?;
    let introduce = pool
        .srs()
        .introduce(&uuid, &name, "", &place.kind, "user", place.is_shared());
    let introduced = pool.unless_interrupted(introduce).await;
    let outcome = match introduced {
        Ok(sr) => connect(pool, sr, &hosts, &config).await.map(|failed| (sr, failed)),
        Err(error) => Err(error),
    };
    let (sr, failed) = match outcome {
        Ok(done) => done,
        Err(error) => {
            if let Some(kept) = kept {
                kept.take_back(pool).await;
            }
            return Err(error);
        }
    };
    pool.sr(sr).scan().await?;
    let disks = pool.sr(sr).vdis().await?.len();
    writeln!(io::stdout(), "{uuid}")?;
    note(format!("{} is attached, {disks} disks", Printable(&name)));
    Ok(ExitCode::from(u8::from(failed)))
}

/// A name is never taken for a place, whatever is in it, unless it begins as one.
fn is_place(text: &str) -> bool {
    text.starts_with('/') || text.contains("://") || text.starts_with("hba:")
}

/// The SR to attach: the only one at the place that the pool does not know.
async fn which(
    pool: &Pool,
    place: &Place,
    wanted: Option<&str>,
    srs: &Map<Ref<Sr>, SrRecord>,
) -> anyhow::Result<String> {
    if !place.can_be_probed() {
        let uuid = wanted.context("this type of storage cannot be looked into: say --uuid")?;
        return Ok(uuid.to_owned());
    }
    let found = match ask(pool, place).await? {
        Discovery::Srs(found) => found,
        choices => {
            let lines: String = lines(&choices).iter().map(|line| format!("\n  {line}")).collect();
            bail!("{} is missing; there are:{lines}", next_key(&choices));
        }
    };
    if let Some(wanted) = wanted {
        ensure!(found.iter().any(|sr| sr.uuid == wanted), "no SR {wanted} is there");
    }
    let is_known = |uuid: &str| srs.values().find(|sr| sr.uuid == uuid);
    let candidates: Vec<_> = found
        .iter()
        .filter(|sr| wanted.is_none_or(|wanted| sr.uuid == wanted))
        .collect();
    let strangers: Vec<_> = candidates.iter().filter(|sr| is_known(&sr.uuid).is_none()).collect();
    match (strangers.as_slice(), candidates.as_slice()) {
        ([only], _) => Ok(only.uuid.clone()),
        ([], []) => bail!("no SR is there; `create` makes one"),
        ([], [first, ..]) => {
            let name = is_known(&first.uuid).map_or("", |sr| sr.name_label.as_str());
            bail!(
                "the pool knows it by now, as {0}: attach {0} connects hosts that have lost it",
                Printable(name)
            )
        }
        (several, _) => {
            let lines: String = several
                .iter()
                .map(|sr| format!("\n  {}", Printable(&sr.uuid)))
                .collect();
            bail!("several SRs are there, say --uuid:{lines}")
        }
    }
}

/// Connects hosts to an SR that was just introduced; true where it failed for some of them. Where it failed for all,
/// nothing is left of it.
async fn connect(pool: &Pool, sr: Ref<Sr>, hosts: &[Ref<Host>], config: &Map<String, String>) -> anyhow::Result<bool> {
    let mut last = None;
    let mut plugged = 0;
    for &host in hosts {
        let mut record = PbdRecord::default();
        (record.sr, record.host, record.device_config) = (sr, host, config.clone());
        let work = async {
            let pbd = pool.pbds().create(&record).await?;
            pool.pbd(pbd).plug().now().await
        };
        match pool.unless_interrupted(work).await {
            Ok(()) => plugged += 1,
            Err(error) => {
                let name = pool.host(host).name_label().await.unwrap_or_default();
                note(format!("{}: {error:#}", Printable(&name)));
                last = Some(error);
            }
        }
    }
    match last {
        None => Ok(false),
        Some(_) if plugged > 0 => Ok(true),
        Some(error) => {
            pool.sr(sr).forget().now().await?;
            Err(error.context("no host could attach it; the pool has forgotten it again"))
        }
    }
}

/// Connects the hosts that have lost an SR.
async fn plug_all(pool: &Pool, sr: Ref<Sr>, record: &SrRecord, dry_run: bool) -> anyhow::Result<ExitCode> {
    let (pbds, hosts) = pool
        .unless_interrupted(async { tokio::try_join!(pool.pbds().all_records(), pool.hosts().all_records()) })
        .await?;
    let name = Printable(&record.name_label);
    ensure!(
        !record.pbds.is_empty(),
        "{name} has no PBD that says where it is: forget it and attach its place"
    );
    let mut failed = false;
    let mut out = io::stdout();
    for reference in &record.pbds {
        let Some(pbd) = pbds.get(reference).filter(|pbd| !pbd.currently_attached) else {
            continue;
        };
        let host = hosts.get(&pbd.host).map_or("", |host| host.name_label.as_str());
        if dry_run {
            writeln!(out, "would attach {name} to {}", Printable(host))?;
            continue;
        }
        match pool.unless_interrupted(pool.pbd(*reference).plug()).await {
            Ok(()) => writeln!(out, "{}: attached", Printable(host))?,
            Err(error) => {
                failed = true;
                writeln!(out, "{}: failed: {error:#}", Printable(host))?;
            }
        }
    }
    if !dry_run && !failed {
        pool.unless_interrupted(pool.sr(sr).scan()).await?;
        note(format!("{name} is attached to all its hosts"));
    }
    Ok(ExitCode::from(u8::from(failed)))
}

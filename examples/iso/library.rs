//! Where the images come from.

use std::io::{self, Write};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi::{Map, Ref, Sr, SrRecord, VdiRecord};
use xenapi_examples::{KeptPassword, Listing, Pool, Printable, host_or_coordinator, named, note, storage_password};

#[derive(Args)]
pub(crate) struct ListFlags {
    #[command(flatten)]
    pub(crate) listing: Listing,
}

#[derive(Args)]
pub(crate) struct ScanFlags {
    /// The library, by name or UUID; without one, all of them
    #[arg(value_name = "LIBRARY")]
    library: Option<String>,
}

/// The password of a Windows share comes from the environment variable `ISO_PASSWORD` or from a prompt. It is kept as a
/// secret of the pool, and nowhere else.
#[derive(Args)]
pub(crate) struct CreateFlags {
    /// Where the images are: nfs://HOST/PATH, smb://HOST/SHARE/PATH, or a folder of a host
    #[arg(value_name = "PLACE")]
    place: String,
    /// The library's name
    #[arg(long)]
    name: String,
    /// The user of a Windows share, DOMAIN\USER where it has a domain
    #[arg(long)]
    share_user: Option<String>,
    /// The host whose folder it is; otherwise the coordinator
    #[arg(long, value_name = "HOST")]
    on: Option<String>,
    /// Only say what would be sent
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn list(pool: &Pool, flags: &ListFlags) -> anyhow::Result<Option<Value>> {
    let lookup = async { tokio::try_join!(pool.isos(), pool.srs().all_records()) };
    let (isos, srs) = pool.unless_interrupted(lookup).await?;
    let mut out = io::stdout();
    let library = |sr: &Ref<Sr>| srs.get(sr).map_or("", |sr: &SrRecord| &sr.name_label);
    if flags.listing.json {
        let image = |(_, iso): &(_, VdiRecord)| {
            json!({
                "name": iso.name_label,
                "uuid": iso.uuid,
                "size": iso.virtual_size,
                "library": library(&iso.sr),
            })
        };
        return Ok(Some(isos.iter().map(image).collect()));
    }
    for (_, iso) in &isos {
        let size = Size(u64::try_from(iso.virtual_size).unwrap_or(0)).to_string();
        let (name, library) = (Printable(&iso.name_label), Printable(library(&iso.sr)));
        writeln!(out, "{size:>10}  {name:<48} {library}")?;
    }
    Ok(None)
}

pub(crate) async fn scan(pool: &Pool, flags: &ScanFlags) -> anyhow::Result<()> {
    let srs = pool.unless_interrupted(pool.srs().all_records()).await?;
    let libraries: Vec<_> = match &flags.library {
        Some(wanted) => vec![named(&srs, wanted)?],
        None => srs
            .iter()
            .filter(|(_, sr)| sr.content_type == "iso")
            .map(|(sr, record)| (*sr, record))
            .collect(),
    };
    for (sr, record) in libraries {
        ensure!(
            record.content_type == "iso",
            "{} is no ISO library",
            Printable(&record.name_label)
        );
        pool.unless_interrupted(pool.sr(sr).scan()).await?;
        let images = pool.unless_interrupted(pool.sr(sr).vdis()).await?.len();
        writeln!(io::stdout(), "{}: {images} images", Printable(&record.name_label))?;
    }
    Ok(())
}

/// What kind of place it is, and what of it goes into `device_config` (the driver `ISOSR` of the storage manager).
struct Place {
    config: Vec<(&'static str, String)>,
    shared: bool,
    with_password: bool,
}

fn place(flags: &CreateFlags) -> anyhow::Result<Place> {
    let location = |text: &str| vec![("location", text.to_owned())];
    if let Some(rest) = flags.place.strip_prefix("nfs://") {
        let (host, path) = rest.split_once('/').context("an NFS place is nfs://HOST/PATH")?;
        return Ok(Place {
            config: location(&format!("{host}:/{path}")),
            shared: true,
            with_password: false,
        });
    }
    if let Some(rest) = flags.place.strip_prefix("smb://") {
        ensure!(
            rest.contains('/'),
            "a place on a Windows share is smb://HOST/SHARE or smb://HOST/SHARE/PATH"
        );
        let mut config = location(&format!("//{rest}"));
        config.push(("type", "cifs".to_owned()));
        if let Some(user) = &flags.share_user {
            config.push(("username", user.clone()));
        }
        return Ok(Place {
            config,
            shared: true,
            with_password: flags.share_user.is_some(),
        });
    }
    if flags.place.starts_with('/') {
        let mut config = location(&flags.place);
        config.push(("legacy_mode", "true".to_owned()));
        return Ok(Place {
            config,
            shared: false,
            with_password: false,
        });
    }
    bail!(
        "{:?} is neither nfs://HOST/PATH, smb://HOST/SHARE nor a folder /PATH",
        flags.place
    )
}

pub(crate) async fn create(pool: &Pool, flags: &CreateFlags) -> anyhow::Result<()> {
    let place = place(flags)?;
    let host = host_or_coordinator(pool, flags.on.as_deref()).await?;
    if flags.dry_run {
        for (key, value) in &place.config {
            writeln!(io::stdout(), "device_config:{key}={}", Printable(value))?;
        }
        return Ok(());
    }
    let mut config: Map<String, String> = place
        .config
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mut kept = None;
    if place.with_password {
        let password = storage_password("ISO_PASSWORD", "the share")?;
        kept = Some(KeptPassword::keep(pool, password, "cifspassword_secret", &mut config).await?);
    }
    let create = pool
        .srs()
        .create(host, &config, 0, &flags.name, "", "iso", "iso", place.shared);
    let made = pool.unless_interrupted(create).await;
    if let (Err(_), Some(kept)) = (&made, kept) {
        kept.take_back(pool).await;
    }
    let sr = made.with_context(|| format!("{} cannot be attached", Printable(&flags.place)))?;
    let uuid = pool.sr(sr).uuid().await?;
    let images = pool.sr(sr).vdis().await?.len();
    writeln!(io::stdout(), "{uuid}")?;
    note(format!("{} is attached, {images} images", Printable(&flags.name)));
    Ok(())
}

//! A place as people write it, and as a driver wants it.

use anyhow::{Context, bail, ensure};
use clap::Args;
use xenapi::storage::{Driver, Key};
use xenapi::{Host, Map, Ref};
use xenapi_examples::{KeptPassword, Pool, host_or_coordinator, storage_password};

/// Places are nfs://SERVER/PATH, iscsi://TARGET[:PORT]/IQN/SCSIID, smb://SERVER/SHARE, hba:SCSIID and /dev/DISK, and as
/// much of them as is known for probe. For other types say --type and --set.
///
/// A password comes from the environment variable STORAGE_PASSWORD or from a prompt.
#[derive(Args)]
pub(crate) struct PlaceFlags {
    /// The type of SR, where the place does not tell, such as lvm for /dev/DISK or zfs for a folder
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// More keys of the device_config, as `types` lists them
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The user to log in at the storage as: of a Windows share, or for CHAP
    #[arg(long, value_name = "NAME")]
    storage_user: Option<String>,
    /// The host that looks or makes; otherwise the coordinator
    #[arg(long, value_name = "HOST")]
    on: Option<String>,
}

/// A place, ready to be asked for.
pub(crate) struct Place {
    pub(crate) kind: String,
    /// What is known of its type; `None` for a type that only the pool knows.
    pub(crate) driver: Option<&'static Driver>,
    pub(crate) host: Ref<Host>,
    pub(crate) config: Map<String, String>,
    password: Option<(&'static Key, String)>,
}

impl PlaceFlags {
    pub(crate) async fn place(&self, pool: &Pool, text: Option<&str>) -> anyhow::Result<Place> {
        let (kind, mut config) = match text {
            Some(text) => read(text, self.kind.as_deref())?,
            None => {
                let kind = self.kind.clone().context("say where: a place, or --type and --set")?;
                (kind, Map::new())
            }
        };
        let driver = Driver::of(&kind);
        for entry in &self.set {
            let (key, value) = entry.split_once('=').context("--set takes KEY=VALUE")?;
            ensure!(
                driver
                    .and_then(|driver| driver.key(key))
                    .is_none_or(|key| key.secret.is_none()),
                "{key} is a password, which everybody could read here: use --storage-user and STORAGE_PASSWORD"
            );
            config.insert(key.to_owned(), value.to_owned());
        }
        let mut password = None;
        if let Some(user) = &self.storage_user {
            let name = match kind.as_str() {
                "lvmoiscsi" => "chapuser",
                "smb" | "iso" => "username",
                _ => bail!("nobody logs in at storage of the type {kind}"),
            };
            config.insert(name.to_owned(), user.clone());
            let key = driver
                .and_then(|driver| driver.keys.iter().find(|key| key.secret.is_some()))
                .context("the driver takes no password")?;
            password = Some((key, storage_password("STORAGE_PASSWORD", user)?));
        }
        match driver {
            Some(driver) => driver.check_names(&config)?,
            None => check_with_pool(pool, &kind, &config).await?,
        }
        Ok(Place {
            kind,
            driver,
            host: host_or_coordinator(pool, self.on.as_deref()).await?,
            config,
            password,
        })
    }
}

impl Place {
    /// What `SR.probe` gets, which is gone after the call.
    pub(crate) fn to_ask(&self) -> Map<String, String> {
        let mut config = self.config.clone();
        if let Some((key, password)) = &self.password {
            config.insert(key.name.to_owned(), password.clone());
        }
        config
    }

    /// What PBDs get, with the password as a secret of the pool.
    pub(crate) async fn to_keep(&self, pool: &Pool) -> anyhow::Result<(Map<String, String>, Option<KeptPassword>)> {
        let mut config = self.config.clone();
        let Some((key, password)) = &self.password else {
            return Ok((config, None));
        };
        let under = key.secret.unwrap_or(key.name);
        let kept = KeptPassword::keep(pool, password.clone(), under, &mut config).await?;
        Ok((config, Some(kept)))
    }

    /// Whether `SR.probe` can be asked about it.
    pub(crate) fn can_be_probed(&self) -> bool {
        self.driver.is_none_or(|driver| driver.probed)
    }

    /// Whether all hosts use the same.
    pub(crate) fn is_shared(&self) -> bool {
        self.driver.is_none_or(|driver| driver.shared)
    }
}

/// A type that is not known here: what the pool's own driver says.
async fn check_with_pool(pool: &Pool, kind: &str, config: &Map<String, String>) -> anyhow::Result<()> {
    let drivers = pool.unless_interrupted(pool.sms().all_records()).await?;
    let Some(driver) = drivers.values().find(|driver| driver.kind == kind) else {
        let mut kinds: Vec<_> = drivers.values().map(|driver| driver.kind.as_str()).collect();
        kinds.sort_unstable();
        bail!(
            "the pool has no driver for SRs of the type {kind:?}; it has {}",
            kinds.join(", ")
        );
    };
    for key in config.keys() {
        let known: Vec<_> = driver.configuration.keys().map(String::as_str).collect();
        ensure!(
            known.is_empty() || known.contains(&key.as_str()),
            "the pool's driver for {kind} does not name the key {key:?}; it names {}",
            known.join(", ")
        );
    }
    Ok(())
}

fn read(text: &str, kind: Option<&str>) -> anyhow::Result<(String, Map<String, String>)> {
    let (standard, entries) = if let Some(rest) = text.strip_prefix("nfs://") {
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        ("nfs", vec![("server", server.to_owned()), ("serverpath", path)])
    } else if let Some(rest) = text.strip_prefix("smb://") {
        ensure!(rest.contains('/'), "a place on a Windows share is smb://SERVER/SHARE");
        ("smb", vec![("server", format!("//{}", rest.trim_end_matches('/')))])
    } else if let Some(rest) = text.strip_prefix("iscsi://") {
        ("lvmoiscsi", iscsi(rest)?)
    } else if let Some(rest) = text.strip_prefix("hba:") {
        ("lvmohba", vec![("SCSIid", rest.to_owned())])
    } else if text.starts_with("/dev/") {
        ("ext", vec![("device", text.to_owned())])
    } else if text.starts_with('/') {
        let kind = kind.with_context(|| format!("{text} is a folder: say --type zfs or --type file"))?;
        (kind, vec![("location", text.to_owned())])
    } else {
        bail!(
            "{text:?} is no place: nfs://SERVER/PATH, iscsi://TARGET/IQN/SCSIID, smb://SERVER/SHARE, hba:SCSIID, \
             /dev/DISK or a folder"
        );
    };
    let entries = entries.into_iter().filter(|(_, value)| !value.is_empty());
    let config = entries.map(|(key, value)| (key.to_owned(), value)).collect();
    Ok((kind.unwrap_or(standard).to_owned(), config))
}

fn iscsi(rest: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut parts = rest.splitn(3, '/');
    let target = parts.next().unwrap_or_default();
    // An address of IPv6 stands in brackets where a port follows.
    let (target, port) = match target.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => match target.rsplit_once(':') {
            Some((address, port)) if !address.contains(':') => (address, Some(port)),
            _ => (target, None),
        },
    };
    if let Some(port) = port {
        let port = port.parse::<u16>().ok().filter(|port| *port != 0);
        port.context("the port of an iSCSI target is a number from 1 to 65535")?;
    }
    Ok(vec![
        ("target", target.to_owned()),
        ("port", port.unwrap_or_default().to_owned()),
        ("targetIQN", parts.next().unwrap_or_default().to_owned()),
        ("SCSIid", parts.next().unwrap_or_default().to_owned()),
    ])
}

/// Where an SR is, in the words of the one who looks for it. Passwords are not in it.
pub(crate) fn in_words(kind: &str, config: &Map<String, String>) -> String {
    let key = |name: &str| config.get(name).map(String::as_str).unwrap_or_default();
    let joined = |parts: &[&str], between: &str| {
        let parts: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        parts.join(between)
    };
    match kind {
        "nfs" => joined(&[key("server"), key("serverpath")], ":"),
        "lvmoiscsi" => joined(&[key("target"), key("targetIQN"), key("SCSIid")], " "),
        "lvmohba" => key("SCSIid").to_owned(),
        _ => joined(&[key("server"), key("location"), key("device")], " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> (String, Vec<(String, String)>) {
        let (kind, config) = read(text, None).unwrap();
        let mut entries: Vec<_> = config.into_iter().collect();
        entries.sort();
        (kind, entries)
    }

    #[test]
    fn places_are_read_as_far_as_they_are_known() {
        let expect = |text: &str, kind: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            assert_eq!(entries(text), (kind.to_owned(), expected.collect()), "{text}");
        };
        expect("nfs://nas", "nfs", &[("server", "nas")]);
        expect("nfs://nas/", "nfs", &[("server", "nas")]);
        expect("nfs://nas/a/b", "nfs", &[("server", "nas"), ("serverpath", "/a/b")]);
        expect("smb://nas/vms/", "smb", &[("server", "//nas/vms")]);
        expect("iscsi://10.0.0.8", "lvmoiscsi", &[("target", "10.0.0.8")]);
        expect(
            "iscsi://10.0.0.8:3261/iqn.2003-01.org.x:y/36001",
            "lvmoiscsi",
            &[
                ("SCSIid", "36001"),
                ("port", "3261"),
                ("target", "10.0.0.8"),
                ("targetIQN", "iqn.2003-01.org.x:y"),
            ],
        );
        expect(
            "iscsi://[fd00::8]:3260",
            "lvmoiscsi",
            &[("port", "3260"), ("target", "fd00::8")],
        );
        expect("iscsi://fd00::8", "lvmoiscsi", &[("target", "fd00::8")]);
        expect("hba:", "lvmohba", &[]);
        expect("/dev/sdb", "ext", &[("device", "/dev/sdb")]);
        assert_eq!(read("/dev/sdb", Some("lvm")).unwrap().0, "lvm");
        for wrong in ["nas", "/tank/vms", "smb://nas", "iscsi://x:0", "iscsi://x:y"] {
            assert!(read(wrong, None).is_err(), "{wrong}");
        }
    }
}

//! The file of pools that people keep, so that `--pool NAME` is all they type.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use xenapi::SecretString;

use crate::Printable;

/// What the file holds: a table `[NAME]` a pool.
#[derive(Debug)]
pub(crate) struct KnownPools {
    file: PathBuf,
    pools: BTreeMap<String, KnownPool>,
}

/// How one pool is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownPool {
    pub(crate) url: String,
    pub(crate) user: Option<String>,
    pub(crate) pin: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) known_hosts: Option<PathBuf>,
    password_command: Option<Vec<String>>,
    password_env: Option<String>,
    password: Option<SecretText>,
}

/// A password in the file. It is not printed, also not by an error that it is none.
#[derive(Clone)]
struct SecretText(String);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("the password is no text: put it in quotes")),
        }
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl KnownPools {
    /// Reads the file that `XENAPI_CONFIG` names, or `pools.toml` in the user's folder for settings.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let file = match std::env::var_os("XENAPI_CONFIG").filter(|file| !file.is_empty()) {
            Some(file) => file.into(),
            None => settings()
                .context("no HOME: say with XENAPI_CONFIG where the file of pools is")?
                .join("pools.toml"),
        };
        let text = fs::read_to_string(&file)
            .with_context(|| format!("--pool and --all-pools need the file of pools, {}", file.display()))?;
        Self::parse(file, &text)
    }

    fn parse(file: PathBuf, text: &str) -> anyhow::Result<Self> {
        // The parser quotes the line it stumbles over, which may be the one with the password.
        let pools: BTreeMap<String, KnownPool> = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.get(..span.start).unwrap_or_default().matches('\n').count() + 1
            });
            anyhow::anyhow!("{}, line {line}: {}", file.display(), error.message())
        })?;
        for (name, pool) in &pools {
            let ways = [pool.pin.is_some(), pool.ca.is_some(), pool.known_hosts.is_some()];
            ensure!(
                ways.into_iter().filter(|&way| way).count() <= 1,
                "{}: the pool {:?} has more than one of pin, ca and known_hosts",
                file.display(),
                name
            );
        }
        if pools.values().any(|pool| pool.password.is_some()) {
            ensure_private(&file)?;
        }
        Ok(Self { file, pools })
    }

    /// The pool of a name.
    pub(crate) fn named(&self, name: &str) -> anyhow::Result<&KnownPool> {
        let Some(pool) = self.pools.get(name) else {
            let names: Vec<_> = self.names().map(|name| Printable(name).to_string()).collect();
            bail!(
                "{} has no pool {name:?}; it has: {}",
                self.file.display(),
                names.join(", ")
            );
        };
        Ok(pool)
    }

    /// All the names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
    }
}

impl KnownPool {
    /// The password, where the file says how to get it.
    pub(crate) fn password(&self) -> anyhow::Result<Option<SecretString>> {
        if let Some(words) = &self.password_command {
            return answer(words).map(Some);
        }
        if let Some(variable) = &self.password_env {
            let password = std::env::var(variable).with_context(|| format!("no password in {variable}"))?;
            return Ok(Some(password.into()));
        }
        Ok(self.password.as_ref().map(|password| password.0.clone().into()))
    }
}

/// The first line that a command prints.
fn answer(words: &[String]) -> anyhow::Result<SecretString> {
    let (program, arguments) = words.split_first().context("password_command is empty")?;
    let output = Command::new(program)
        .args(arguments)
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("password_command: {program} cannot be run"))?;
    ensure!(
        output.status.success(),
        "password_command: {program} ended with {}",
        output.status
    );
    let text = String::from_utf8(output.stdout).context("password_command: the password is no UTF-8")?;
    let line = text.lines().next().unwrap_or_default();
    ensure!(!line.is_empty(), "password_command: {program} printed nothing");
    Ok(line.to_owned().into())
}

/// The file of certificates that were accepted when they were first seen; its folder is made.
pub(crate) fn default_known_hosts() -> anyhow::Result<PathBuf> {
    let folder = settings().context("no HOME to remember certificates in: use --known-hosts FILE")?;
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder.join("known_hosts"))
}

/// The folder for this project's settings; none where there is no home.
pub fn settings() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let above = set("XDG_CONFIG_HOME")
        .or_else(|| Some(set("HOME")?.join(".config")))
        .or_else(|| set("APPDATA"))?;
    Some(above.join("xenapi"))
}

/// Nobody else can read a file that holds a password.
#[cfg(unix)]
fn ensure_private(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(file)?.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{0} holds a password and has mode {mode:03o}: chmod 600 {0}, or use password_command",
        file.display()
    );
    Ok(())
}

/// Who can read it cannot be told here.
#[cfg(not(unix))]
fn ensure_private(file: &Path) -> anyhow::Result<()> {
    bail!(
        "{} holds a password: use password_command or password_env",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_without_the_line_it_is_in() {
        for text in [
            "[lab]\nurl = 'https://x'\npassword = s3cret",
            "[lab]\nurl='x'\npasswort = 's3cret'",
            "[lab]\nurl='x'\npassword = [\"s3cret\"]",
        ] {
            let error = KnownPools::parse("pools.toml".into(), text).unwrap_err().to_string();
            assert!(error.contains("pools.toml, line 3"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn one_way_to_know_a_host_is_enough() {
        let text = "[lab]\nurl = 'https://x'\npin = '00'\nca = 'x.pem'";
        assert!(KnownPools::parse("pools.toml".into(), text).is_err());
    }
}

//! What making and attaching storage have in common.

use anyhow::Context;
use xenapi::{Host, HostRecord, Map, PoolSecret, PoolSecretRecord, Ref};

use crate::choice::{Nameable, named};
use crate::{Pool, Printable, note};

impl Nameable for HostRecord {
    const KIND: &'static str = "host";

    fn name(&self) -> &str {
        &self.name_label
    }

    fn uuid(&self) -> &str {
        &self.uuid
    }

    fn sort(&self) -> String {
        self.address.clone()
    }
}

/// The host with this name or UUID, or the coordinator.
///
/// # Errors
/// Where there is no such host.
pub async fn host_or_coordinator(pool: &Pool, wanted: Option<&str>) -> anyhow::Result<Ref<Host>> {
    if let Some(wanted) = wanted {
        let hosts = pool.unless_interrupted(pool.hosts().all_records()).await?;
        return Ok(named(&hosts, wanted)?.0);
    }
    let pools = pool.unless_interrupted(pool.pools().all_records()).await?;
    let record = pools.values().next().context("the pool has no record of itself")?;
    Ok(record.master)
}

/// A password that the pool keeps, of which a `device_config` has only the UUID.
#[derive(Debug)]
pub struct KeptPassword(Ref<PoolSecret>);

impl KeptPassword {
    /// Gives the pool a password, and puts its secret's UUID under a key.
    ///
    /// # Errors
    /// As `secret.create`.
    pub async fn keep(
        pool: &Pool,
        password: String,
        key: &str,
        device_config: &mut Map<String, String>,
    ) -> anyhow::Result<Self> {
        let mut record = PoolSecretRecord::default();
        record.value = password;
        let kept = Self(pool.unless_interrupted(pool.secrets().create(&record)).await?);
        device_config.insert(key.to_owned(), pool.secret(kept.0).uuid().await?);
        Ok(kept)
    }

    /// Takes it back where what needed it came to nothing: nobody else knows of it.
    pub async fn take_back(self, pool: &Pool) {
        if let Err(error) = pool.secret(self.0).destroy().now().await {
            note(format!("the secret of the password is left in the pool: {error}"));
        }
    }
}

/// A password for storage, from an environment variable or a prompt.
///
/// # Errors
/// Where there is neither.
pub fn storage_password(variable: &str, whose: &str) -> anyhow::Result<String> {
    match std::env::var(variable) {
        Ok(password) => Ok(password),
        Err(_) => rpassword::prompt_password(format!("Password of {}: ", Printable(whose)))
            .with_context(|| format!("no password: set {variable} or use a terminal")),
    }
}

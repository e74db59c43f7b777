//! What a driver of the storage manager wants to know.

use super::drivers::DRIVERS;
use crate::Map;

/// A type of SR, and the keys of `device_config` by which its storage is found.
///
/// From the drivers of the storage manager (`xapi-project/sm` and `xcp-ng/sm`), read in 2026. What a pool has installed
/// is told by `SM` objects, whose [`configuration`](crate::SmRecord::configuration) has the keys in its own words.
#[derive(Debug)]
#[non_exhaustive]
pub struct Driver {
    /// The `type` of such an SR, for example `nfs`.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Whether all hosts of a pool can use the same storage, which is `shared` when an SR is made.
    pub shared: bool,
    /// Whether `SR.probe` answers for it.
    pub probed: bool,
    /// What `SR.create` does with what is there.
    pub content: Content,
    /// The keys, those first that are needed.
    pub keys: &'static [Key],
}

/// What becomes of what is in a place when an SR is made in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// It stays: the SR gets a folder of its own, named by its UUID.
    Stays,
    /// It is used as it is: the files there become disks.
    Used,
    /// It is erased, other SRs included, and nothing asks before.
    Erased,
}

/// One key of a `device_config`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Key {
    /// The key itself; case matters.
    pub name: &'static str,
    /// Whether an SR cannot do without it.
    pub is_needed: bool,
    /// What its value is.
    pub about: &'static str,
    /// For a password: the key that has the UUID of a `secret` of the pool in its place.
    pub secret: Option<&'static str>,
}

/// Why a `device_config` is of no use for a driver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceConfigError {
    /// The driver would not look at it, and say nothing.
    #[error("an SR of the type {kind} has no key {key:?}; it has {known}")]
    Unknown {
        /// The driver.
        kind: &'static str,
        /// The key that it does not know.
        key: String,
        /// Those that it knows, with commas between them.
        known: String,
    },
    /// The driver cannot find the storage without it.
    #[error("an SR of the type {kind} needs the key {key}: {about}")]
    Missing {
        /// The driver.
        kind: &'static str,
        /// The key.
        key: &'static str,
        /// What it is.
        about: &'static str,
    },
}

impl Driver {
    /// The driver of a type.
    pub fn of(kind: &str) -> Option<&'static Self> {
        DRIVERS.iter().find(|driver| driver.kind == kind)
    }

    /// All that are known here.
    pub fn all() -> &'static [Self] {
        DRIVERS
    }

    /// A key of the driver, also by the name under which it takes a secret.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys
            .iter()
            .find(|key| key.name == name || key.secret == Some(name))
    }

    /// Whether all that is needed is there, and nothing that the driver would ignore.
    ///
    /// # Errors
    /// The first that is wrong. Values are not looked at, and not in the error: some are passwords.
    pub fn check(&self, device_config: &Map<String, String>) -> Result<(), DeviceConfigError> {
        self.check_names(device_config)?;
        let missing = |key: &&Key| key.is_needed && device_config.get(key.name).is_none_or(String::is_empty);
        match self.keys.iter().find(missing) {
            None => Ok(()),
            Some(key) => Err(DeviceConfigError::Missing {
                kind: self.kind,
                key: key.name,
                about: key.about,
            }),
        }
    }

    /// Whether the driver knows all the keys; for `SR.probe`, to which a few are enough.
    ///
    /// # Errors
    /// The first that it does not know.
    pub fn check_names(&self, device_config: &Map<String, String>) -> Result<(), DeviceConfigError> {
        match device_config.keys().find(|name| self.key(name).is_none()) {
            None => Ok(()),
            Some(key) => Err(DeviceConfigError::Unknown {
                kind: self.kind,
                key: key.clone(),
                known: self.keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Map<String, String> {
        entries
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn a_config_is_checked_before_a_host_is_asked() {
        let nfs = Driver::of("nfs").unwrap();
        nfs.check(&map(&[("server", "10.0.0.9"), ("serverpath", "/export")]))
            .unwrap();
        let missing = nfs.check(&map(&[("server", "10.0.0.9")])).unwrap_err();
        assert!(missing.to_string().contains("needs the key serverpath"), "{missing}");
        let empty = nfs
            .check(&map(&[("server", "10.0.0.9"), ("serverpath", "")]))
            .unwrap_err();
        assert!(empty.to_string().contains("needs the key serverpath"), "{empty}");
        let unknown = nfs.check_names(&map(&[("serverPath", "/export")])).unwrap_err();
        assert!(
            unknown
                .to_string()
                .contains("no key \"serverPath\"; it has server, serverpath"),
            "{unknown}"
        );
        let iscsi = Driver::of("lvmoiscsi").unwrap();
        iscsi.check_names(&map(&[("chappassword_secret", "uuid")])).unwrap();
        assert!(Driver::of("floppy").is_none());
    }

    #[test]
    fn drivers_have_each_name_once_and_what_is_needed_first() {
        for driver in Driver::all() {
            assert_eq!(Driver::of(driver.kind).map(|same| same.about), Some(driver.about));
            assert!(driver.keys.is_sorted_by_key(|key| !key.is_needed), "{}", driver.kind);
            for key in driver.keys {
                assert!(
                    std::ptr::eq(driver.key(key.name).unwrap(), key),
                    "{}.{}",
                    driver.kind,
                    key.name
                );
            }
        }
    }
}

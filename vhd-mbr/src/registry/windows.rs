//! What the `SYSTEM` hive says of drivers and services.

use std::fmt;

use xen_disk::ReadAt;

use super::{Error, Hive, Key};
use crate::patch::Change;

/// When Windows starts a driver or a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartType {
    /// With the kernel, by the boot loader: what the boot disk needs.
    Boot,
    /// While the kernel starts.
    System,
    /// By itself, once the kernel runs.
    Automatic,
    /// When something asks for it.
    Manual,
    /// Never.
    Disabled,
    /// Another number.
    Other(u32),
}

const START_TYPES: [(StartType, &str); 5] = [
    (StartType::Boot, "boot"),
    (StartType::System, "system"),
    (StartType::Automatic, "automatic"),
    (StartType::Manual, "manual"),
    (StartType::Disabled, "disabled"),
];

impl From<u32> for StartType {
    fn from(number: u32) -> Self {
        START_TYPES
            .get(number as usize)
            .map_or(Self::Other(number), |(start, _)| *start)
    }
}

impl From<StartType> for u32 {
    fn from(start: StartType) -> Self {
        match start {
            StartType::Boot => 0,
            StartType::System => 1,
            StartType::Automatic => 2,
            StartType::Manual => 3,
            StartType::Disabled => 4,
            StartType::Other(number) => number,
        }
    }
}

impl fmt::Display for StartType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match START_TYPES.iter().find(|(known, _)| known == self) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "{}", u32::from(*self)),
        }
    }
}

/// A driver or a service of Windows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Service {
    /// Its name, as `xenbus`.
    pub name: String,
    /// When it is started.
    pub start: StartType,
    /// What it is, in bits: 1 is a driver of the kernel, 2 of a file system, 16 and 32 are processes.
    pub kind: u32,
    /// Its program, as far as it is told.
    pub image_path: Option<String>,
    /// What it is called for people, as far as it is told; a name that starts with `@` stands in a file.
    pub display_name: Option<String>,
}

impl Service {
    /// Whether it is a driver.
    pub fn is_driver(&self) -> bool {
        self.kind & 0b1011 != 0
    }
}

/// The number of the control set that Windows starts with, as in `ControlSet001`.
///
/// # Errors
/// If the hive is not that of `SYSTEM`, or cannot be read.
pub fn current_control_set<S: ReadAt>(hive: &Hive<S>) -> Result<u32, Error> {
    hive.value("Select", "Current")?.u32()
}

/// All drivers and services of the current control set.
///
/// # Errors
/// If the hive is not that of `SYSTEM`, or cannot be read.
pub fn services<S: ReadAt>(hive: &Hive<S>) -> Result<Vec<Service>, Error> {
    let mut found = Vec::new();
    for key in hive.key(&services_path(hive)?)?.subkeys()? {
        let key = key?;
        // What has no start type is a folder for settings of something else.
        let (Ok(start), Ok(kind)) = (number(&key, "Start"), number(&key, "Type")) else {
            continue;
        };
        let text = |name| key.value(name).and_then(|value| value.string()).ok();
        found.push(Service {
            start: start.into(),
            kind,
            image_path: text("ImagePath"),
            display_name: text("DisplayName"),
            name: key.name().to_owned(),
        });
    }
    Ok(found)
}

/// What to write into the hive so that Windows starts a driver or service otherwise from its next start on.
///
/// # Errors
/// [`Error::NoKey`] where there is none of this name, [`Error::Dirty`], and what reading fails with.
pub fn set_start<S: ReadAt>(hive: &Hive<S>, service: &str, start: StartType) -> Result<Vec<Change>, Error> {
    let path = format!("{}\\{service}", services_path(hive)?);
    let value = hive.value(&path, "Start")?;
    value.u32()?;
    value.change(&u32::from(start).to_le_bytes())
}

/// What to write into the hive so that Windows leaves a driver or service off: one that stops it from starting, say.
///
/// # Errors
/// As [`set_start`].
pub fn disable_driver<S: ReadAt>(hive: &Hive<S>, service: &str) -> Result<Vec<Change>, Error> {
    set_start(hive, service, StartType::Disabled)
}

fn services_path<S: ReadAt>(hive: &Hive<S>) -> Result<String, Error> {
    Ok(format!("ControlSet{:03}\\Services", current_control_set(hive)?))
}

fn number<S: ReadAt>(key: &Key<'_, S>, name: &str) -> Result<u32, Error> {
    key.value(name)?.u32()
}

//! The registry of Windows.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use vhd_mbr::patch::{Change, WritePlan};
use vhd_mbr::registry::windows::{self, StartType};
use vhd_mbr::registry::{Hive, Value, ValueType};
use vhd_mbr::volume::Volume;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::FoundVolume;

use crate::files::{LONGEST, Where, change};

/// Where Windows keeps its hives.
const CONFIG: &str = "/Windows/System32/config";

#[derive(Args, Clone)]
pub(crate) struct RegSet {
    /// The key, such as 'SYSTEM\ControlSet001\Control\CrashControl': the hive's name comes first
    #[arg(value_name = "KEY")]
    key: String,
    /// The value's name; '' is the nameless one
    #[arg(value_name = "NAME")]
    name: String,
    /// The new data: text, a number (0x for hexadecimal), or bytes as hex:0a1b; of the type that the value has
    #[arg(value_name = "DATA", allow_hyphen_values = true)]
    data: String,
    /// The file of the hive, where it is none of Windows' own
    #[arg(long, value_name = "PATH")]
    hive: Option<String>,
}

#[derive(Args, Clone)]
pub(crate) struct DriverOff {
    /// The name of the driver or service, such as xenbus
    #[arg(value_name = "SERVICE")]
    service: String,
    /// When it is started instead of never
    #[arg(long, value_enum, default_value_t = Start::Disabled)]
    start: Start,
}

#[derive(Clone, Copy, ValueEnum)]
enum Start {
    Boot,
    System,
    Automatic,
    Manual,
    Disabled,
}

impl RegSet {
    pub(crate) fn plan(&self, disk: &dyn ReadAt, which: &Where) -> anyhow::Result<WritePlan> {
        let (hive, key) = match &self.hive {
            Some(path) => (path.clone(), &*self.key),
            None => {
                let (name, key) = self
                    .key
                    .split_once('\\')
                    .context("the key lacks its hive, as in SYSTEM\\Select")?;
                (format!("{CONFIG}/{name}"), key)
            }
        };
        change_hive(disk, which, &hive, |hive| {
            let value = hive.value(key, &self.name)?;
            Ok(value.change(&data(&value, &self.data)?)?)
        })
    }
}

impl DriverOff {
    pub(crate) fn plan(&self, disk: &dyn ReadAt, which: &Where) -> anyhow::Result<WritePlan> {
        let start = match self.start {
            Start::Boot => StartType::Boot,
            Start::System => StartType::System,
            Start::Automatic => StartType::Automatic,
            Start::Manual => StartType::Manual,
            Start::Disabled => StartType::Disabled,
        };
        change_hive(disk, which, &format!("{CONFIG}/SYSTEM"), |hive| {
            Ok(windows::set_start(hive, &self.service, start)?)
        })
    }
}

/// Plans what changes in a hive that is a file of the disk. Only what is asked for is read of it.
pub(crate) fn change_hive(
    disk: &dyn ReadAt,
    which: &Where,
    path: &str,
    changes: impl FnOnce(&Hive<&dyn ReadAt>) -> anyhow::Result<Vec<Change>>,
) -> anyhow::Result<WritePlan> {
    let found = FoundVolume::open(disk, &which.volume, Some(path))?;
    let logs: Vec<_> = [".LOG1", ".LOG2", ".LOG"]
        .iter()
        .filter_map(|extension| log(&found.volume, &format!("{path}{extension}")))
        .collect();
    let logs: Vec<&dyn ReadAt> = logs.iter().map(|log| log as &dyn ReadAt).collect();
    let content = found.volume.content(path)?;
    let hive = Hive::open_with_logs(&content as &dyn ReadAt, &logs)?;
    change(&found, disk, which, path, &changes(&hive)?)
}

/// A log of a hive, where there is one.
fn log(volume: &Volume<impl ReadAt>, path: &str) -> Option<Vec<u8>> {
    let content = volume.content(path).ok().filter(|content| content.len() <= LONGEST)?;
    let mut bytes = Vec::new();
    content.copy_to(&mut bytes).ok().map(|_| bytes)
}

/// Data as people write it, of the type that a value has.
fn data<S: ReadAt>(value: &Value<'_, S>, written: &str) -> anyhow::Result<Vec<u8>> {
    if let Some(digits) = written.strip_prefix("hex:") {
        return hex(digits).with_context(|| format!("{digits:?} is no row of bytes in hexadecimal"));
    }
    let number = || {
        let parsed = match written.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => written.parse(),
        };
        parsed.with_context(|| format!("the value is a number, and {written:?} is none"))
    };
    let short = || u32::try_from(number()?).context("the value has four bytes, and the number more");
    Ok(match value.kind() {
        ValueType::U32 => short()?.to_le_bytes().to_vec(),
        ValueType::U32BigEndian => short()?.to_be_bytes().to_vec(),
        ValueType::U64 => number()?.to_le_bytes().to_vec(),
        ValueType::String | ValueType::ExpandString => {
            let units = written.encode_utf16().chain([0]);
            units.flat_map(u16::to_le_bytes).collect()
        }
        kind => bail!("the value is {kind}: say its bytes as hex:…"),
    })
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let is_hex = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok());
    is_hex.then(|| bytes.collect()).flatten()
}

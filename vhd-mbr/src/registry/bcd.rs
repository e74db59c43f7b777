//! The boot configuration of Windows (BCD): what `bcdedit` shows and changes.
//!
//! The hive is `\\Boot\\BCD` on the partition that the firmware boots from, or `\\EFI\\Microsoft\\Boot\\BCD` on that of EFI.
//! It holds objects, named by GUIDs; an object has elements, named by numbers.

use std::fmt;

use xen_disk::ReadAt;

use super::{Error, Hive, Key, Value};
use crate::bytes::{array, u64_at};
use crate::patch::Change;

/// The boot manager.
pub const BOOT_MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
/// What all loaders have in common for debugging.
pub const DEBUGGER_SETTINGS: &str = "{4636856e-540f-4170-a130-a84776f4c654}";

/// The number of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element(
    /// The number; its highest half byte says to whom it belongs, the next one what its data is.
    pub u32,
);

impl Element {
    /// What people call an entry.
    pub const DESCRIPTION: Self = Self(0x1200_0004);
    /// The program of an entry.
    pub const APPLICATION_PATH: Self = Self(0x1200_0002);
    /// The entry that the boot manager starts unless somebody chooses.
    pub const DEFAULT: Self = Self(0x2300_0003);
    /// The kernel lets itself be debugged.
    pub const KERNEL_DEBUG: Self = Self(0x2600_00a0);
    /// How debuggers are connected: 0 is a serial port, 3 the network, 4 not at all from outside.
    pub const DEBUG_TYPE: Self = Self(0x1500_0011);
    /// The number of the serial port for debugging, from 1 on.
    pub const DEBUG_PORT: Self = Self(0x1500_0013);
    /// The speed of the serial port for debugging, in bits a second.
    pub const DEBUG_BAUD_RATE: Self = Self(0x1500_0014);
    /// Emergency management (EMS) on a serial port.
    pub const EMS: Self = Self(0x1600_0020);
    /// The number of the serial port for emergency management, from 1 on.
    pub const EMS_PORT: Self = Self(0x1500_0022);
    /// The speed of the serial port for emergency management, in bits a second.
    pub const EMS_BAUD_RATE: Self = Self(0x1500_0023);

    /// What `bcdedit` calls it, of the elements above.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DESCRIPTION => "description",
            Self::APPLICATION_PATH => "path",
            Self::DEFAULT => "default",
            Self::KERNEL_DEBUG => "debug",
            Self::DEBUG_TYPE => "debugtype",
            Self::DEBUG_PORT => "debugport",
            Self::DEBUG_BAUD_RATE => "baudrate",
            Self::EMS => "ems",
            Self::EMS_PORT => "emsport",
            Self::EMS_BAUD_RATE => "emsbaudrate",
            _ => return None,
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("{:08x}", self.0)),
        }
    }
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// A device, in a form of its own.
    Device(Vec<u8>),
    /// Text.
    Text(String),
    /// The GUID of another object.
    Object(String),
    /// The GUIDs of several objects.
    Objects(Vec<String>),
    /// A number.
    Integer(u64),
    /// Yes or no.
    Boolean(bool),
    /// Numbers.
    Integers(Vec<u64>),
    /// Of another kind.
    Other(Vec<u8>),
}

/// An entry of the boot configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its GUID, in braces.
    pub id: String,
    /// What it is, as a number: `0x10200003` is a loader of Windows.
    pub kind: u32,
    /// Its elements, in the order of their numbers.
    pub elements: Vec<(Element, Setting)>,
}

impl Entry {
    /// Whether it starts a Windows.
    pub fn is_loader(&self) -> bool {
        self.kind == 0x1020_0003
    }

    /// What it has under a number.
    pub fn get(&self, element: Element) -> Option<&Setting> {
        self.elements
            .iter()
            .find(|(known, _)| *known == element)
            .map(|(_, setting)| setting)
    }
}

/// All entries.
///
/// # Errors
/// If the hive is no boot configuration, or cannot be read.
pub fn entries<S: ReadAt>(hive: &Hive<S>) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    for key in hive.key("Objects")?.subkeys()? {
        let key = key?;
        let kind = key.key("Description")?.value("Type")?.u32()?;
        let mut elements = Vec::new();
        if let Some(list) = key.subkey("Elements")? {
            for element in list.subkeys()? {
                let element = element?;
                if let Ok(number) = u32::from_str_radix(element.name(), 16) {
                    elements.push((Element(number), setting(number, &element.value("Element")?)?));
                }
            }
        }
        let id = key.name().to_owned();
        found.push(Entry { id, kind, elements });
    }
    Ok(found)
}

/// The GUID of the entry that is started unless somebody chooses.
///
/// # Errors
/// If the boot manager names none, or the hive cannot be read.
pub fn default_entry<S: ReadAt>(hive: &Hive<S>) -> Result<String, Error> {
    element(hive, BOOT_MANAGER, Element::DEFAULT)?
        .value("Element")?
        .string()
}

/// What to write into the hive so that the default entry lets a kernel debugger in on a serial port (1 is COM1).
///
/// Elements are changed where they are; none is made. Windows ships with `debugtype` and, for all but the first start,
/// without the rest.
///
/// # Errors
/// [`Error::NotThere`] with the command that makes what is missing, [`Error::Dirty`], and what reading fails with.
pub fn enable_debug<S: ReadAt>(hive: &Hive<S>, port: u32, baud_rate: u32) -> Result<Vec<Change>, Error> {
    let default = default_entry(hive)?;
    let serial = format!("bcdedit /dbgsettings serial debugport:{port} baudrate:{baud_rate}");
    let wanted = [
        (&*default, Element::KERNEL_DEBUG, vec![1], "bcdedit /debug on"),
        (DEBUGGER_SETTINGS, Element::DEBUG_TYPE, number(0), &serial),
        (DEBUGGER_SETTINGS, Element::DEBUG_PORT, number(port), &serial),
        (DEBUGGER_SETTINGS, Element::DEBUG_BAUD_RATE, number(baud_rate), &serial),
    ];
    let mut changes = Vec::new();
    let (mut missing, mut commands) = (Vec::new(), Vec::new());
    for (object, wanted, data, command) in wanted {
        match element(hive, object, wanted) {
            Ok(key) => {
                let value = key.value("Element")?;
                if value.data()? != data {
                    changes.extend(value.change(&data)?);
                }
            }
            Err(Error::NoKey { .. }) => {
                missing.push(wanted.to_string());
                if !commands.contains(&command) {
                    commands.push(command);
                }
            }
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() {
        return Ok(changes);
    }
    Err(Error::NotThere {
        what: missing.join(", "),
        command: commands.join(" && "),
    })
}

fn number(number: u32) -> Vec<u8> {
    u64::from(number).to_le_bytes().to_vec()
}

fn element<'h, S: ReadAt>(hive: &'h Hive<S>, object: &str, element: Element) -> Result<Key<'h, S>, Error> {
    hive.key(&format!("Objects\\{object}\\Elements\\{:08x}", element.0))
}

fn setting<S: ReadAt>(number: u32, value: &Value<'_, S>) -> Result<Setting, Error> {
    Ok(match (number >> 24 & 0xf, value.len()) {
        (1, _) => Setting::Device(value.data()?),
        (2, _) => Setting::Text(value.string()?),
        (3, _) => Setting::Object(value.string()?),
        (4, _) => Setting::Objects(value.strings()?),
        (5, 8) => Setting::Integer(u64_at(&value.data()?, 0)),
        (6, 1) => Setting::Boolean(array::<1>(&value.data()?, 0) != [0]),
        (7, _) => Setting::Integers(value.data()?.chunks_exact(8).map(|part| u64_at(part, 0)).collect()),
        _ => Setting::Other(value.data()?),
    })
}

//! A virtual machine described by hand.

use std::collections::HashSet;

use crate::ova::is_mac;

/// What can be wrong with the description of a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A text holds a character that XML cannot carry.
    #[error("the {field} {text:?} holds a control character")]
    ControlCharacter {
        /// What the text is for.
        field: &'static str,
        /// The text.
        text: String,
    },
    /// A number must not be zero.
    #[error("the {field} is 0")]
    Zero {
        /// What the number is for.
        field: &'static str,
    },
    /// A MAC address is none.
    #[error("`{mac}` is no MAC address such as 3a:00:5e:00:00:01")]
    Mac {
        /// The text.
        mac: String,
    },
    /// Two drives have the same position.
    #[error("position {userdevice} is taken by two drives")]
    PositionTaken {
        /// The position.
        userdevice: u32,
    },
}

/// How a machine starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Firmware {
    /// A BIOS.
    #[default]
    Bios,
    /// UEFI.
    Uefi,
    /// UEFI that starts signed systems only.
    UefiSecureBoot,
}

/// A virtual machine, as far as it is not all defaults; `S` is the source of its disks.
///
/// Unless said otherwise it has 1 GiB of memory, one CPU, a BIOS and starts from disk, then CD, then network. A server
/// gives imported machines new UUIDs and MAC addresses, unless it is asked to restore.
#[derive(Debug, Clone)]
pub struct VmSpec<S> {
    pub(super) name_label: String,
    pub(super) name_description: String,
    pub(super) uuid: Option<String>,
    pub(super) memory: u64,
    pub(super) vcpus: u32,
    pub(super) firmware: Firmware,
    pub(super) boot_order: String,
    pub(super) cd_drive: bool,
    pub(super) platform: Vec<(String, String)>,
    pub(super) other_config: Vec<(String, String)>,
    pub(super) disks: Vec<DiskSpec<S>>,
    pub(super) vifs: Vec<VifSpec>,
}

impl<S> VmSpec<S> {
    /// A machine of this name.
    pub fn new(name_label: impl Into<String>) -> Self {
        Self {
            name_label: name_label.into(),
            name_description: String::new(),
            uuid: None,
            memory: 1 << 30,
            vcpus: 1,
            firmware: Firmware::default(),
            boot_order: "cdn".into(),
            cd_drive: false,
            platform: Vec::new(),
            other_config: Vec::new(),
            disks: Vec::new(),
            vifs: Vec::new(),
        }
    }

    /// Describes it in words.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.name_description = text.into();
        self
    }

    /// Its UUID, which a server takes over where it restores; random unless set.
    #[must_use]
    pub fn uuid(mut self, uuid: impl Into<String>) -> Self {
        self.uuid = Some(uuid.into());
        self
    }

    /// Its memory in bytes.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// How many virtual CPUs it has.
    #[must_use]
    pub fn vcpus(mut self, count: u32) -> Self {
        self.vcpus = count;
        self
    }

    /// How it starts.
    #[must_use]
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// From what it starts, in this order: `c` for a disk, `d` for a CD, `n` for the network.
    #[must_use]
    pub fn boot_order(mut self, order: impl Into<String>) -> Self {
        self.boot_order = order.into();
        self
    }

    /// Adds an empty CD drive, at position 3.
    #[must_use]
    pub fn cd_drive(mut self) -> Self {
        self.cd_drive = true;
        self
    }

    /// Sets an entry of the map `platform`, over the default where there is one.
    #[must_use]
    pub fn platform(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        set(&mut self.platform, key.into(), value.into());
        self
    }

    /// Sets an entry of the map `other_config`.
    #[must_use]
    pub fn other_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        set(&mut self.other_config, key.into(), value.into());
        self
    }

    /// Adds a disk.
    #[must_use]
    pub fn disk(mut self, disk: DiskSpec<S>) -> Self {
        self.disks.push(disk);
        self
    }

    /// Adds a network interface. The first one becomes `eth0`.
    #[must_use]
    pub fn vif(mut self, vif: VifSpec) -> Self {
        self.vifs.push(vif);
        self
    }

    /// Whether a machine like this can be.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        for (field, number) in [("memory", self.memory), ("number of CPUs", u64::from(self.vcpus))] {
            if number == 0 {
                return Err(SpecError::Zero { field });
            }
        }
        check_text("name", &self.name_label)?;
        check_text("description", &self.name_description)?;
        check_text("UUID", self.uuid.as_deref().unwrap_or_default())?;
        check_text("boot order", &self.boot_order)?;
        for (key, value) in self.platform.iter().chain(&self.other_config) {
            check_text("key", key)?;
            check_text("value", value)?;
        }
        for disk in &self.disks {
            check_text("disk's name", &disk.name_label)?;
            check_text("disk's description", &disk.name_description)?;
            check_text("storage repository's name", &disk.sr_name)?;
        }
        self.vifs.iter().try_for_each(VifSpec::check)
    }

    /// Where each disk goes. Those that do not care take what is free, except for the CD drive's place.
    pub(super) fn positions(&self) -> Result<Vec<u32>, SpecError> {
        let mut taken = HashSet::new();
        if self.cd_drive {
            taken.insert(CD_POSITION);
        }
        for userdevice in self.disks.iter().filter_map(|disk| disk.userdevice) {
            if !taken.insert(userdevice) {
                return Err(SpecError::PositionTaken { userdevice });
            }
        }
        let mut free = (0..).filter(|position| *position != CD_POSITION && !taken.contains(position));
        let position = |disk: &DiskSpec<S>| disk.userdevice.or_else(|| free.next()).unwrap_or_default();
        Ok(self.disks.iter().map(position).collect())
    }
}

/// Where guests expect the CD drive.
pub(super) const CD_POSITION: u32 = 3;

/// A disk of a [`VmSpec`]. It is as long as its source.
#[derive(Debug, Clone)]
pub struct DiskSpec<S> {
    pub(super) source: S,
    pub(super) name_label: String,
    pub(super) name_description: String,
    pub(super) sr_name: String,
    pub(super) userdevice: Option<u32>,
    pub(super) bootable: Option<bool>,
    pub(super) read_only: bool,
}

impl<S> DiskSpec<S> {
    /// A disk of this name.
    pub fn new(name_label: impl Into<String>, source: S) -> Self {
        Self {
            source,
            name_label: name_label.into(),
            name_description: String::new(),
            sr_name: "Local storage".into(),
            userdevice: None,
            bootable: None,
            read_only: false,
        }
    }

    /// Describes it in words.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.name_description = text.into();
        self
    }

    /// Name of the storage repository it comes from. A server imports into the one it is told to, whatever this says.
    #[must_use]
    pub fn sr_name(mut self, name: impl Into<String>) -> Self {
        self.sr_name = name.into();
        self
    }

    /// Its position among the machine's drives; the first free one unless set.
    #[must_use]
    pub fn userdevice(mut self, position: u32) -> Self {
        self.userdevice = Some(position);
        self
    }

    /// Whether the machine starts from it; only from the disk given first unless set.
    #[must_use]
    pub fn bootable(mut self, bootable: bool) -> Self {
        self.bootable = Some(bootable);
        self
    }

    /// Lets the machine only read it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// A network interface of a [`VmSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VifSpec {
    pub(super) network: String,
    pub(super) bridge: String,
    pub(super) mac: Option<String>,
    pub(super) mtu: u32,
}

impl VifSpec {
    /// An interface in the network of this name. A server that has no such network looks for the bridge, and makes a
    /// new network where it has neither.
    pub fn new(network: impl Into<String>) -> Self {
        Self {
            network: network.into(),
            bridge: String::new(),
            mac: None,
            mtu: 1500,
        }
    }

    /// The network's bridge, such as `xenbr0`.
    #[must_use]
    pub fn bridge(mut self, bridge: impl Into<String>) -> Self {
        self.bridge = bridge.into();
        self
    }

    /// Its MAC address; the server picks one unless set. It picks one in any case, unless it is asked to restore.
    #[must_use]
    pub fn mac(mut self, mac: impl Into<String>) -> Self {
        self.mac = Some(mac.into());
        self
    }

    /// Its longest packet in bytes.
    #[must_use]
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = bytes;
        self
    }

    fn check(&self) -> Result<(), SpecError> {
        check_text("network's name", &self.network)?;
        check_text("bridge", &self.bridge)?;
        match &self.mac {
            Some(mac) if !is_mac(mac) => Err(SpecError::Mac { mac: mac.clone() }),
            _ => Ok(()),
        }
    }
}

fn set(map: &mut Vec<(String, String)>, key: String, value: String) {
    match map.iter_mut().find(|(known, _)| *known == key) {
        Some(entry) => entry.1 = value,
        None => map.push((key, value)),
    }
}

fn check_text(field: &'static str, text: &str) -> Result<(), SpecError> {
    if crate::ova::is_xml_text(text) {
        Ok(())
    } else {
        Err(SpecError::ControlCharacter {
            field,
            text: text.to_owned(),
        })
    }
}

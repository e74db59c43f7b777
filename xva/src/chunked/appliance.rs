//! The metadata of version 0.1.

use quick_xml::events::{BytesStart, Event};

use crate::ova::OvaError;

/// What `ova.xml` of version 0.1 tells. Fields that are missing are empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appliance {
    /// The version of the format, `0.1`.
    pub version: String,
    /// The machines.
    pub vms: Vec<Machine>,
    /// The disks, in the order of the text.
    pub vdis: Vec<Image>,
}

/// A virtual machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// Its name within the archive.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// Its description.
    pub description: String,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Number of virtual CPUs.
    pub vcpus: Option<u32>,
    /// Whether it boots like a physical machine.
    pub is_hvm: bool,
    /// What its kernel is started with.
    pub kernel_boot_cmdline: String,
    /// Its drives.
    pub vbds: Vec<Drive>,
}

/// A drive of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drive {
    /// Name of the drive in the guest, such as `sda`.
    pub device: String,
    /// What it is for, such as `root`.
    pub function: String,
    /// Whether the machine may only read it.
    pub read_only: bool,
    /// The name of its disk.
    pub vdi: String,
}

/// A disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Its name within the archive.
    pub name: String,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its folder in the archive.
    pub folder: String,
    /// How it is stored, `dir-gzipped-chunks`.
    pub kind: String,
}

impl Appliance {
    /// Reads `ova.xml` of version 0.1.
    ///
    /// # Errors
    /// Where the text is no `<appliance>`.
    ///
    /// ```
    /// use xva::chunked::Appliance;
    ///
    /// let appliance = Appliance::parse(
    ///     r#"<appliance version="0.1"><vm name="vm"><label>Mail</label><config mem_set="268435456" vcpus="1"/></vm>
    ///        <vdi name="vdi_sda" size="1048576" source="file://sda" type="dir-gzipped-chunks"/></appliance>"#,
    /// )?;
    /// assert_eq!(appliance.vms[0].label, "Mail");
    /// assert_eq!(appliance.vdis[0].folder, "sda");
    /// # Ok::<(), xva::ova::OvaError>(())
    /// ```
    pub fn parse(xml: &str) -> Result<Self, OvaError> {
        let mut reader = quick_xml::Reader::from_str(xml);
        reader.config_mut().expand_empty_elements = true;
        let mut appliance = None;
        let mut text = String::new();
        loop {
            let event = reader.read_event();
            let error = |problem: String| OvaError {
                at: reader.buffer_position(),
                problem,
            };
            match event.map_err(|_| error("malformed XML".into()))? {
                Event::Start(tag) if tag.name().as_ref() == "appliance" && appliance.is_none() => {
                    appliance = Some(Self {
                        version: attribute(&tag, "version"),
                        ..Self::default()
                    });
                }
                Event::Start(tag) => {
                    text.clear();
                    let appliance = appliance.as_mut();
                    appliance
                        .ok_or_else(|| error("another tag where <appliance> was due".into()))?
                        .add(&tag);
                }
                Event::Text(part) => text.push_str(&part.into_inner()),
                Event::CData(part) => text.push_str(&part.into_inner()),
                Event::GeneralRef(entity) => {
                    let char = entity.resolve_char_ref().ok().flatten().map(String::from);
                    let named = || quick_xml::escape::resolve_predefined_entity(&entity).map(str::to_owned);
                    text.push_str(&char.or_else(named).unwrap_or_default());
                }
                Event::End(tag) => {
                    let vm = appliance.as_mut().and_then(|appliance| appliance.vms.last_mut());
                    let target = match (tag.name().as_ref(), vm) {
                        ("label", Some(vm)) => Some(&mut vm.label),
                        ("shortdesc", Some(vm)) => Some(&mut vm.description),
                        _ => None,
                    };
                    if let Some(target) = target {
                        text.trim().clone_into(target);
                    }
                    text.clear();
                }
                Event::Eof => return appliance.ok_or_else(|| error("there is no <appliance>".into())),
                _ => {}
            }
        }
    }

    fn add(&mut self, tag: &BytesStart<'_>) {
        let value = |name| attribute(tag, name);
        let name = tag.name();
        match (name.as_ref(), self.vms.last_mut()) {
            ("vm", _) => self.vms.push(Machine {
                name: value("name"),
                ..Machine::default()
            }),
            ("vdi", _) => {
                let source = value("source");
                self.vdis.push(Image {
                    name: value("name"),
                    size: value("size").parse().ok(),
                    folder: source
                        .strip_prefix("file://")
                        .unwrap_or(&source)
                        .trim_matches('/')
                        .to_owned(),
                    kind: value("type"),
                });
            }
            ("config", Some(vm)) => {
                vm.memory = value("mem_set").parse().ok();
                vm.vcpus = value("vcpus").parse().ok();
            }
            ("hacks", Some(vm)) => {
                vm.is_hvm = matches!(value("is_hvm").as_str(), "true" | "1");
                vm.kernel_boot_cmdline = value("kernel_boot_cmdline");
            }
            ("vbd", Some(vm)) => vm.vbds.push(Drive {
                device: value("device"),
                function: value("function"),
                read_only: value("mode") == "ro",
                vdi: value("vdi"),
            }),
            _ => {}
        }
    }
}

/// The value of an attribute; empty where it is missing or malformed.
fn attribute(tag: &BytesStart<'_>, name: &str) -> String {
    let attribute = tag.try_get_attribute(name).ok().flatten();
    let value = attribute.and_then(|attribute| {
        attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .ok()
            .map(|value| value.into_owned())
    });
    value.unwrap_or_default()
}

//! What `ova.xml`, the first entry of an archive, tells about the machines and their disks.

mod escape;
mod join;
mod value;
mod xml;

use std::fmt;

pub(crate) use escape::{escape, is_xml_text};
pub(crate) use value::is_mac;
pub use value::{Secret, Value};
pub use xml::OvaError;

use xml::Scanner;

/// The metadata of an archive.
///
/// Nothing in it is required: a field that is missing or makes no sense is `None`, empty or `false`, and a reference to
/// an object that is not there leaves only the facts that hang on it out. The text it was read from is kept whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Ova {
    xml: String,
    version: Version,
    vms: Vec<Vm>,
    vdis: Vec<Vdi>,
}

/// Who wrote an archive, and in which version of the format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// The host that exported the machine.
    pub hostname: String,
    /// When, as `20091202T10:11:12Z`.
    pub date: String,
    /// Version of the product.
    pub product_version: String,
    /// Name of the product.
    pub product_brand: String,
    /// Build of the product.
    pub build_number: String,
    /// Major version of xapi; a host older than this refuses the archive.
    pub xapi_major: Option<i64>,
    /// Minor version of xapi.
    pub xapi_minor: Option<i64>,
    /// Version of the archive's layout: 2 since the release called Miami, 0 where absent.
    pub export_vsn: i64,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vm {
    /// Its id in this archive, such as `Ref:3`.
    pub id: String,
    /// Its UUID on the host that exported it.
    pub uuid: String,
    /// Its name.
    pub name_label: String,
    /// Its description.
    pub name_description: String,
    /// `Halted`, `Suspended`, …
    pub power_state: String,
    /// Whether it is a template.
    pub is_a_template: bool,
    /// Whether it is a snapshot.
    pub is_a_snapshot: bool,
    /// Its disks in the machine's own order, by position of the drive. CD drives and empty drives are left out.
    pub disks: Vec<VmDisk>,
}

/// A disk as one machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VmDisk {
    /// The disk's id, which is its folder in the archive, such as `Ref:12`.
    pub id: String,
    /// Position of the drive, such as `0`.
    pub userdevice: String,
    /// Name of the drive in the guest, such as `xvda`; often empty.
    pub device: String,
    /// Whether the machine boots from it.
    pub bootable: bool,
    /// Whether the machine may only read it.
    pub read_only: bool,
    /// Name of the disk.
    pub name_label: String,
    /// Length of the disk in bytes.
    pub virtual_size: Option<u64>,
    /// Name of the storage repository it lay in.
    pub sr_name: Option<String>,
    /// What the disk is for: `user`, `system`, `ephemeral`, …
    pub vdi_type: String,
}

/// A disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vdi {
    /// Its id, which is its folder in the archive, such as `Ref:12`.
    pub id: String,
    /// Its UUID on the host that exported it.
    pub uuid: String,
    /// Its name.
    pub name_label: String,
    /// Its description.
    pub name_description: String,
    /// What it is for: `user`, `system`, `suspend`, …
    pub vdi_type: String,
    /// Its length in bytes. Nothing else in an archive tells where a disk ends.
    pub virtual_size: Option<u64>,
    /// Name of the storage repository it lay in.
    pub sr_name: Option<String>,
    /// Whether an archive with disks has a folder for it: it is in some drive other than a CD drive and in no library
    /// of ISO images, or it holds the memory of a suspended machine.
    pub is_exported: bool,
}

/// Any object of the metadata, with all fields it has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Its class in the API, such as `VM`.
    pub class: String,
    /// Its id in this archive, such as `Ref:3`.
    pub id: String,
    /// Its record, a [`Value::Struct`]. The fields of a `VTPM` are [`Value::Secret`].
    pub record: Value,
}

impl Ova {
    /// Reads `ova.xml`.
    ///
    /// # Errors
    /// Where the text is not the XML-RPC struct of `version` and `objects` that xapi writes.
    pub fn parse(xml: impl Into<String>) -> Result<Self, OvaError> {
        let xml = xml.into();
        let mut version = Version::default();
        let mut joiner = join::Joiner::default();
        walk(&xml, |part| match part {
            Part::Version(value) => version = Version::new(&value),
            Part::Object(object) => joiner.add(object),
        })?;
        let (vms, vdis) = joiner.finish();
        Ok(Self {
            xml,
            version,
            vms,
            vdis,
        })
    }

    /// The text as it stands in the archive.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// Who wrote the archive.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The virtual machines, in the order of the text: one in an ordinary export, any number in a pool's metadata.
    pub fn vms(&self) -> &[Vm] {
        &self.vms
    }

    /// All disk images, in byte-wise order of their ids, the order in which archives carry them.
    pub fn vdis(&self) -> &[Vdi] {
        &self.vdis
    }

    /// The disk image with this id.
    pub fn vdi(&self, id: &str) -> Option<&Vdi> {
        let index = self.vdis.binary_search_by(|vdi| vdi.id.as_str().cmp(id)).ok()?;
        self.vdis.get(index)
    }

    /// Every object with all its fields, read from the text anew.
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        // The text was read without an error before, so it is now.
        let _ = walk(&self.xml, |part| {
            if let Part::Object(object) = part {
                objects.push(object);
            }
        });
        objects
    }
}

impl fmt::Debug for Ova {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ova")
            .field("xml", &format_args!("{} bytes", self.xml.len()))
            .field("version", &self.version)
            .field("vms", &self.vms)
            .field("vdis", &self.vdis)
            .finish()
    }
}

impl Version {
    fn new(value: &Value) -> Self {
        let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name| value.get(name).and_then(Value::as_i64);
        Self {
            hostname: text("hostname"),
            date: text("date"),
            product_version: text("product_version"),
            product_brand: text("product_brand"),
            build_number: text("build_number"),
            xapi_major: number("xapi_major"),
            xapi_minor: number("xapi_minor"),
            export_vsn: number("export_vsn").unwrap_or(0),
        }
    }
}

enum Part {
    Version(Value),
    Object(Object),
}

/// Hands out the parts of the text one by one, so that a pool's metadata need not be in memory twice.
fn walk(xml: &str, mut part: impl FnMut(Part)) -> Result<(), OvaError> {
    Scanner::new(xml).walk_struct(|scanner, name| {
        match name.as_str() {
            "version" => part(Part::Version(scanner.value()?)),
            "objects" => scanner.walk_array(|value| {
                if let Some(object) = Object::new(value) {
                    part(Part::Object(object));
                }
                Ok(())
            })?,
            _ => drop(scanner.value()?),
        }
        Ok(())
    })
}

impl Object {
    fn new(value: Value) -> Option<Self> {
        let Value::Struct(members) = value else { return None };
        let (mut class, mut id, mut record) = (None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "class" => class = value.into_text(),
                "id" => id = value.into_text(),
                "snapshot" => record = Some(value),
                _ => {}
            }
        }
        let (class, id, record) = (class?, id?, record?);
        let record = if class == "VTPM" { record.conceal() } else { record };
        Some(Self { class, id, record })
    }
}

/// Reads the table of checksums that old archives carry at their end.
pub(crate) fn checksum_table(xml: &[u8]) -> Result<std::collections::HashMap<String, String>, OvaError> {
    let xml = utf8(xml)?;
    let mut table = std::collections::HashMap::new();
    Scanner::new(xml).walk_struct(|scanner, name| {
        if let Value::Text(checksum) = scanner.value()? {
            table.insert(name, checksum);
        }
        Ok(())
    })?;
    Ok(table)
}

pub(crate) fn utf8(xml: &[u8]) -> Result<&str, OvaError> {
    str::from_utf8(xml).map_err(|error| OvaError {
        at: error.valid_up_to() as u64,
        problem: "bytes that are not UTF-8".into(),
    })
}

//! Changes values in the text of ova.xml and leaves every other byte alone.

use std::fmt;

use super::EditError;
use super::spans::{Element, Member, Spans};
use crate::ova::{Ova, OvaError, escape, is_mac, is_xml_text};

/// Changes fields of `ova.xml`. Every byte outside of the values that change stays as it was.
///
/// Objects are told by class and id; ids come from [`Ova`] or [`OvaEditor::ids`].
///
/// ```
/// # let archive = xva::write::Writer::new(xva::write::VmSpec::<Vec<u8>>::new("web")
/// #     .vif(xva::write::VifSpec::new("LAN"))).plan()?;
/// # let xml = archive.ova_xml();
/// use xva::edit::OvaEditor;
///
/// let mut editor = OvaEditor::new(xml)?;
/// let vm = editor.ids("VM")?.remove(0);
/// editor.set("VM", &vm, "name_label", "web & mail")?;
/// editor.set_memory(&vm, 4 << 30)?;
/// editor.set_entry("VM", &vm, "other_config", "restored-by", "me")?;
/// for network in editor.ids("network")? {
///     editor.set("network", &network, "bridge", "xenbr1")?;
/// }
/// let ova = editor.finish()?;
/// assert_eq!(ova.vms()[0].name_label, "web & mail");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct OvaEditor {
    xml: String,
}

impl fmt::Debug for OvaEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OvaEditor")
            .field("xml", &format_args!("{} bytes", self.xml.len()))
            .finish()
    }
}

/// What is to be changed, for messages.
#[derive(Debug, Clone, Copy)]
struct Path<'a> {
    class: &'a str,
    id: &'a str,
    field: &'a str,
    key: Option<&'a str>,
}

impl OvaEditor {
    /// An editor of this text.
    ///
    /// # Errors
    /// Where the text is no metadata.
    pub fn new(xml: impl Into<String>) -> Result<Self, EditError> {
        let ova = Ova::parse(xml)?;
        Ok(Self {
            xml: ova.xml().to_owned(),
        })
    }

    /// The text as it stands now.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// Reads the new text.
    ///
    /// # Errors
    /// None that this editor could bring about.
    pub fn finish(self) -> Result<Ova, EditError> {
        Ok(Ova::parse(self.xml)?)
    }

    /// Ids of all objects of a class, in the order of the text.
    ///
    /// # Errors
    /// Where the text is no metadata.
    pub fn ids(&self, class: &str) -> Result<Vec<String>, EditError> {
        let objects = self.objects(class)?;
        Ok(objects.into_iter().map(|(id, _)| id).collect())
    }

    /// Sets a field that holds a scalar: text, a number, `0` or `1`, a reference.
    ///
    /// # Errors
    /// Where there is no such object or field, the field holds a record, a map or a set, or the type that the text
    /// gives it does not take the value.
    pub fn set(&mut self, class: &str, id: &str, field: &str, value: &str) -> Result<(), EditError> {
        let path = Path::new(class, id, field);
        let member = self.field(path)?;
        self.replace(path, &member.value, value)
    }

    /// Sets an entry of a map such as `other_config`, or adds it at the map's end.
    ///
    /// # Errors
    /// Where there is no such object or field, the field is no map, or XML cannot carry the key or the value.
    pub fn set_entry(&mut self, class: &str, id: &str, field: &str, key: &str, value: &str) -> Result<(), EditError> {
        let path = Path::new(class, id, field).entry(key);
        let map = self.map(path)?;
        if let Some(entry) = Spans(&self.xml).member(&map, key)? {
            return self.replace(path, &entry.value, value);
        }
        path.require(
            is_xml_text(key) && is_xml_text(value),
            "text without control characters",
        )?;
        let (key, value) = (escape(key), escape(value));
        let entry = format!("<member><name>{key}</name><value>{value}</value></member>");
        if map.is_one_tag() {
            self.xml.replace_range(map.whole, &format!("<struct>{entry}</struct>"));
        } else {
            self.xml.insert_str(map.inside.end, &entry);
        }
        Ok(())
    }

    /// Removes an entry of a map.
    ///
    /// # Errors
    /// Where there is no such object, field or entry, or the field is no map.
    pub fn remove_entry(&mut self, class: &str, id: &str, field: &str, key: &str) -> Result<(), EditError> {
        let map = self.map(Path::new(class, id, field))?;
        let entry = Spans(&self.xml).member(&map, key)?;
        let entry = entry.ok_or_else(|| EditError::NoEntry {
            class: class.to_owned(),
            id: id.to_owned(),
            field: field.to_owned(),
            key: key.to_owned(),
        })?;
        self.xml.replace_range(entry.whole, "");
        Ok(())
    }

    /// Sets the name of a virtual machine.
    ///
    /// # Errors
    /// As [`OvaEditor::set`].
    pub fn rename_vm(&mut self, id: &str, name_label: &str) -> Result<(), EditError> {
        self.set("VM", id, "name_label", name_label)
    }

    /// Gives a virtual machine a fixed amount of memory, in bytes. Its `memory_static_min` is lowered where needed.
    ///
    /// # Errors
    /// As [`OvaEditor::set`], and for no memory at all or more than servers can count.
    pub fn set_memory(&mut self, id: &str, bytes: u64) -> Result<(), EditError> {
        let countable = (1..=i64::MAX as u64).contains(&bytes);
        Path::new("VM", id, "memory_static_max").require(countable, "number of bytes that a server takes")?;
        let least = self.number(Path::new("VM", id, "memory_static_min"))?;
        let text = bytes.to_string();
        for field in ["memory_static_max", "memory_dynamic_max", "memory_dynamic_min"] {
            self.set("VM", id, field, &text)?;
        }
        match least {
            Some(least) if least <= bytes => Ok(()),
            _ => self.set("VM", id, "memory_static_min", &text),
        }
    }

    /// Gives a virtual machine this many CPUs, all of them from the start.
    ///
    /// # Errors
    /// As [`OvaEditor::set`], and for none.
    pub fn set_vcpus(&mut self, id: &str, count: u32) -> Result<(), EditError> {
        Path::new("VM", id, "VCPUs_max").require(count > 0, "number above 0")?;
        let count = count.to_string();
        self.set("VM", id, "VCPUs_max", &count)?;
        self.set("VM", id, "VCPUs_at_startup", &count)
    }

    /// Gives a network interface a MAC address of its own. Servers keep it only where they restore.
    ///
    /// # Errors
    /// As [`OvaEditor::set`], and where `mac` is no MAC address.
    pub fn set_mac(&mut self, id: &str, mac: &str) -> Result<(), EditError> {
        let path = Path::new("VIF", id, "MAC");
        path.require(is_mac(mac), "MAC address such as 3a:00:5e:00:00:01")?;
        self.set("VIF", id, "MAC", mac)?;
        match self.set("VIF", id, "MAC_autogenerated", "0") {
            // Old servers do not export it.
            Err(EditError::NoField { .. }) => Ok(()),
            other => other,
        }
    }

    /// Ids and records of the objects of a class.
    fn objects(&self, class: &str) -> Result<Vec<(String, Element)>, EditError> {
        let spans = Spans(&self.xml);
        let member = |record: &Element, name| {
            spans.member(record, name)?.ok_or_else(|| OvaError {
                at: record.whole.start as u64,
                problem: format!("a struct without a member {name}"),
            })
        };
        let inner = |value: &Element, name: &str| {
            spans.typed(value, name)?.ok_or_else(|| OvaError {
                at: value.whole.start as u64,
                problem: format!("a value that is no {name}"),
            })
        };
        let mut found = Vec::new();
        let top = spans
            .elements(0..self.xml.len())?
            .into_iter()
            .find(|top| top.name == "value");
        let top = top.ok_or_else(|| OvaError {
            at: 0,
            problem: "no value".into(),
        })?;
        let list = member(&inner(&top, "struct")?, "objects")?;
        let Some(data) = spans.only(&inner(&list.value, "array")?)? else {
            return Ok(found);
        };
        for object in spans.elements(data.inside)? {
            let object = inner(&object, "struct")?;
            let scalar = |name| -> Result<Option<String>, OvaError> {
                let Some(member) = spans.member(&object, name)? else {
                    return Ok(None);
                };
                let typed = spans.typed(&member.value, "string")?;
                spans.text(&typed.unwrap_or(member.value)).map(Some)
            };
            if scalar("class")?.as_deref() == Some(class)
                && let Some(id) = scalar("id")?
            {
                found.push((id, inner(&member(&object, "snapshot")?.value, "struct")?));
            }
        }
        Ok(found)
    }

    fn field(&self, path: Path<'_>) -> Result<Member, EditError> {
        let objects = self.objects(path.class)?;
        let Some((_, record)) = objects.iter().find(|(id, _)| id == path.id) else {
            return Err(EditError::NoObject {
                class: path.class.to_owned(),
                id: path.id.to_owned(),
                known: objects.into_iter().map(|(id, _)| id).collect(),
            });
        };
        let field = Spans(&self.xml).member(record, path.field)?;
        field.ok_or_else(|| EditError::NoField {
            class: path.class.to_owned(),
            id: path.id.to_owned(),
            field: path.field.to_owned(),
        })
    }

    fn map(&self, path: Path<'_>) -> Result<Element, EditError> {
        let field = self.field(path)?;
        let map = Spans(&self.xml).typed(&field.value, "struct")?;
        map.ok_or_else(|| path.wrong_shape("map"))
    }

    fn number(&self, path: Path<'_>) -> Result<Option<u64>, EditError> {
        let value = self.scalar(path, &self.field(path)?.value)?;
        Ok(Spans(&self.xml).text(&value)?.trim().parse().ok())
    }

    /// The element whose text is the value of a scalar.
    fn scalar(&self, path: Path<'_>, value: &Element) -> Result<Element, EditError> {
        match Spans(&self.xml).only(value)? {
            None => Ok(value.clone()),
            Some(inner) if matches!(&inner.name[..], "struct" | "array" | "nil") => Err(path.wrong_shape("scalar")),
            Some(inner) => Ok(inner),
        }
    }

    fn replace(&mut self, path: Path<'_>, value: &Element, new: &str) -> Result<(), EditError> {
        let target = self.scalar(path, value)?;
        let (fits, expected) = match &target.name[..] {
            "boolean" => (matches!(new, "0" | "1"), "boolean, 0 or 1"),
            "int" | "i4" => (new.parse::<i32>().is_ok(), "32-bit number"),
            "i8" => (new.parse::<i64>().is_ok(), "64-bit number"),
            "double" => (new.parse::<f64>().is_ok(), "number"),
            _ => (is_xml_text(new), "text without control characters"),
        };
        path.require(fits, expected)?;
        let text = escape(new);
        if target.is_one_tag() {
            let name = &target.name;
            let element = format!("<{name}>{text}</{name}>");
            self.xml.replace_range(target.whole, &element);
        } else {
            self.xml.replace_range(target.inside, &text);
        }
        Ok(())
    }
}

impl<'a> Path<'a> {
    fn new(class: &'a str, id: &'a str, field: &'a str) -> Self {
        Self {
            class,
            id,
            field,
            key: None,
        }
    }

    fn entry(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    fn whole_field(self) -> String {
        match self.key {
            Some(key) => format!("{}:{key}", self.field),
            None => self.field.to_owned(),
        }
    }

    fn wrong_shape(self, expected: &'static str) -> EditError {
        EditError::WrongShape {
            class: self.class.to_owned(),
            id: self.id.to_owned(),
            field: self.whole_field(),
            expected,
        }
    }

    fn require(self, fits: bool, expected: &'static str) -> Result<(), EditError> {
        if fits {
            return Ok(());
        }
        Err(EditError::BadValue {
            class: self.class.to_owned(),
            id: self.id.to_owned(),
            field: self.whole_field(),
            expected,
        })
    }
}

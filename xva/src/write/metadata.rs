//! Writes ova.xml for a [`VmSpec`]: every field that an export has, in the order in which xapi writes them.

mod records;

use std::collections::HashMap;

use super::spec::{CD_POSITION, VifSpec, VmSpec};
use crate::ova::escape;

/// No object.
const NULL: &str = "OpaqueRef:NULL";

/// A value of a record.
#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Text(&'a str),
    Number(i128),
    Bool(bool),
    /// The first second of 1970.
    Epoch,
    Float(&'a str),
    Set(&'a [String]),
    Map(&'a [(&'a str, &'a str)]),
}

const NOTHING: Field<'static> = Field::Text("");
const EMPTY_SET: Field<'static> = Field::Set(&[]);
const EMPTY_MAP: Field<'static> = Field::Map(&[]);
const NO_REF: Field<'static> = Field::Text(NULL);
const NO: Field<'static> = Field::Bool(false);

/// Gives out ids.
#[derive(Debug, Default)]
struct Ids(u32);

impl Ids {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("Ref:{}", self.0)
    }

    /// As many ids as there are items.
    fn each<T>(&mut self, items: &[T]) -> Vec<String> {
        items.iter().map(|_| self.next()).collect()
    }
}

/// Something with a name that several others share, such as a network.
#[derive(Debug)]
struct Shared<'a> {
    id: String,
    name: &'a str,
    /// What decides beyond the name.
    bridge: &'a str,
    /// Ids of those that share it.
    users: Vec<String>,
}

/// Gathers what is shared, in the order of its first use, and gives each user the id of what it uses.
fn share<'a>(
    ids: &mut Ids,
    users: impl Iterator<Item = (&'a str, &'a str, &'a String)>,
) -> (Vec<Shared<'a>>, Vec<String>) {
    let mut shared: Vec<Shared<'a>> = Vec::new();
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    let mut used = Vec::new();
    for (name, bridge, user) in users {
        let at = *known.entry((name, bridge)).or_insert_with(|| {
            let (id, users) = (ids.next(), Vec::new());
            shared.push(Shared {
                id,
                name,
                bridge,
                users,
            });
            shared.len() - 1
        });
        shared[at].users.push(user.clone());
        used.push(shared[at].id.clone());
    }
    (shared, used)
}

/// The text of ova.xml and the disks' ids, in the order of the spec. `sizes` are the lengths of the disks, `positions`
/// their places among the drives.
pub(super) fn describe<S>(vm: &VmSpec<S>, sizes: &[u64], positions: &[u32]) -> (String, Vec<String>) {
    let mut ids = Ids::default();
    let vm_id = ids.next();
    let vbd_ids = ids.each(&vm.disks);
    let cd_id = vm.cd_drive.then(|| ids.next());
    let vif_ids = ids.each(&vm.vifs);
    let vdi_ids = ids.each(&vm.disks);
    let (networks, networks_of_vifs) = {
        let users = vm.vifs.iter().zip(&vif_ids);
        share(&mut ids, users.map(|(vif, id)| (&vif.network[..], &vif.bridge[..], id)))
    };
    let (srs, srs_of_disks) = {
        let users = vm.disks.iter().zip(&vdi_ids);
        share(&mut ids, users.map(|(disk, id)| (&disk.sr_name[..], "", id)))
    };

    let mut text = Text::begin();
    let drives: Vec<String> = vbd_ids.iter().chain(&cd_id).cloned().collect();
    text.vm(&vm_id, vm, &drives, &vif_ids);
    for (i, disk) in vm.disks.iter().enumerate() {
        let bootable = disk.bootable.unwrap_or(i == 0);
        text.vbd(
            &vbd_ids[i],
            &records::Drive {
                vm: &vm_id,
                vdi: &vdi_ids[i],
                position: positions[i],
                bootable,
                mode: if disk.read_only { "RO" } else { "RW" },
                kind: "Disk",
            },
        );
    }
    if let Some(cd_id) = &cd_id {
        text.vbd(
            cd_id,
            &records::Drive {
                vm: &vm_id,
                vdi: NULL,
                position: CD_POSITION,
                bootable: false,
                mode: "RO",
                kind: "CD",
            },
        );
    }
    for (i, vif) in vm.vifs.iter().enumerate() {
        text.vif(&vif_ids[i], &vm_id, i, &networks_of_vifs[i], vif);
    }
    for network in &networks {
        text.network(network);
    }
    for (i, disk) in vm.disks.iter().enumerate() {
        text.vdi(&vdi_ids[i], disk, &srs_of_disks[i], &vbd_ids[i], sizes[i]);
    }
    for sr in &srs {
        text.sr(sr);
    }
    (text.end(), vdi_ids)
}

/// The text as far as it is written.
#[derive(Debug)]
struct Text(String);

impl Text {
    fn begin() -> Self {
        let mut text = Self("<value><struct>".into());
        text.open("version");
        text.record(&[
            ("hostname", Field::Text("localhost")),
            ("date", Field::Text("19700101T00:00:00Z")),
            ("product_version", Field::Text(env!("CARGO_PKG_VERSION"))),
            ("product_brand", Field::Text("xva")),
            ("build_number", Field::Text("0")),
            // A server refuses what a newer one has made, so this must not be newer than any.
            ("xapi_major", Field::Number(0)),
            ("xapi_minor", Field::Number(0)),
            ("export_vsn", Field::Number(2)),
        ]);
        text.push("</member>");
        text.open("objects");
        text.push("<value><array><data>");
        text
    }

    fn end(mut self) -> String {
        self.push("</data></array></value></member></struct></value>");
        self.0
    }

    fn object(&mut self, class: &str, id: &str, fields: &[(&str, Field<'_>)]) {
        self.push("<value><struct>");
        self.member("class", Field::Text(class));
        self.member("id", Field::Text(id));
        self.open("snapshot");
        self.record(fields);
        self.push("</member></struct></value>");
    }

    fn record(&mut self, fields: &[(&str, Field<'_>)]) {
        self.push("<value><struct>");
        for (name, field) in fields {
            self.member(name, *field);
        }
        self.push("</struct></value>");
    }

    fn open(&mut self, name: &str) {
        self.push("<member><name>");
        self.push(&escape(name));
        self.push("</name>");
    }

    fn member(&mut self, name: &str, field: Field<'_>) {
        self.open(name);
        match field {
            Field::Text(text) => self.value(text),
            Field::Number(number) => self.value(&number.to_string()),
            Field::Bool(bool) => self.typed("boolean", if bool { "1" } else { "0" }),
            Field::Epoch => self.typed("dateTime.iso8601", "19700101T00:00:00Z"),
            Field::Float(number) => self.typed("double", number),
            Field::Set(items) => {
                self.push("<value><array><data>");
                for item in items {
                    self.value(item);
                }
                self.push("</data></array></value>");
            }
            Field::Map(entries) => {
                self.push("<value><struct>");
                for (key, value) in entries {
                    self.member(key, Field::Text(value));
                }
                self.push("</struct></value>");
            }
        }
        self.push("</member>");
    }

    fn value(&mut self, text: &str) {
        self.push("<value>");
        self.push(&escape(text));
        self.push("</value>");
    }

    fn typed(&mut self, tag: &str, text: &str) {
        self.push(&format!("<value><{tag}>{text}</{tag}></value>"));
    }

    fn push(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// A random UUID of version 4.
fn random_uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn uuids() {
        let uuid = super::random_uuid();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
        assert_ne!(uuid, super::random_uuid());
    }
}

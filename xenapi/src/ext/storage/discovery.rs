//! What a host answers when it is asked to look for storage.

use futures_core::future::BoxFuture;
use roxmltree::{Document, Node};
use serde::de::Error as _;

use crate::{DecodeError, Error, Host, Map, Ref, Result, Srs};

/// What is at a place, as far as it was described.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discovery {
    /// The place is complete, and these SRs are there. None is no error: a new one can be made.
    Srs(Vec<FoundSr>),
    /// `serverpath` is missing; these are the server's exports.
    Exports(Vec<NfsExport>),
    /// `targetIQN` is missing; these are the targets there.
    Targets(Vec<IscsiTarget>),
    /// `SCSIid` is missing; these are the LUNs.
    Luns(Vec<Lun>),
}

/// An SR that is on storage already, whether the pool knows it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundSr {
    /// Its UUID, which `SR.introduce` takes.
    pub uuid: String,
    /// The devices that it is on, where the driver tells.
    pub devices: Option<String>,
    /// The bytes that it has, where the driver tells.
    pub size: Option<u64>,
    /// Its name, where it is kept with the disks.
    pub name_label: Option<String>,
}

/// A path that an NFS server lets clients mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NfsExport {
    /// The path, for `serverpath`.
    pub path: String,
    /// Who may mount it, in the server's words; `*` is everybody.
    pub clients: String,
}

/// A target of an iSCSI server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IscsiTarget {
    /// Its qualified name, for `targetIQN`. The last of a list is `*`, which stands for all.
    pub iqn: String,
    /// The address that it is reached at.
    pub address: String,
    /// Its TCP port, where it is not 3260.
    pub port: Option<u16>,
}

/// A LUN, on iSCSI or on a host bus adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lun {
    /// Its id, for `SCSIid`.
    pub scsi_id: String,
    /// Its number.
    pub number: Option<u64>,
    /// Its bytes, where the driver tells.
    pub size: Option<u64>,
    /// Who made it.
    pub vendor: String,
    /// Its serial number.
    pub serial: String,
    /// The host's device of it, where it has one by now.
    pub path: Option<String>,
}

impl Srs {
    /// Asks a host what is at a place of which the `device_config` says some or all, for a driver such as `nfs`. The
    /// answer is what the next missing key can be, or the SRs that are there. Nothing is changed, but for iSCSI the host
    /// logs in at the target and out again.
    ///
    /// It is `SR.probe` with its answer read, also where that comes as an error (`SR_BACKEND_FAILURE_96`, `_101` and
    /// `_107`). [`Driver::probed`](super::Driver::probed) tells which drivers have it.
    ///
    /// # Errors
    /// As `SR.probe`; and [`Error::Decode`] for an answer of another form.
    pub fn discover(
        &self,
        host: Ref<Host>,
        kind: &str,
        device_config: &Map<String, String>,
    ) -> BoxFuture<'static, Result<Discovery>> {
        let call = self.probe(host, device_config, kind);
        Box::pin(async move {
            match call.await {
                Ok(answer) => read(&answer).ok_or_else(|| {
                    let source = xenapi_wire::DecodeError::custom("no list of SRs, exports, targets or LUNs");
                    Error::Decode(Box::new(DecodeError::new("SR.probe", source)))
                }),
                // A driver that lacks a key fails, and its choices are in what it wrote to standard error.
                Err(error) => match error
                    .api()
                    .and_then(|said| said.params().get(2))
                    .and_then(|said| read(said))
                {
                    Some(found) => Ok(found),
                    None => Err(error),
                },
            }
        })
    }
}

/// Reads a driver's document, which may stand behind other lines.
fn read(text: &str) -> Option<Discovery> {
    let document = text.get(text.find("<?xml").or_else(|| text.find('<'))?..)?;
    let document = Document::parse(document.trim_end()).ok()?;
    let root = document.root_element();
    Some(match root.tag_name().name() {
        "SRlist" => Discovery::Srs(all(root, "SR", sr)),
        "nfs-exports" => Discovery::Exports(all(root, "Export", export)),
        "iscsi-target-iqns" => Discovery::Targets(all(root, "TGT", target)),
        "iscsi-target" => Discovery::Luns(all(root, "LUN", lun)),
        "Devlist" => Discovery::Luns(all(root, "BlockDevice", lun)),
        _ => return None,
    })
}

fn all<T>(root: Node<'_, '_>, name: &str, read: impl Fn(&Entry<'_, '_>) -> Option<T>) -> Vec<T> {
    let entries = root.children().filter(|child| child.has_tag_name(name));
    entries.filter_map(|entry| read(&Entry(entry))).collect()
}

/// An element whose children are fields.
struct Entry<'a, 'input>(Node<'a, 'input>);

impl Entry<'_, '_> {
    fn text(&self, name: &str) -> Option<String> {
        let field = self.0.children().find(|child| child.has_tag_name(name))?;
        let text = field.text()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

fn sr(entry: &Entry<'_, '_>) -> Option<FoundSr> {
    Some(FoundSr {
        uuid: entry.text("UUID")?,
        devices: entry.text("Devlist"),
        size: entry.number("size"),
        name_label: entry.text("name_label"),
    })
}

fn export(entry: &Entry<'_, '_>) -> Option<NfsExport> {
    Some(NfsExport {
        path: entry.text("Path")?,
        clients: entry.text("Accesslist").unwrap_or_default(),
    })
}

fn target(entry: &Entry<'_, '_>) -> Option<IscsiTarget> {
    Some(IscsiTarget {
        iqn: entry.text("TargetIQN")?,
        address: entry.text("IPAddress").unwrap_or_default(),
        port: entry.number("Port").and_then(|port| port.try_into().ok()),
    })
}

fn lun(entry: &Entry<'_, '_>) -> Option<Lun> {
    Some(Lun {
        scsi_id: entry.text("SCSIid")?,
        number: entry.number("LUNid").or_else(|| entry.number("lun")),
        size: entry.number("size"),
        vendor: entry.text("vendor").unwrap_or_default(),
        serial: entry.text("serial").unwrap_or_default(),
        path: entry.text("path"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_write_is_read() {
        // The form of Python's `toprettyxml`, which puts each text on a line of its own.
        let exports = "<?xml version=\"1.0\" ?>\n<nfs-exports>\n\t<Export>\n\t\t<Target>\n\t\t\t10.0.0.9\n\t\t</Target>\n\
                       \t\t<Path>\n\t\t\t/a &amp; b\n\t\t</Path>\n\t\t<Accesslist>*</Accesslist>\n\t</Export>\n</nfs-exports>\n";
        let expected = NfsExport {
            path: "/a & b".to_owned(),
            clients: "*".to_owned(),
        };
        assert_eq!(read(exports), Some(Discovery::Exports(vec![expected])));

        let targets = "a warning\n<?xml version=\"1.0\" ?><iscsi-target-iqns><TGT><Index>0</Index>\
                       <IPAddress>10.0.0.8</IPAddress><Port>3261</Port><TargetIQN>iqn.x</TargetIQN></TGT>\
                       <TGT><Index>1</Index><IPAddress>10.0.0.8</IPAddress><TargetIQN>*</TargetIQN></TGT></iscsi-target-iqns>";
        let Some(Discovery::Targets(targets)) = read(targets) else {
            panic!("no targets")
        };
        assert_eq!((targets[0].iqn.as_str(), targets[0].port), ("iqn.x", Some(3261)));
        assert_eq!((targets[1].iqn.as_str(), targets[1].port), ("*", None));

        let luns = "<iscsi-target><LUN><vendor>LIO-ORG</vendor><serial/><LUNid>1</LUNid><size>1024</size>\
                    <SCSIid>36001</SCSIid></LUN><LUN><vendor>no id</vendor></LUN></iscsi-target>";
        let Some(Discovery::Luns(luns)) = read(luns) else {
            panic!("no LUNs")
        };
        assert_eq!(luns.len(), 1);
        assert_eq!(
            (luns[0].number, luns[0].size, luns[0].scsi_id.as_str()),
            (Some(1), Some(1024), "36001")
        );

        let adapter = "<Devlist><Adapter><host>host1</host></Adapter><BlockDevice><path>/dev/sdc</path><lun>0</lun>\
                       <SCSIid>36002</SCSIid></BlockDevice></Devlist>";
        let Some(Discovery::Luns(luns)) = read(adapter) else {
            panic!("no LUNs")
        };
        assert_eq!((luns.len(), luns[0].path.as_deref()), (1, Some("/dev/sdc")));

        assert_eq!(
            read("<?xml version=\"1.0\" ?>\n<SRlist/>\n"),
            Some(Discovery::Srs(Vec::new()))
        );
        let found = "<SRlist><SR><UUID>u</UUID><Devlist>/dev/sdb</Devlist><size>5</size></SR></SRlist>";
        let Some(Discovery::Srs(srs)) = read(found) else {
            panic!("no SRs")
        };
        assert_eq!(
            (srs[0].uuid.as_str(), srs[0].devices.as_deref(), srs[0].size),
            ("u", Some("/dev/sdb"), Some(5))
        );
    }

    #[test]
    fn what_is_no_document_is_none() {
        for text in [
            "",
            "no",
            "<",
            "<a>",
            "<a/>",
            "</a>",
            "<SRlist><SR>",
            "<SRlist/><SRlist/>",
            "<SRlist>&x;</SRlist>",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
